"""The fast path to S3: `obstore` sends several parts of an object while the next one is downloaded and hashed.

It is taken only if every setting of the connection and of the environment is known here.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_mendix.archive.stores.base import CHUNK

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_mendix.archive.stores.background_upload import ChunkStream

PART = 8 * CHUNK
"""Bytes of a part. S3 takes 10 000 of them: 78 GiB, far more than Mendix takes."""
MAX_PARTS = 3
"""Parts sent at the same time. With the one being filled, they are what an upload holds in memory."""

_EXTRAS = {
    *("region_name", "endpoint_url", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    *("profile_name", "role_arn", "assume_role_method", "assume_role_kwargs", "assume_role_with_saml"),
    *("assume_role_with_web_identity_federation", "assume_role_with_web_identity_federation_audience"),
    *("assume_role_with_web_identity_token_file", "config_kwargs", "service_config", "verify"),
}
_CONFIG_KWARGS = {"s3", "signature_version", "request_checksum_calculation"}
_CONFIG_S3 = {"addressing_style", "payload_signing_enabled"}
_ENVIRONMENT = {
    *("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "SECURITY_TOKEN", "CREDENTIAL_EXPIRATION"),
    *("REGION", "DEFAULT_REGION", "PROFILE", "DEFAULT_PROFILE", "CONFIG_FILE", "SHARED_CREDENTIALS_FILE"),
    *("ROLE_ARN", "ROLE_SESSION_NAME", "WEB_IDENTITY_TOKEN_FILE", "CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("CONTAINER_CREDENTIALS_FULL_URI", "CONTAINER_AUTHORIZATION_TOKEN", "CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("EC2_METADATA_DISABLED", "METADATA_SERVICE_TIMEOUT", "METADATA_SERVICE_NUM_ATTEMPTS"),
    *("STS_REGIONAL_ENDPOINTS", "EXECUTION_ENV", "SDK_LOAD_CONFIG", "SDK_UA_APP_ID", "MAX_ATTEMPTS"),
    *("RETRY_MODE", "CA_BUNDLE", "ENDPOINT_URL", "ENDPOINT_URL_S3", "ENDPOINT_URL_STS", "PAGER", "DATA_PATH"),
    *("IGNORE_CONFIGURED_ENDPOINT_URLS", "REQUEST_CHECKSUM_CALCULATION", "RESPONSE_CHECKSUM_VALIDATION"),
    *("DEFAULT_OUTPUT",),
}
"""Variables ``AWS_…`` that botocore has followed, or that do not matter here. `obstore` reads others by itself."""

_AMAZON = re.compile(r"s3(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
_DNS_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_CREDENTIALS_TTL = timedelta(minutes=5)
_ERRNO = {"403": errno.EACCES, "404": errno.ENOENT}


class UnsupportedSettingError(Exception):
    """Why the fast path is not taken. It names a setting, never its value."""


def open_fast_path(hook: S3Hook, bucket: str, key: str) -> Callable[[ChunkStream], None]:
    """Return a function that makes an object of a stream.

    :raises UnsupportedSettingError: if `obstore` is missing, or a setting is not known to be supported.
    """
    try:
        import obstore
    except ImportError:
        raise UnsupportedSettingError("the fast one needs airflow-provider-mendix[fast] on the workers") from None
    for setting in _unsupported(hook, bucket, key):
        raise UnsupportedSettingError(f"{setting} is not supported by the fast path")
    try:
        store = _open_bucket(hook, bucket)
    except UnsupportedSettingError:
        raise
    except Exception as error:  # noqa: BLE001 - such as a value that only obstore refuses
        raise UnsupportedSettingError(f"the fast one cannot be opened ({type(error).__name__})") from None

    def send(stream: ChunkStream) -> None:
        try:
            obstore.put(store, key, stream, use_multipart=True, chunk_size=PART, max_concurrency=MAX_PARTS)
        except Exception as error:  # noqa: BLE001
            failure = _without_request(error, bucket, key)
        else:
            return
        # Raised outside the handler: the original, as a context, would be logged with the whole request.
        raise failure

    return send


def _unsupported(hook: S3Hook, bucket: str, key: str) -> Iterator[str]:
    from airflow.providers.common.compat.sdk import conf

    connection, config = hook.conn_config, hook.conn_client_meta.config
    extra = connection.extra_config
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", bucket) or bucket.endswith("--x-s3"):
        yield "such a bucket"
    if not key.isprintable() or any(part in ("", ".", "..") for part in key.split("/")):
        yield "such a key"
    if conf.get("aws", "session_factory", fallback=None):
        yield "Airflow's [aws] session_factory"
    names = sorted(name for name in os.environ if name.upper().startswith("AWS_"))
    yield from (f"the environment's {name}" for name in names if name[4:] not in _ENVIRONMENT)
    if connection.conn_type not in (None, "aws"):
        yield "a connection of this type"
    yield from (f"the connection's {name}" for name in sorted(extra.keys() - _EXTRAS))
    yield from (
        f"config_kwargs.{name}" for name in sorted((extra.get("config_kwargs") or {}).keys() - _CONFIG_KWARGS)
    )
    of_s3 = (extra.get("service_config") or {}).get("s3") or {}
    yield from (f"service_config.s3.{name}" for name in sorted(of_s3.keys() - {"endpoint_url"}))
    if hook.verify is False:
        yield "the connection's verify"
    if config.signature_version != "s3v4":
        yield "botocore's signature_version"
    set_of_s3 = sorted(name for name, value in (config.s3 or {}).items() if value not in (None, False))
    yield from (f"botocore's s3.{name}" for name in set_of_s3 if name not in _CONFIG_S3)
    for name in ("proxies", "client_cert", "use_fips_endpoint", "use_dualstack_endpoint"):
        if getattr(config, name, None):
            yield f"botocore's {name}"


def _open_bucket(hook: S3Hook, bucket: str) -> Any:
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    endpoint, region, is_virtual = _endpoint(hook.conn_client_meta, bucket)
    config: dict[str, Any] = {
        "bucket": bucket,
        "region": region,
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": is_virtual,
        # The environment could say otherwise.
        "unsigned_payload": False,
        "skip_signature": False,
        "request_payer": False,
        "s3_express": False,
    }
    if hook.conn_client_meta.config.request_checksum_calculation != "when_required":
        config["checksum_algorithm"] = "SHA256"
    session = hook.get_session()
    if session.get_credentials() is None:
        raise UnsupportedSettingError("anonymous access is not supported by the fast path")
    return S3Store(
        config=config,  # type: ignore[arg-type]
        client_options=_client_options(hook, endpoint),  # type: ignore[arg-type]
        retry_config={"max_retries": 6, "retry_timeout": timedelta(minutes=3)},
        credential_provider=Boto3CredentialProvider(session, ttl=_CREDENTIALS_TTL),
    )


def _endpoint(meta: Any, bucket: str) -> tuple[str, str, bool]:
    """Return the endpoint, the region, and whether the bucket is a part of the endpoint's host."""
    endpoint, region = meta.endpoint_url.rstrip("/"), meta.region_name
    style = (meta.config.s3 or {}).get("addressing_style") or "auto"
    if not region or region == "aws-global":
        raise UnsupportedSettingError("the fast path needs a region_name")
    fits = _DNS_NAME.fullmatch(bucket)
    if style == "virtual" and not fits:
        raise UnsupportedSettingError("such a bucket in a host name is not supported by the fast path")
    if style == "virtual" or (style == "auto" and fits and _AMAZON.fullmatch(urlsplit(endpoint).hostname or "")):
        return endpoint.replace("://", f"://{bucket}.", 1), region, True
    return endpoint, region, False


