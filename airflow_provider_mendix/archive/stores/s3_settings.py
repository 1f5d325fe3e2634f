"""What a connection to S3 says, as far as the fast path can do the same; everything else has it stay away."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import msgspec

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_EXTRAS = {
    *("region_name", "endpoint_url", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    *("profile_name", "role_arn", "assume_role_method", "assume_role_kwargs", "assume_role_with_saml"),
    *("assume_role_with_web_identity_federation", "assume_role_with_web_identity_federation_audience"),
    *("assume_role_with_web_identity_token_file", "config_kwargs", "service_config", "verify"),
}
_CONFIG_KWARGS = {"s3", "signature_version", "request_checksum_calculation"}

_ANY = object()
_CLIENT = {
    **dict.fromkeys(("_inject_host_prefix", "_supplied_user_agent", "_user_provided_options"), _ANY),
    **dict.fromkeys(
        ("user_agent", "user_agent_appid", "user_agent_extra", "region_name", "parameter_validation"), _ANY
    ),
    **dict.fromkeys(("connect_timeout", "read_timeout", "retries", "max_pool_connections", "tcp_keepalive"), _ANY),
    **dict.fromkeys(("connector_args", "http_session_cls", "warm_up_loader_caches", "defaults_mode"), _ANY),
    **dict.fromkeys(("disable_request_compression", "request_min_compression_size_bytes"), _ANY),
    **dict.fromkeys(("parameter_validation", "endpoint_discovery_enabled", "account_id_endpoint_mode"), _ANY),
    **dict.fromkeys(("ignore_configured_endpoint_urls", "response_checksum_validation"), _ANY),
    "signature_version": ("s3v4",),
    "request_checksum_calculation": ("when_supported", "when_required"),
}
"""Options of botocore's client that change nothing here, or the values that are understood."""

_CLIENT_S3 = {"addressing_style": (None, "auto", "path", "virtual"), "payload_signing_enabled": _ANY}

_ENVIRONMENT = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_REGION"),
    *("AWS_CREDENTIAL_EXPIRATION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED"),
    *("AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_STS_REGIONAL_ENDPOINTS"),
    *("AWS_EXECUTION_ENV", "AWS_SDK_LOAD_CONFIG", "AWS_SDK_UA_APP_ID", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"),
    *("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_PAGER"),
    *("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_DEFAULT_OUTPUT"),
    *("AWS_RESPONSE_CHECKSUM_VALIDATION", "AWS_DATA_PATH"),
}
"""Variables that botocore has followed already, or that are nobody's business here. `obstore` reads more."""

