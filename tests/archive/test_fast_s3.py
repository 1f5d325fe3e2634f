"""The fast path to S3: as whole as the plain one, and taken only where it does all that the connection says."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import trustme
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.archive.stores.base import RemoteStore, fast_s3, s3_settings, store_of
from airflow_provider_mendix.archive.stores.fast_s3 import FastS3Store

from .conftest import BOTH, MIB, SECRET_OF_S3, forget_connections, transfer
from .wire import Wire

BIG = 9 * MIB  # two parts


@pytest.fixture
def big(platform, server):
    platform.package_size = BIG
    return platform.add_package("shop", version="2.5.4", revision="9f3ab2c1")


def where(folder="shop", name="2.5.4.mda"):
    return ObjectStoragePath(f"s3://releases/{folder}/{name}", conn_id="s3")


@pytest.mark.parametrize("fate", ["refuse", "lose"])
def test_any_call_may_be_refused_or_its_answer_lost(fate, big, wired, wire, platform, context):
    transfer(big, wired("healthy")).execute(context)
    names = list(wire.calls)
    assert names.count("UploadPart") >= 2
    for number, name in enumerate(names, 1):
        place = wired(f"failing-{number}")
        wire.at(number, fate)
        try:
            transfer(big, place).execute(context)
            passed = True
        except OSError:
            passed = False
        wire.forget()
        if passed:
            assert place.is_archived(platform, big), name
        elif BOTH[0] in place.objects():
            assert place.content() == platform.content(big)
        else:
            # Of an upload whose id never arrived, only the next try knows how to get rid.
            assert place.is_empty() or name == "CreateMultipartUpload", name
        transfer(big, place).execute(context)
        assert place.is_archived(platform, big), name


@pytest.mark.parametrize("fate", ["cut", "fail"])
@pytest.mark.parametrize("name", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_line_that_breaks_once_is_no_failure(name, fate, big, wired, wire, platform, context):
    done = []

    def once(called, _):
        if called == name and not done:
            done.append(True)
            return fate
        return None

    wire.before = once
    transfer(big, wired()).execute(context)
    assert done
    assert wired().is_archived(platform, big)


@pytest.fixture
def interrupts():
    """What a process does with SIGINT by itself; a worker of a test run in parallel ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_store_that_is_silent_does_not_hold_up_a_signal(wired, wire, monkeypatch):
    monkeypatch.setattr(fast_s3, "_GIVING_UP", 0.5)
    answers = threading.Event()
    wire.before = lambda name, _: answers.wait(30) and None if name == "UploadPart" else None
    place = wired()
    store = store_of(place.path)

    def pieces():
        for _ in range(1000):
            yield bytes(MIB)

    def interrupt():
        while "UploadPart" not in wire.calls:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        store.commit(place.path.path, pieces())
    answers.set()
    deadline = time.monotonic() + 20
    while wire.calls[-1] != "AbortMultipartUpload":
        assert time.monotonic() < deadline, wire.calls
        time.sleep(0.1)
    time.sleep(0.2)
    assert "CompleteMultipartUpload" not in wire.calls
    assert place.is_empty()


def test_the_server_can_check_every_part(big, wired, wire, context, monkeypatch):
    seen = watch(wire)
    transfer(big, wired()).execute(context)
    parts = [(headers, body) for name, headers, body in seen if name == "UploadPart"]
    assert sum(len(body) for _, body in parts) == BIG
    for headers, body in parts:
        digest = hashlib.sha256(body)
        assert headers["x-amz-content-sha256"] == digest.hexdigest()
        assert headers["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    seen.clear()
    forget_connections()
    transfer(big, wired("without")).execute(context)
    (headers, body), *_ = [(headers, body) for name, headers, body in seen if name == "UploadPart"]
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()


def watch(wire):
    """Note the headers and the body of each call."""
    seen = []
    wire.watch = lambda name, headers, body: seen.append((name, {n.lower(): v for n, v in headers.items()}, body))
    return seen


def test_keys_are_not_changed(s3_fast, tmp_path):
    for name in ("a b+c=@,(d).mda", "ü-漢.mda", "a%20b#?*~.mda", " lead", ".hidden"):
        path = where(tmp_path.name, name)
        store = store_of(path)
        store.commit(path.path, [b"x"])
        assert store.find(path.path).size == 1
        assert b"".join(store.read(path.path)) == b"x"


@pytest.mark.parametrize("name", ["a/../b", "a/./b", "a\x07b"])
def test_keys_that_would_be_changed_take_the_plain_path(name, s3, caplog):
    caplog.set_level("INFO")
    assert not is_fast(where("x", name))
    assert "such a key" in caplog.text


def is_fast(path=None, **options) -> bool:
    return isinstance(store_of(path or where(), **options), FastS3Store)


@pytest.mark.parametrize(
    "extra",
    [
        {"verify": True},
        {"config_kwargs": {}},
        {"config_kwargs": {"s3": {"addressing_style": "path"}}},
        {"config_kwargs": {"signature_version": "s3v4"}},
        {"service_config": {"emr": {"job_flow_role": "x"}}},
        {"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:9000"}}},
        {"aws_access_key_id": "access", "aws_secret_access_key": "x", "aws_session_token": "y"},
    ],
)
def test_settings_that_are_understood(extra, s3, connect):
    connect(**extra)
    assert is_fast()
    assert not is_fast(fast_path=False)