def _client_options(hook: S3Hook, endpoint: str) -> dict[str, Any]:
    import certifi

    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    options: dict[str, Any] = {
        "allow_http": parts.scheme == "http",
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=10),
        "timeout": timedelta(minutes=2),
    }
    if getproxies():
        if not proxy_bypass(host) or ":" in host:
            raise UnsupportedSettingError("the environment's proxy is not supported by the fast path")
        # boto3 takes none of them for this host, so neither may obstore, which reads NO_PROXY by other rules.
        options |= {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": host}
    if parts.scheme == "https":
        trusted = (
            hook.verify if isinstance(hook.verify, str) else os.environ.get("AWS_CA_BUNDLE") or certifi.where()
        )
        with open(trusted, "rb") as file:
            options["root_certificate"] = file.read()
    return options


def _without_request(error: Exception, bucket: str, key: str) -> OSError:
    """Return the error without the words of `obstore`, which hold whole requests and responses."""
    words = str(error)
    status = re.search(r"status code: (\d{3})\b", words)
    code = re.search(r"<Code>\s*([A-Za-z0-9.]{1,60})\s*</Code>", words)
    said = " ".join([*([f"HTTP {status[1]}"] if status else []), *([code[1]] if code else [])])
    if said:
        number = _ERRNO.get(status[1] if status else "", errno.EIO)
        return OSError(number, f"S3 refused the upload of s3://{bucket}/{key}: {said}")
    return OSError(errno.EIO, f"S3 cannot be used for s3://{bucket}/{key} ({type(error).__name__})")
