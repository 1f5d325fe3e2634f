"""The receiver of webhooks over real HTTP: a good one wakes the watchers once, and nothing else does anything."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import logging
import socket
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_mendix.simulator import deliver
from airflow_provider_mendix.webhooks.receiver import Limits

from ..conftest import set_connection
from .conftest import BODY, CONN_ID, OTHER_SECRET, SECRET


def test_a_good_webhook_wakes_the_watchers(receivers, caplog):
    with caplog.at_level(logging.INFO):
        answer = receivers.send()

    assert (answer.status_code, answer.text) == (202, "Accepted")
    first = receivers.wakeup()
    assert first
    assert list(receivers.received()) == ["msg_1"]
    assert receivers.wakeup("plan") is None
    assert "Webhook msg_1 of app shop received; its watchers are woken up." in caplog.text
    assert SECRET not in caplog.text

    assert receivers.status() == 202
    assert receivers.wakeup() != first


def test_an_app_is_found_in_any_case(receivers):
    assert receivers.status(app="SHOP") == 202
    assert receivers.wakeup()


def refused(receivers, *, body=BODY, app="shop", **changes):
    """Send a webhook with other headers, and return the status; nothing may have come of it."""
    before = (receivers.wakeup(), receivers.wakeup("plan"), receivers.received(), receivers.received("plan"))
    headers = {**receivers.headers(body), **{name.replace("_", "-"): value for name, value in changes.items()}}
    answer = receivers.send(body, headers, app=app)
    assert before == (
        receivers.wakeup(), receivers.wakeup("plan"), receivers.received(), receivers.received("plan")
    )  # fmt: skip
    assert answer.text == http.client.responses[answer.status_code]
    return answer.status_code


def test_forged(receivers):
    assert refused(receivers, **receivers.headers(secret=OTHER_SECRET)) == 401
    assert refused(receivers, webhook_signature=f"v1,{'A' * 43}=") == 401
    assert refused(receivers, body=BODY + b" ", **receivers.headers(BODY)) == 401
    assert refused(receivers, webhook_id="msg_other") == 401
    assert refused(receivers, app="plan") == 401


def test_stale(receivers):
    assert receivers.status(headers=receivers.headers(age=299)) == 202
    assert receivers.status(headers=receivers.headers(age=-299)) == 202
    assert refused(receivers, **receivers.headers(age=301)) == 401
    assert refused(receivers, **receivers.headers(age=-302)) == 401
    assert refused(receivers, **receivers.headers(age=10**9)) == 401


def test_replayed(receivers, serve):
    headers = receivers.headers()
    assert receivers.status(headers=headers) == 202
    assert refused(receivers, **headers) == 409
    assert refused(serve(), **headers) == 409, "another API server, or the same one after a restart"
    assert refused(receivers, **receivers.headers(message_id=headers["webhook-id"], age=5)) == 409
    receivers.clock.sleep(299)
    assert refused(receivers, **headers) == 409
    receivers.clock.sleep(2)
    assert refused(receivers, **headers) == 401


def test_the_same_webhook_to_two_apps_counts_for_each(receivers):
    assert receivers.status(headers=receivers.headers(message_id="msg_x")) == 202
    other = receivers.headers(secret=OTHER_SECRET, message_id="msg_x")
    assert receivers.status(headers=other, app="plan") == 202
    assert receivers.status(headers=other, app="plan") == 409


def test_of_many_at_once_one_is_accepted(receivers, serve):
    servers = [receivers, serve()]
    headers = receivers.headers()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda turn: servers[turn % 2].status(headers=headers), range(16)))
    assert sorted(found) == [202] + [409] * 15


def test_of_many_different_ones_none_is_forgotten(receivers, serve):
    servers = [receivers, serve()]
    each = [receivers.headers() for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda turn: servers[turn % 2].status(headers=each[turn]), range(16)))
    assert found == [202] * 16
    assert receivers.received().keys() == {headers["webhook-id"] for headers in each}


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_repeated_header(receivers, name):
    assert refused(receivers, **{name: None}) == 400
    assert refused(receivers, **{name: ""}) == 400
    headers = receivers.headers()
    connection = http.client.HTTPConnection(urlsplit(receivers.url).netloc, timeout=30)
    connection.putrequest("POST", "/mendix/hooks/shop")
    for header, value in [*headers.items(), (name, headers[name]), ("Content-Length", str(len(BODY)))]:
        connection.putheader(header, value)
    connection.endheaders(BODY)
    assert connection.getresponse().status == 400
    assert receivers.wakeup() is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"{}"', b"{", b"{} {}", b"\xff", b'{"a": "\xff"}', b"{'a': 1}", b'{"a":' * 5000],
)
def test_a_body_that_is_no_json_object(receivers, body):
    assert refused(receivers, body=body) == 400


def test_oversized(serve):
    receivers = serve(Limits(body_size=1000, per_address=10**6))

    def body(size: int) -> bytes:
        return json.dumps({"a": "x" * (size - 9)}).encode()

    assert len(body(1000)) == 1000
    assert receivers.status(body(1000)) == 202
    assert refused(receivers, body=body(1001)) == 413
    chunked = receivers.headers(body(1000))
    assert receivers.send(iter([body(1000)]), chunked).status_code == 202
    chunked = receivers.headers(body(5000))
    before = receivers.wakeup()
    assert receivers.send(iter([body(5000)[:3000], body(5000)[3000:]]), chunked).status_code == 413
    assert receivers.wakeup() == before


def test_an_announced_length_is_refused_before_the_body_is_read(receivers):
    with talking(receivers, {"Content-Length": "1048577"}) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_slow(serve):
    receivers = serve(Limits(body_seconds=0.4, per_address=10**6))
    with talking(receivers, {"Content-Length": str(len(BODY))}) as connection:
        connection.sendall(BODY[:10])
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    began = time.monotonic()
    with talking(receivers, {"Transfer-Encoding": "chunked"}) as connection:
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < began + 10:
            connection.sendall(b"1\r\n \r\n")  # each byte comes in time, the body does not
            try:
                answer = connection.recv(100)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert (receivers.wakeup(), receivers.received()) == (None, {})


def test_a_sender_that_leaves(receivers):
    with talking(receivers, {"Content-Length": str(len(BODY))}) as connection:
        connection.sendall(BODY[:10])
    assert receivers.status() == 202


def talking(receivers, headers):
    """Open a connection and send the head of a good webhook."""
    url = urlsplit(receivers.url)
    connection = socket.create_connection((url.hostname, url.port), timeout=30)
    lines = [f"{name}: {value}" for name, value in {**receivers.headers(), **headers, "Host": url.netloc}.items()]
    connection.sendall("\r\n".join(["POST /mendix/hooks/shop HTTP/1.1", *lines, "", ""]).encode())
    return connection


def test_who_does_not_know_the_secret_learns_nothing(receivers):
    """A receiver that does not exist answers as one that does, whatever is wrong."""
    body = BODY
    cases = [
        {},
        receivers.headers(secret=OTHER_SECRET + "x"),
        receivers.headers(secret=OTHER_SECRET + "x", age=600),
        receivers.headers(b"x" * 2**20, OTHER_SECRET + "x"),
    ]
    for headers in cases:
        answers = [receivers.send(body, headers, app=app) for app in ("shop", "nope", "%2e%2e", "Ω")]
        assert len({(answer.status_code, answer.text, str(sorted(answer.headers))) for answer in answers}) == 1
    for path in ("/shop", "/nope"):
        answer = receivers._session.get(receivers.url + path)
        assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    for path in ("", "/", "/shop/", "/shop/x", "/openapi.json/", "/docs/x"):
        assert receivers._session.post(receivers.url + path, BODY, headers=receivers.headers()).status_code == 404
    assert receivers.wakeup() is None


def test_several_secrets_during_a_rotation(receivers, monkeypatch, caplog):
    assert receivers.status(headers=receivers.headers(secret=OTHER_SECRET)) == 401
    set_connection(monkeypatch, CONN_ID, conn_type="generic", password=f"{OTHER_SECRET} \n {SECRET}")
    assert receivers.status(headers=receivers.headers(secret=OTHER_SECRET)) == 401, "looked up less often"
    receivers.clock.sleep(30)
    assert receivers.status(headers=receivers.headers(secret=OTHER_SECRET)) == 202
    assert receivers.status(headers=receivers.headers(secret=SECRET)) == 202
    set_connection(monkeypatch, CONN_ID, conn_type="generic", password=OTHER_SECRET)
    receivers.clock.sleep(30)
    assert receivers.status(headers=receivers.headers(secret=SECRET)) == 401
    assert SECRET not in caplog.text
    assert OTHER_SECRET not in caplog.text


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (None, "has no password"),
        ("", "has no password"),
        ("canary-canary", "has a password that is not one or more validation secrets"),
        (f"{SECRET} canary-canary", "has a password that is not one or more validation secrets"),
    ],
)
def test_without_a_good_secret_everything_is_refused(serve, monkeypatch, caplog, password, says):
    set_connection(monkeypatch, CONN_ID, conn_type="generic", password=password)
    receivers = serve()
    assert refused(receivers) == 401
    assert refused(receivers, **receivers.headers(secret=password or "")) == 401
    assert f"Webhooks of app shop are refused: connection {CONN_ID} {says}" in caplog.text
    assert "canary" not in caplog.text
    assert receivers.status(headers=receivers.headers(secret=OTHER_SECRET), app="plan") == 202


def test_without_its_connection_everything_is_refused(serve, monkeypatch, caplog):
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    assert refused(serve()) == 401
    assert f"connection {CONN_ID} cannot be read" in caplog.text


def test_an_address_that_is_refused_too_often_has_to_wait(serve):
    receivers = serve(Limits(per_address=3))
    for _ in range(50):
        assert receivers.status() == 202, "good ones are not counted"
    assert [refused(receivers, webhook_id="x") for _ in range(3)] == [401] * 3
    answer = receivers.send()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    receivers.clock.sleep(20)
    assert receivers.status() == 202


def test_a_replay_counts_as_refused(serve):
    receivers = serve(Limits(per_address=2))
    headers = receivers.headers()
    assert [receivers.status(headers=headers) for _ in range(4)] == [202, 409, 409, 429]


def test_too_many_at_the_same_time(serve):
    receivers = serve(Limits(in_flight=2, per_address=10**6))
    opened = [talking(receivers, {"Content-Length": str(len(BODY))}) for _ in range(2)]
    try:
        # The two are in the server when a third is refused; that they are only opened here says little.
        deadline = time.monotonic() + 10
        while (answer := receivers.send()).status_code == 202 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    finally:
        for connection in opened:
            connection.sendall(BODY)
            connection.recv(100)
            connection.close()
    assert receivers.status() == 202


def test_a_database_that_fails(receivers, metadata, caplog):
    from airflow.models import Variable
    from airflow.settings import engine

    table = Variable.__table__
    headers = receivers.headers()
    table.drop(engine)
    try:
        answer = receivers.send(headers=headers)
    finally:
        table.create(engine)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "cannot be dealt with" in caplog.text
    assert receivers.status(headers=headers) == 202, "Mendix sends it again"


def test_what_the_simulator_sends(receivers, platform):
    for url in (f"{receivers.url}/shop", f"{receivers.url}/plan"):
        platform.webhooks.add("shop", url, validation_secret=SECRET)
    found = [
        [sent.status for sent in deliver(platform, "shop", **how)]
        for how in (
            {},
            {"times": 2},
            {"age": 600},
            {"forged": True},
            {"message_id": "msg_z"},
            {"message_id": "msg_z"},
        )
    ]
    assert found == [[202, 401], [202, 409, 401, 401], [401, 401], [401, 401], [202, 401], [409, 401]]


names = st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"])
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(names, printable | st.just(None), max_size=3),
    body=st.binary(max_size=300) | st.just(BODY),
    signed_body=st.binary(max_size=50) | st.just(BODY),
    age=st.sampled_from([0, 0, 0, 299, 301, -301, 10**6]),
    secret=st.sampled_from([SECRET, SECRET, OTHER_SECRET, SECRET.lower(), SECRET[:-1]]),
    app=st.sampled_from(["shop", "plan", "nope"]),
)
def test_generated_webhooks(receivers, changes, body, signed_body, age, secret, app):
    """Only what Mendix signed with the secret of the app, as it was sent, a short time ago, does something."""
    headers = receivers.headers(signed_body, secret, age=age)
    sent = {**headers, **changes}
    good = (
        all(sent[name] == value for name, value in headers.items())
        and body == signed_body
        and abs(age) < 300
        and secret == {"shop": SECRET, "plan": OTHER_SECRET}.get(app)
    )
    before = {name: (receivers.wakeup(name), receivers.received(name)) for name in ("shop", "plan")}

    answer = receivers.send(body, sent, app=app)

    after = {name: (receivers.wakeup(name), receivers.received(name)) for name in ("shop", "plan")}
    changed = [name for name in before if before[name] != after[name]]
    if good and body == BODY:
        assert (answer.status_code, changed) == (202, [app])
    else:
        assert answer.status_code in ((400,) if good else (400, 401))
        assert changed == []
    assert answer.text == http.client.responses[answer.status_code]