@pytest.mark.parametrize(
    ("named", "extra"),
    [
        ("the connection's shiny", {"shiny": "VALUE"}),
        ("the connection's session_kwargs", {"session_kwargs": {"aws_access_key_id": "VALUE"}}),
        ("the connection's verify", {"verify": False}),
        ("the connection's verify", {"verify": "/VALUE.pem"}),
        ("config_kwargs.proxies", {"config_kwargs": {"proxies": {"http": "http://VALUE:1"}}}),
        ("config_kwargs.max_pool_connections", {"config_kwargs": {"max_pool_connections": 3}}),
        ("botocore's s3.use_accelerate_endpoint", {"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}),
        ("botocore's signature_version", {"config_kwargs": {"signature_version": "s3"}}),
        ("service_config.s3.proxy-uri", {"service_config": {"s3": {"proxy-uri": "http://VALUE:1"}}}),
        ("service_config.s3.bucket_name", {"service_config": {"s3": {"bucket_name": "VALUE"}}}),
    ],
)
def test_settings_that_are_not(named, extra, s3, connect, caplog):
    caplog.set_level("INFO", "airflow_provider_mendix")
    connect(**extra)
    assert type(store_of(where())) is RemoteStore
    (line,) = [
        record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_mendix")
    ]
    assert line == f"Taking the plain path to S3: the fast one does not know what to do with {named}."
    assert "VALUE" not in line


@pytest.mark.parametrize(
    ("named", "variables"),
    [
        ("the environment's AWS_SERVER_SIDE_ENCRYPTION", {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms"}),
        ("the environment's AWS_NEW_THING", {"AWS_NEW_THING": "1"}),
        ("the environment's proxy", {"HTTP_PROXY": "http://127.0.0.1:1"}),
        ("botocore's use_fips_endpoint", {"AWS_USE_FIPS_ENDPOINT": "true"}),
    ],
)
def test_what_the_environment_says(named, variables, s3, connect, monkeypatch, caplog):
    caplog.set_level("INFO", "airflow_provider_mendix")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3_settings, "_ENVIRONMENT", s3_settings._ENVIRONMENT | {"AWS_USE_FIPS_ENDPOINT"})
    forget_connections()
    assert not is_fast()
    assert named in caplog.text


def test_a_proxy_that_is_not_for_this_server_is_not_asked(s3, connect, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = where(tmp_path.name)
    store = store_of(path)
    assert isinstance(store, FastS3Store)
    store.commit(path.path, [b"x"])
    assert store.find(path.path).size == 1


def test_settings_that_cannot_be_read_take_the_plain_path(s3, monkeypatch, caplog):
    monkeypatch.setattr(fast_s3, "settings_of", lambda _: {}["where the library had it"])
    assert not is_fast()
    assert "cannot be read (KeyError)" in caplog.text


def test_without_its_library_one_quiet_line(s3, monkeypatch, caplog):
    caplog.set_level("INFO", "airflow_provider_mendix")
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert not is_fast()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "airflow-provider-mendix[fast]" in record.getMessage()


@pytest.fixture
def security_tokens(s3_login):
    """A service that hands out a key for a role, which is about to expire; gives its port, and counts."""
    handed_out = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            handed_out.append(f"token-{len(handed_out)}")
            expires = (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
            body = f"""<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{s3_login}</AccessKeyId>
                <SecretAccessKey>{SECRET_OF_S3}</SecretAccessKey><SessionToken>{handed_out[-1]}</SessionToken>
                <Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>""".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
        yield SimpleNamespace(port=service.server_port, handed_out=handed_out)
        service.shutdown()


def test_a_role_is_assumed_and_its_key_is_renewed(
    big, s3_fast, wire, connect, security_tokens, platform, context, monkeypatch
):
    monkeypatch.setattr(s3_settings, "_GOOD_FOR", timedelta())
    seen = watch(wire)
    connect(
        endpoint_url=f"http://127.0.0.1:{wire.port}",
        role_arn="arn:aws:iam::123456789012:role/releases",
        service_config={"sts": {"endpoint_url": f"http://127.0.0.1:{security_tokens.port}"}},
    )
    transfer(big, s3_fast()).execute(context)
    assert s3_fast().is_archived(platform, big)
    # Parts go side by side, and may do so with one key.
    upload = ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
    tokens = {headers["x-amz-security-token"] for name, headers, _ in seen if name in upload}
    assert len(tokens) >= 2
    assert tokens <= set(security_tokens.handed_out)


def test_nothing_says_the_secret(s3_fast, connect, wire, tmp_path, caplog, capfd, monkeypatch):
    caplog.set_level("DEBUG")
    for name in ("botocore", "aiobotocore"):
        logging.getLogger(name).setLevel("INFO")
    path = where(tmp_path.name)
    settings = s3_settings.settings_of(path)
    store = FastS3Store(path.fs, settings)
    said = repr(settings) + repr(store) + repr(store._store) + str(store._store.config)
    echo = f"<Error><Code>Denied</Code><Message>{SECRET_OF_S3}</Message></Error>".encode()
    monkeypatch.setattr("tests.archive.wire.REFUSED", echo)
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    path = where(tmp_path.name)
    store = store_of(path)
    wire.before = lambda name, _: "refuse" if name == "UploadPart" else None
    with pytest.raises(OSError, match="S3 refused: HTTP 403 Denied") as refused:
        store.commit(path.path, [b"x"])
    assert refused.value.__context__ is None
    said += repr(refused.value)
    said += caplog.text + "".join(capfd.readouterr())
    assert SECRET_OF_S3 not in said


def test_a_server_that_is_not_there(s3, connect):
    connect(endpoint_url="http://127.0.0.1:1")
    path = where()
    store = store_of(path)
    store._store = impatient(s3_settings.settings_of(path))
    with pytest.raises(OSError, match=r"S3 cannot be used \(GenericError\)"):
        store.commit(path.path, [b"x"])


def impatient(settings):
    """Open a bucket without any retries."""
    from obstore.store import S3Store

    return S3Store(
        config=settings.config,
        client_options=settings.client_options,
        credential_provider=settings.credentials,
        retry_config={"max_retries": 0},
    )


def test_a_private_authority_is_trusted_where_botocore_trusts_it(s3, connect, s3_port, monkeypatch, tmp_path):
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Wire(s3_port, authority.issue_cert("127.0.0.1")) as wire:
        connect(endpoint_url=f"https://127.0.0.1:{wire.port}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        forget_connections()
        path = where(tmp_path.name)
        store = store_of(path)
        assert isinstance(store, FastS3Store)
        store.commit(path.path, [b"x"])
        assert b"".join(store.read(path.path)) == b"x"

        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        settings = s3_settings.settings_of(path)
        settings.client_options["root_certificate"] = other.read_bytes()
        store._store = impatient(settings)
        with pytest.raises(OSError, match="S3 cannot be used"):
            store.commit(path.path, [b"y"])


AMAZON = "https://s3.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "style", "bucket", "found"),
    [
        (AMAZON, None, "shop", ("https://shop.s3.eu-west-1.amazonaws.com", "eu-west-1", True)),
        (
            "https://s3.amazonaws.com",
            "auto",
            "shop",
            ("https://shop.s3.eu-west-1.amazonaws.com", "eu-west-1", True),
        ),
        (AMAZON, None, "shop.example", ("https://s3.eu-west-1.amazonaws.com", "eu-west-1", False)),
        (AMAZON, "path", "shop", ("https://s3.eu-west-1.amazonaws.com", "eu-west-1", False)),
        (AMAZON + ".cn", None, "shop", ("https://shop.s3.eu-west-1.amazonaws.com.cn", "eu-west-1", True)),
        ("http://minio:9000/", None, "shop", ("http://minio:9000", "eu-central-1", False)),
        ("http://minio:9000", "virtual", "shop", ("http://shop.minio:9000", "eu-central-1", True)),
    ],
)
def test_where_a_bucket_is(endpoint, style, bucket, found):
    def call_s3(method, Bucket):  # noqa: N803
        assert (method, Bucket) == ("head_bucket", bucket)
        return {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}}

    session = SimpleNamespace(_proxy_config=SimpleNamespace(_proxies={}))
    config = SimpleNamespace(s3={"addressing_style": style})
    client = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url=endpoint, region_name="eu-central-1", config=config),
        _endpoint=SimpleNamespace(http_session=session),
    )
    assert s3_settings._where(SimpleNamespace(call_s3=call_s3), client, bucket) == found
