"""The fast path to S3: taken only where it supports all that the connection says, else the plain path is."""

from __future__ import annotations

import base64
import hashlib
import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import trustme
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.archive.stores import fast_s3
from airflow_provider_mendix.archive.stores.background_upload import BackgroundUpload
from airflow_provider_mendix.archive.stores.selection import select_store

from ..conftest import MIB, SECRET_OF_S3, forget_connections, transfer
from ..wire import Wire

S3Hook = pytest.importorskip("airflow.providers.amazon.aws.hooks.s3").S3Hook
BIG = 9 * MIB  # two parts


@pytest.fixture
def big(platform, server):
    platform.packages.default_size = BIG
    return platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")


def where(folder="shop", name="2.5.4.mda"):
    return ObjectStoragePath(f"s3://releases/{folder}/{name}", conn_id="s3")


def refused_setting(bucket="releases", key="shop/2.5.4.mda") -> str | None:
    """Why the fast path is not taken."""
    try:
        fast_s3.open_fast_path(S3Hook(aws_conn_id="s3"), bucket, key)
    except fast_s3.UnsupportedSettingError as reason:
        return str(reason)
    return None


def test_the_server_can_check_every_part(big, s3_fast, wire, connect, context, monkeypatch):
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    seen = watch(wire)
    transfer(big, s3_fast()).execute(context)
    parts = [(headers, body) for name, headers, body in seen if name == "UploadPart"]
    assert sum(len(body) for _, body in parts) == BIG
    for headers, body in parts:
        digest = hashlib.sha256(body)
        assert headers["x-amz-content-sha256"] == digest.hexdigest()
        assert headers["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    seen.clear()
    forget_connections()
    transfer(big, s3_fast("without")).execute(context)
    (headers, body), *_ = [(headers, body) for name, headers, body in seen if name == "UploadPart"]
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()


def watch(wire):
    """Note the headers and the body of each call."""
    seen = []
    wire.watch = lambda name, headers, body: seen.append((name, {n.lower(): v for n, v in headers.items()}, body))
    return seen


@pytest.mark.parametrize("key", ["a/../b", "a/./b", "a//b", "a\x07b"])
def test_keys_that_would_be_changed(key, s3):
    assert refused_setting(key=key) == "such a key is not supported by the fast path"


@pytest.mark.parametrize("bucket", ["shop--x-s3", "arn:aws:s3:eu-west-1:1:accesspoint/shop", "x"])
def test_buckets_that_are_not_supported(bucket, s3):
    assert refused_setting(bucket=bucket) == "such a bucket is not supported by the fast path"


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
def test_settings_that_are_supported(extra, s3, connect):
    connect(**extra)
    assert refused_setting() is None


@pytest.mark.parametrize(
    ("named", "extra"),
    [
        ("the connection's shiny", {"shiny": "VALUE"}),
        ("the connection's session_kwargs", {"session_kwargs": {"aws_access_key_id": "VALUE"}}),
        ("the connection's verify", {"verify": False}),
        ("config_kwargs.proxies", {"config_kwargs": {"proxies": {"http": "http://VALUE:1"}}}),
        ("config_kwargs.max_pool_connections", {"config_kwargs": {"max_pool_connections": 3}}),
        ("botocore's s3.use_accelerate_endpoint", {"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}),
        ("botocore's signature_version", {"config_kwargs": {"signature_version": "s3"}}),
        ("service_config.s3.proxy-uri", {"service_config": {"s3": {"proxy-uri": "http://VALUE:1"}}}),
        ("service_config.s3.bucket_name", {"service_config": {"s3": {"bucket_name": "VALUE"}}}),
    ],
)
def test_settings_that_are_not(named, extra, s3, connect):
    connect(**extra)
    assert refused_setting() == f"{named} is not supported by the fast path"


def test_the_log_names_the_setting_and_not_its_value(s3, connect, caplog, tmp_path):
    caplog.set_level("INFO", "airflow_provider_mendix")
    connect(shiny="VALUE")
    path = where(tmp_path.name)
    select_store(path).commit(path.path, [b"x"])
    assert path.read_bytes() == b"x"
    line = "Taking the plain path to S3: the connection's shiny is not supported by the fast path."
    assert [record.getMessage() for record in caplog.records if "plain path" in record.getMessage()] == [line]


@pytest.mark.parametrize(
    ("named", "variables"),
    [
        ("the environment's AWS_SERVER_SIDE_ENCRYPTION", {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms"}),
        ("the environment's AWS_NEW_THING", {"AWS_NEW_THING": "1"}),
        ("the environment's proxy", {"HTTP_PROXY": "http://127.0.0.1:1"}),
        ("the environment's AWS_USE_FIPS_ENDPOINT", {"AWS_USE_FIPS_ENDPOINT": "true"}),
    ],
)
def test_what_the_environment_says(named, variables, s3, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert named in refused_setting()


@pytest.mark.parametrize(
    ("named", "settings"),
    [
        ("botocore's use_fips_endpoint", "use_fips_endpoint = true"),
        ("botocore's s3.use_accelerate_endpoint", "s3 =\n  use_accelerate_endpoint = true"),
    ],
)
def test_what_the_configuration_file_says(named, settings, s3, monkeypatch, tmp_path):
    file = tmp_path / "config"
    file.write_text(f"[default]\n{settings}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    assert named in refused_setting()


def test_a_session_factory_of_ones_own(s3, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW__AWS__SESSION_FACTORY", "airflow.providers.amazon.aws.hooks.base_aws.BaseSessionFactory"
    )
    assert "session_factory" in refused_setting()


def test_a_proxy_that_is_not_for_this_server_is_not_asked(s3_fast, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = where(tmp_path.name)
    select_store(path).commit(path.path, [b"x"])
    assert path.read_bytes() == b"x"


def test_a_value_that_only_obstore_refuses(s3, monkeypatch, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    monkeypatch.setattr(fast_s3, "_endpoint", lambda meta, bucket: ("https://127.0.0.1:1", "us-east-1", False))
    assert "cannot be opened" in refused_setting()


def test_without_its_library_one_quiet_line(s3, monkeypatch, caplog, tmp_path):
    caplog.set_level("INFO", "airflow_provider_mendix")
    monkeypatch.setitem(sys.modules, "obstore", None)
    path = where(tmp_path.name)
    select_store(path).commit(path.path, [b"x"])
    (record,) = [record for record in caplog.records if record.name.startswith("airflow_provider_mendix")]
    assert record.levelno == logging.INFO
    assert "airflow-provider-mendix[fast]" in record.getMessage()


@pytest.mark.parametrize(
    ("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"), (403, "AccessDenied")]
)
def test_what_is_refused_before_the_first_byte_goes_the_plain_way(
    status, code, big, s3_fast, wire, connect, platform, context, caplog
):
    """Such as a bucket in another region, which boto3 follows."""
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    refused = []

    def refuse_once(name, _):
        if name != "CreateMultipartUpload" or refused:
            return None
        refused.append(name)
        return status, code

    wire.before = refuse_once
    result = transfer(big, s3_fast()).execute(context)
    assert result["stored"] is True
    assert s3_fast().is_archived(platform, big)
    assert wire.calls.count("CreateMultipartUpload") == 2
    assert "the fast path was refused before the first byte" in caplog.text


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
    monkeypatch.setattr(fast_s3, "_CREDENTIALS_TTL", timedelta())
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
    echo = f"<Error><Code>Denied</Code><Message>{SECRET_OF_S3}</Message></Error>".encode()
    monkeypatch.setattr("tests.archive.wire.REFUSED", echo)
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    path = where(tmp_path.name)
    wire.before = lambda name, _: "refuse" if name == "UploadPart" else None
    with pytest.raises(OSError, match=r"S3 refused the upload of s3://releases/\S+: HTTP 403 Denied") as refused:
        select_store(path).commit(path.path, [b"x"])
    assert refused.value.__context__ is None
    said = repr(refused.value) + caplog.text + "".join(capfd.readouterr())
    assert SECRET_OF_S3 not in said


def test_a_server_that_is_not_there(s3, connect):
    """Both paths try; the plain one has the last word."""
    connect(endpoint_url="http://127.0.0.1:1", config_kwargs={"retries": {"max_attempts": 1}})
    with pytest.raises(OSError, match="S3 cannot be used for s3://releases/shop/2.5.4.mda: Could not connect"):
        select_store(where()).commit(where().path, [b"x"])


@pytest.mark.parametrize("by", ["environment", "connection"])
def test_a_private_authority_is_trusted_where_boto3_trusts_it(
    by, s3, s3_port, connect, monkeypatch, tmp_path, caplog
):
    caplog.set_level("INFO", "airflow_provider_mendix")
    authority, other = trustme.CA(), trustme.CA()
    bundle, wrong = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(bundle)
    other.cert_pem.write_to_path(wrong)
    with Wire(s3_port, authority.issue_cert("127.0.0.1")) as wire:
        for trusted, name in ((bundle, "right"), (wrong, "wrong")):
            extra = {"endpoint_url": f"https://127.0.0.1:{wire.port}", "config_kwargs": {}}
            if by == "connection":
                extra["verify"] = str(trusted)
            else:
                monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
            connect(**extra)
            send = fast_s3.open_fast_path(S3Hook(aws_conn_id="s3"), "releases", f"{tmp_path.name}/{name}")
            upload = BackgroundUpload(send, name)
            if trusted is wrong:
                assert "S3 cannot be used" in str(upload.begin())
            else:
                assert upload.begin() is None
                upload.commit([b"x"])


AMAZON = "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "style", "bucket", "found"),
    [
        (AMAZON, None, "shop", ("https://shop.s3.eu-west-1.amazonaws.com", True)),
        ("https://s3.amazonaws.com", "auto", "shop", ("https://shop.s3.amazonaws.com", True)),
        (AMAZON, None, "shop.example", (AMAZON, False)),
        (AMAZON, "path", "shop", (AMAZON, False)),
        (f"{AMAZON}.cn", None, "shop", ("https://shop.s3.eu-west-1.amazonaws.com.cn", True)),
        ("http://minio:9000/", None, "shop", ("http://minio:9000", False)),
        ("http://minio:9000", "virtual", "shop", ("http://shop.minio:9000", True)),
    ],
)
def test_where_a_bucket_is(endpoint, style, bucket, found):
    config = SimpleNamespace(s3={"addressing_style": style})
    meta = SimpleNamespace(endpoint_url=endpoint, region_name="eu-west-1", config=config)
    assert fast_s3._endpoint(meta, bucket) == (found[0], "eu-west-1", found[1])


def test_without_a_region_it_is_not_taken():
    meta = SimpleNamespace(endpoint_url=AMAZON, region_name="aws-global", config=SimpleNamespace(s3=None))
    with pytest.raises(fast_s3.UnsupportedSettingError, match="region_name"):
        fast_s3._endpoint(meta, "shop")