_AMAZON = re.compile(r"s3(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
_GOOD_FOR = timedelta(minutes=5)


class UnsupportedSettingError(Exception):
    """Names the setting that the fast path does not do, without its value."""


class Settings(msgspec.Struct, frozen=True):
    """How to open a bucket. There are no secrets in it, only somebody who can be asked for them."""

    config: dict[str, Any]
    client_options: dict[str, Any]
    credentials: Callable[[], dict[str, Any]]

    def open(self) -> Any:
        """Give the `obstore` for it."""
        from obstore.store import S3Store

        return S3Store(
            config=self.config,  # type: ignore[arg-type]
            client_options=self.client_options,  # type: ignore[arg-type]
            retry_config={"max_retries": 6, "retry_timeout": timedelta(minutes=3)},
            credential_provider=self.credentials,  # type: ignore[arg-type]
        )


def settings_of(destination: ObjectStoragePath) -> Settings:
    """Read a connection, and what its client has become by files and the environment.

    :raises UnsupportedSettingError: if there is anything in them that is not known to be understood.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    fs = destination.fs
    hook = S3Hook(aws_conn_id=destination.conn_id)
    bucket, key, _ = fs.split_path(destination.path)
    for reason in (
        *_of_name(bucket, key),
        *_of_environment(os.environ),
        *_of_connection(hook.conn_config),
        *_of_file_system(fs),
        *_of_client(fs.s3),
    ):
        raise UnsupportedSettingError(reason)
    credentials = hook.get_session().get_credentials()
    if credentials is None:
        raise UnsupportedSettingError("anonymous access")
    client = fs.s3
    endpoint, region, is_virtual = _where(fs, client, bucket)
    config = {
        "bucket": bucket,
        "region": region,
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": is_virtual,
        # What the environment may say otherwise.
        "unsigned_payload": False,
        "skip_signature": False,
        "request_payer": False,
        "s3_express": False,
    }
    if client.meta.config.request_checksum_calculation != "when_required":
        config["checksum_algorithm"] = "SHA256"
    return Settings(config, _client_options(client, endpoint), _provider(credentials))


def _of_name(bucket: str, key: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", bucket) or bucket.endswith("--x-s3"):
        yield "such a bucket"
    if not key.isprintable() or any(part in ("", ".", "..") for part in key.split("/")):
        yield "such a key"


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    names = sorted(name for name in environment if name.upper().startswith("AWS_"))
    yield from (f"the environment's {name}" for name in names if name not in _ENVIRONMENT)


def _of_connection(connection: Any) -> Iterator[str]:
    extra = connection.extra_config
    if connection.conn_type not in (None, "aws"):
        yield "a connection of this type"
    yield from (f"the connection's {name}" for name in sorted(set(extra) - _EXTRAS))
    yield from (f"config_kwargs.{name}" for name in sorted(set(extra.get("config_kwargs") or {}) - _CONFIG_KWARGS))
    of_s3 = (extra.get("service_config") or {}).get("s3") or {}
    yield from (f"service_config.s3.{name}" for name in sorted(set(of_s3) - {"endpoint_url"}))
    if extra.get("verify") not in (None, True):
        yield "the connection's verify"


def _of_file_system(fs: Any) -> Iterator[str]:
    from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory, SessionFactory

    if SessionFactory is not BaseSessionFactory:
        yield "Airflow's [aws] session_factory"
    options = {name for name, value in fs.storage_options.items() if value not in (None, False)}
    yield from (
        f"the option {name}" for name in sorted(options - {"session", "config_kwargs", "endpoint_url", "anon"})
    )
    if fs.anon:
        yield "anonymous access"


def _of_client(client: Any) -> Iterator[str]:
    yield from _differing("", vars(client.meta.config), _CLIENT)
    yield from _differing("s3.", client.meta.config.s3 or {}, _CLIENT_S3)
    verify = client._endpoint.http_session._verify
    if verify is not True and not (isinstance(verify, str) and os.path.isfile(verify)):
        yield "verify"


def _differing(prefix: str, values: Mapping[str, Any], understood: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        known = understood.get(name, (None, False))
        if known is not _ANY and value not in known and (prefix or name != "s3"):
            yield f"botocore's {prefix}{name}"


def _where(fs: Any, client: Any, bucket: str) -> tuple[str, str, bool]:
    """Give the endpoint, the region, and whether the bucket is a part of the endpoint's host."""
    endpoint, region = client.meta.endpoint_url.rstrip("/"), client.meta.region_name
    style = (client.meta.config.s3 or {}).get("addressing_style") or "auto"
    parts = urlsplit(endpoint)
    if client._endpoint.http_session._proxy_config._proxies:
        raise UnsupportedSettingError("the environment's proxy")
    amazon = _AMAZON.fullmatch(parts.hostname or "")
    if amazon:
        # botocore follows S3 to the region that a bucket is in; so it has to be known beforehand.
        region = _region(fs, bucket)
        endpoint = f"{parts.scheme}://s3.{region}.amazonaws.com{amazon[2] or ''}"
    if not region or region == "aws-global":
        raise UnsupportedSettingError("no region_name")
    fits = re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
    if style == "virtual" and not fits:
        raise UnsupportedSettingError("such a bucket as a part of a host's name")
    if style == "virtual" or (style == "auto" and amazon and fits):
        return endpoint.replace("://", f"://{bucket}.", 1), region, True
    return endpoint, region, False


def _region(fs: Any, bucket: str) -> str:
    try:
        found = fs.call_s3("head_bucket", Bucket=bucket)
    except OSError:
        raise UnsupportedSettingError("a bucket that does not tell its region") from None
    region = found.get("BucketRegion") or found["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    if not region:
        raise UnsupportedSettingError("a bucket that does not tell its region")
    return str(region)


def _client_options(client: Any, endpoint: str) -> dict[str, Any]:
    import certifi

    parts = urlsplit(endpoint)
    options: dict[str, Any] = {
        "allow_http": parts.scheme == "http",
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=10),
        "timeout": timedelta(minutes=2),
    }
    if getproxies_environment():
        # That none of them is to be taken is decided already, by the rules that botocore reads NO_PROXY by.
        options |= {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": parts.hostname}
        if ":" in (parts.hostname or ""):
            raise UnsupportedSettingError("the environment's NO_PROXY with such an address")
    if parts.scheme == "https":
        verify = client._endpoint.http_session._verify
        with open(certifi.where() if verify is True else verify, "rb") as file:
            options["root_certificate"] = file.read()
    return options


def _provider(credentials: Any) -> Callable[[], dict[str, Any]]:
    def current() -> dict[str, Any]:
        """Called again before the time is over; botocore renews what expires long before that."""
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _GOOD_FOR,
        }

    return current
