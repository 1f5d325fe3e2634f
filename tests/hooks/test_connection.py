"""What a connection may hold: every value is checked by name, on the worker and in the triggerer alike."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseHook, Connection

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.api.deploy import DEPLOY_API
from airflow_provider_mendix.exceptions import InvalidConnectionError
from airflow_provider_mendix.hooks.connection import account_of, base_url, credential
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.package import MendixStartBuildOperator

from ..conftest import KEY, set_connection

CANARY = "canary-0123456789"


@pytest.fixture(params=["worker", "triggerer"])
def read(request):
    """Read the account of the default connection in one of the two ways."""
    if request.param == "worker":
        return lambda: MendixHook().get_conn().account
    return lambda: asyncio.run(MendixHook().aget_account())


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://deploy.mendix.com"),
        ({"host": ""}, "https://deploy.mendix.com"),
        ({"host": "mendix.example.com"}, "https://mendix.example.com"),
        ({"host": "https://mendix.example.com/", "port": 8443}, "https://mendix.example.com:8443"),
        ({"host": "http://127.0.0.1:8787"}, "http://127.0.0.1:8787"),
        ({"host": "http://localhost", "port": 8787}, "http://localhost:8787"),
        ({"host": "mendix.example.com", "schema": "ignored"}, "https://mendix.example.com"),
    ],
)
def test_host_and_port_of_the_connection_make_the_base_url(fields, url, monkeypatch):
    set_connection(monkeypatch, **fields)
    assert MendixHook().get_conn().account.base_url(DEPLOY_API) == url


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("mendix://ana:key@/", "https://deploy.mendix.com"),
        ("mendix://ana:key@mendix.example.com:8443/", "https://mendix.example.com:8443"),
        ("mendix://https://ana:key@mendix.example.com", "https://mendix.example.com"),
        ("mendix://http://ana:key@127.0.0.1:8787", "http://127.0.0.1:8787"),
    ],
)
def test_a_connection_uri_works_too(uri, url, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MENDIX_DEFAULT", uri + "?timeout=30&verify=false&proxy=http%3A%2F%2Fp%3A1")
    account = MendixHook().get_conn().account
    assert (account.username, account.api_key) == ("ana", "key")
    assert account.base_url(DEPLOY_API) == url
    assert (account.timeout, account.verify, account.proxy) == (30, False, "http://p:1")


ALL_SET = {
    "personal_access_token": "pat",
    "repository_url": "https://repo.example.com",
    "webhooks_url": "https://hooks.example.com",
    "timeout": 30,
    "verify": "/ca.pem",
    "proxy": "http://ana:secret@p:1",
}


def test_every_value_of_the_extra(read, monkeypatch):
    set_connection(monkeypatch, host="https://m.example.com", extra=ALL_SET)

    account = read()

    assert account.base_urls[Host.REPOSITORY] == "https://repo.example.com"
    assert account.base_urls[Host.WEBHOOKS] == "https://hooks.example.com"
    assert account.personal_access_token == "pat"
    assert (account.timeout, account.verify, account.proxy) == (30, "/ca.pem", "http://ana:secret@p:1")


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("name", ALL_SET)
def test_an_empty_value_counts_as_not_set(read, monkeypatch, name, empty):
    set_connection(monkeypatch, extra={name: empty})

    account = read()

    assert (account.has_token, account.base_urls, account.timeout, account.verify, account.proxy) == (
        False,
        {},
        60,
        True,
        None,
    )


@pytest.mark.parametrize("extra", [None, "", "{}", {}])
def test_no_extra(read, monkeypatch, extra):
    set_connection(monkeypatch, extra=extra)

    assert read().timeout == 60


def test_an_extra_as_text(read, monkeypatch):
    set_connection(monkeypatch, extra=json.dumps({"timeout": "12.5", "verify": False}))

    account = read()

    assert (account.timeout, account.verify) == (12.5, False)


@pytest.mark.parametrize(
    ("value", "verify"),
    [(True, True), ("true", True), (" True ", True), ("FALSE", False), (" /ca.pem ", "/ca.pem")],
)
def test_verify(read, monkeypatch, value, verify):
    set_connection(monkeypatch, extra={"verify": value})

    assert read().verify == verify


ODD = [7, 1.5, True, [CANARY], {"a": CANARY}]
REFUSED = [
    ({"login": ""}, "has no Mendix user name. Put it in the connection's login"),
    ({"password": None}, "has no API key. Put it in the connection's password"),
    ({"password": f"{CANARY}\nX: y"}, "connection's password.* line break"),
    ({"host": "http://mendix.example.com"}, "host of the connection, .*https only"),
    ({"host": f"https://u:{CANARY}@mendix.example.com"}, "host of the connection .*no user, path or query"),
    ({"host": "https://mendix.example.com/api/1"}, "host of the connection .*no user, path or query"),
    ({"host": "mendix.example.com:1", "port": 2}, "two ports"),
    ({"host": "mendix.example.com", "port": 99999}, "port of the connection"),
]
NO_OBJECTS = [
    json.dumps(json.dumps({"timeout": 30})),
    f"['{CANARY}']",
    f'["{CANARY}"]',
    f"{{'a': '{CANARY}'}}",
    f"token={CANARY}",
    "7",
    "true",
]
REFUSED_EXTRA = {
    "personal_access_token": [*ODD, f"{CANARY}\n1"],
    "repository_url": [
        *ODD,
        "http://repo.example.com",
        "https://repo.example.com/v1",
        f"https://u:{CANARY}@repo.example.com",
        f"https://repo.example.com?a={CANARY}",
        "https://[",
    ],
    "webhooks_url": [*ODD, "http://hooks.example.com", f"https://u:{CANARY}@hooks.example.com"],
    "timeout": ["soon", 0, -1, 0.5, 3601, True, "nan", "inf", [30], {"a": 1}, 10**400],
    "verify": [0, 1, 1.5, ["/ca.pem"], {"a": 1}],
    "proxy": [
        *ODD,
        "proxy.example.com:3128",
        f"socks5://u:{CANARY}@p:1",
        f"ftp://{CANARY}",
        "http://",
        "http://p:port",
        "http://p:99999",
        "http://[p",
    ],
}
REFUSED += [
    ({"extra": {name: value}}, f"extra {name}") for name, values in REFUSED_EXTRA.items() for value in values
]


@pytest.mark.parametrize("extra", NO_OBJECTS)
def test_an_extra_that_is_no_object(monkeypatch, extra):
    """Airflow 3.0 refuses it by itself."""
    set_connection(monkeypatch, extra=extra)

    with pytest.raises(InvalidConnectionError, match="extra (is not )?a JSON object") as refused:
        MendixHook().get_conn()

    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(("fields", "said"), REFUSED)
def test_a_value_that_is_refused(read, monkeypatch, fields, said):
    """The message names the field, and shows no secret."""
    set_connection(monkeypatch, **fields)

    with pytest.raises(InvalidConnectionError, match=said) as refused:
        read()

    assert CANARY not in str(refused.value)
    assert KEY not in str(refused.value)
    assert refused.value.final
    assert refused.value.__cause__ is None
    assert MendixHook().test_connection() == (False, str(refused.value))


@pytest.mark.parametrize("value", ODD, ids=str)
@pytest.mark.parametrize("field", ["login", "password", "host"])
def test_a_field_that_is_no_text(field, value):
    """Airflow can read such a connection from some secrets backends only."""
    connection = Connection(conn_id="odd", conn_type="mendix", **{"login": "ana", "password": "key", field: value})

    with pytest.raises(InvalidConnectionError, match=rf"{field}.* must be text, not {type(value).__name__}"):
        account_of(connection, {})


@pytest.mark.parametrize("conn_type", ["http", "aws", "generic", "", None])
def test_a_connection_of_another_type_is_refused(read, monkeypatch, conn_type):
    set_connection(monkeypatch, conn_type=conn_type)

    with pytest.raises(InvalidConnectionError, match="Connection 'mendix_default' is of type .*, not 'mendix'"):
        read()


def test_a_connection_uri_of_another_type_is_refused(read, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MENDIX_DEFAULT", "http://ana:key@deploy.example.com/")

    with pytest.raises(InvalidConnectionError, match="is of type 'http', not 'mendix'"):
        read()


class TestUnknownNames:
    @pytest.fixture
    def warnings(self, caplog):
        def found():
            return [record.getMessage() for record in caplog.records if "without effect" in record.getMessage()]

        with caplog.at_level(logging.INFO):
            yield found

    @pytest.mark.parametrize(
        ("conn_id", "name", "hint"),
        [
            ("unknown_1", "personal_acess_token", "Did you mean personal_access_token?"),
            ("unknown_2", "Timeout", "Did you mean timeout?"),
            ("unknown_3", "extra__mendix__proxy", ""),
            ("unknown_4", "region_name", ""),
        ],
    )
    def test_are_warned_about_once(self, monkeypatch, warnings, conn_id, name, hint):
        set_connection(monkeypatch, conn_id, extra={name: CANARY, "timeout": 30})

        for _ in range(3):
            assert MendixHook(conn_id).get_conn().account.timeout == 30
        asyncio.run(MendixHook(conn_id).aget_account())

        (said,) = warnings()
        assert f"Connection {conn_id}: its extra has names without effect: {name}. {hint}" in said
        assert CANARY not in said

    def test_share_one_warning(self, monkeypatch, warnings):
        set_connection(monkeypatch, "unknown_5", extra={"zeta": 1, "alpha": 2})
        MendixHook("unknown_5").get_conn()

        (said,) = warnings()
        assert "alpha, zeta." in said

    def test_known_ones_are_not_warned_about(self, read, monkeypatch, warnings):
        set_connection(monkeypatch, extra=ALL_SET)
        read()

        assert warnings() == []


class TestMissing:
    def test_it_is_named_after_further_lookups(self, clock):
        began = clock.now()

        with pytest.raises(InvalidConnectionError, match="Connection 'not_there' does not exist") as missing:
            MendixHook("not_there").list_packages("shop")

        assert missing.value.final
        assert clock.now() - began == 10

    def test_a_task_does_not_use_its_retries(self, context):
        task = MendixStartBuildOperator(
            task_id="build", app_id="shop", version="1.0.0", mendix_conn_id="not_there"
        )

        with pytest.raises(AirflowFailException, match="'not_there' does not exist"):
            task.execute(context)

    def test_a_lookup_that_fails_once_does_no_harm(self, server, platform, monkeypatch, clock):
        """Airflow reports a secrets backend that fails in the same way as one without the connection."""
        found = BaseHook.get_connection
        left = iter([AirflowException("The vault is sealed."), None])

        def flaky(hook, conn_id):
            return found("not_there" if next(left, None) else conn_id)

        monkeypatch.setattr(MendixHook, "get_connection", flaky)

        assert MendixHook().list_packages("shop") == []


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("deploy.mendix.com", None, "https://deploy.mendix.com"),
        ("https://deploy.mendix.com", None, "https://deploy.mendix.com"),
        ("https://deploy.mendix.com/", None, "https://deploy.mendix.com"),
        ("HTTPS://Deploy.Mendix.Com", None, "https://deploy.mendix.com"),
        ("deploy.mendix.com", 8443, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com:8443", None, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com:8443", 8443, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com", 0, "https://deploy.mendix.com"),
        ("deploy.mendix.com:0", None, "https://deploy.mendix.com"),
        ("10.0.0.1", None, "https://10.0.0.1"),
        ("localhost:8080", None, "https://localhost:8080"),
        ("http://localhost:8080", None, "http://localhost:8080"),
        ("http://127.0.0.1", 8080, "http://127.0.0.1:8080"),
        ("http://127.8.9.1:8080", None, "http://127.8.9.1:8080"),
        ("http://[::1]:8080", None, "http://[::1]:8080"),
        ("[::1]", 8443, "https://[::1]:8443"),
        ("https://[2001:db8::1]:8443", None, "https://[2001:db8::1]:8443"),
    ],
)
def test_host_and_port(host, port, expected):
    assert base_url(host, port) == expected


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("http://deploy.mendix.com", "http://deploy.mendix.com, is refused: credentials are sent over https only"),
        ("http://10.0.0.1:80", "credentials are sent over https only"),
        ("http://127.0.0.1.example.com", "credentials are sent over https only"),
        ("http://localhost.example.com", "credentials are sent over https only"),
        ("http://[2001:db8::1]", "credentials are sent over https only"),
        ("ftp://deploy.mendix.com", "credentials are sent over https only"),
        ("https://ana:canary@deploy.mendix.com", "a scheme, a host and a port only"),
        ("ana:canary@deploy.mendix.com", "a scheme, a host and a port only"),
        ("https://canary@deploy.mendix.com:443", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com/canary", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com?key=canary", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com#canary", "a scheme, a host and a port only"),
        ("deploy.mendix.com:canary", "is not a host"),
        ("deploy.mendix.com:99999", "is not a host"),
        ("https://[canary", "is not a host"),
        ("https://ana:canary@[::1", "is not a host"),
        ("https://[canary]", "is not a host"),
        ("https://can ary", "is not a host"),
        ("https://can%61ry", "is not a host"),
        ("https://größe.example", "is not a host"),
        ("https://", "is not a host"),
        ("https://:443", "is not a host"),
        ("", "is not a host"),
    ],
)
def test_host_that_is_refused(host, says):
    with pytest.raises(InvalidConnectionError) as raised:
        base_url(host)

    assert says in str(raised.value)
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_two_ports():
    with pytest.raises(InvalidConnectionError, match="two ports, 8443 in its host and 9443"):
        base_url("deploy.mendix.com:8443", 9443)


class TestCredential:
    @pytest.mark.parametrize("value", ["0f6d2c1e", " 0f6d2c1e\n"])
    def test_good(self, value):
        assert credential("API key", value, "password") == "0f6d2c1e"

    @pytest.mark.parametrize("value", [None, "", " \n"])
    def test_missing(self, value):
        with pytest.raises(InvalidConnectionError, match="has no API key. Put it in .*password"):
            credential("API key", value, "password")

    @pytest.mark.parametrize("value", ["canary\nX-More: 1", "canary\r", "can\x00ary", "canaryé", "canary\u200b"])
    def test_a_character_that_no_header_can_carry(self, value):
        if value.strip() == "canary":
            assert credential("API key", value, "password") == "canary"
            return
        with pytest.raises(InvalidConnectionError, match="Copy it again") as raised:
            credential("API key", value, "password")

        assert "canary" not in str(raised.value)
