"""One HTTP response, and which error it stands for if it is no success.

Mendix's ``errorCode`` decides first, the HTTP status second: Mendix reports final failures as HTTP 500
(``BUILD_FAILED``), so the status counts only where there is no known code.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    AlreadyStartingError,
    AppNotFoundError,
    BranchNotFoundError,
    BuildFailedError,
    BuildNotSucceededError,
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    ForbiddenError,
    InvalidRequestError,
    MendixError,
    MendixResponseError,
    NotFoundError,
    PackageInUseError,
    PackageNotFoundError,
    RateLimitedError,
    RedirectedError,
    RestoreRefusedError,
    RetiredApiError,
    ServiceUnavailableError,
    StartFailedError,
    StartJobNotFoundError,
    StopFailedError,
    TransportRefusedError,
    UnauthorizedError,
)

OUTCOME_UNKNOWN = "Mendix may still have processed the request; check before sending it again."
_MAX_QUOTE = 300
_MAX_PAGE = 2000

_NEVER_PROCESSED = (501, 505)
_CODES_OF_A_SERVED_API = ("BRANCH_NOT_FOUND", "INVALID_APPID", "INVALID_PARAMETERS")
"""Codes by which a retired API shows that it still serves the app. ``APP_NOT_FOUND`` does not: for Git apps, the
Team Server API has always answered so."""

_BY_CODE: dict[str, type[MendixResponseError]] = {
    "INVALID_APPID": InvalidRequestError,
    "INVALID_PARAMETERS": InvalidRequestError,
    "INVALID_VERSION": InvalidRequestError,
    "INVALID_CREDENTIALS": UnauthorizedError,
    "APP_NOT_FOUND": AppNotFoundError,
    "BRANCH_NOT_FOUND": BranchNotFoundError,
    "PACKAGE_NOT_FOUND": PackageNotFoundError,
    "PACKAGE_IN_USE": PackageInUseError,
    "BUILD_FAILED": BuildFailedError,
    "BUILD_NOT_SUCCEEDED": BuildNotSucceededError,
    "ENVIRONMENT_NOT_FOUND": EnvironmentNotFoundError,
    "INVALID_ENVIRONMENT": EnvironmentNotFoundError,
    "NO_SUCH_STARTJOB": StartJobNotFoundError,
    "NOT_FOUND": NotFoundError,
    "APP_IS_RUNNING": TransportRefusedError,
    "TRANSPORT_NOT_ALLOWED": TransportRefusedError,
    "NOT_ALLOWED": TransportRefusedError,
    "INVALID_RUNTIME_VERSION": TransportRefusedError,
    "PACKAGE_PARSE_FAILED": TransportRefusedError,
    "STOP_FAILED": StopFailedError,
    "NO_MDA_HAS_BEEN_DEPLOYED": StartFailedError,
    "NO_PACKAGE": StartFailedError,
    "ALREADY_LOCKED": StartFailedError,
    "DB_SYNC_FAILED": StartFailedError,
    "INVALID_DB_STRUCTURE": StartFailedError,
    "MISSING_CONSTANT": StartFailedError,
    "INSECURE_ADMIN_PASSWORD": StartFailedError,
    "STARTUP_ACTION_FAILED": StartFailedError,
    "START_FAILED": StartFailedError,
    "ALREADY_STARTED": AlreadyStartedError,
    "APP_ALREADY_HAS_A_STARTING_JOB": AlreadyStartingError,
    "INVALID_SCHEDULED_EVENT_PARAMETER": InvalidRequestError,
    "ENVIRONMENT_BUSY": EnvironmentBusyError,
    "INVALID_STATE": EnvironmentBusyError,
    "ERROR_NOT_ALLOWED": RestoreRefusedError,
    "SERVICE_UNAVAILABLE": ServiceUnavailableError,
    "RS500": ServiceUnavailableError,
    "UPLOAD_COPY_FAILED": MendixResponseError,
}
_BY_STATUS: dict[int, type[MendixResponseError]] = {
    400: InvalidRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: ServiceUnavailableError,
    429: RateLimitedError,
    501: MendixResponseError,
    505: MendixResponseError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
}


class Response(msgspec.Struct, frozen=True):
    """Status, headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def without(self, secrets: Iterable[str]) -> Response:
        """Return the response with ``***`` for each secret in its body, as it is or escaped in JSON."""
        body = self.body
        for secret in filter(None, secrets):
            as_json = msgspec.json.encode(secret)[1:-1]
            body = body.replace(secret.encode(), b"***").replace(as_json, b"***")
        return self if body == self.body else msgspec.structs.replace(self, body=body)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, by either form of ``Retry-After`` or ``X-RateLimit-Reset``."""
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return self._seconds_to_reset
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (at - pendulum.now("UTC")).total_seconds()) if at.tzinfo else None

    @property
    def _seconds_to_reset(self) -> float | None:
        """Seconds until the time in ``X-RateLimit-Reset``, which the Webhooks API sends."""
        value = self.headers.get("x-ratelimit-reset", "")
        seconds = float(value) - pendulum.now("UTC").timestamp() if re.fullmatch("[0-9]{1,12}", value) else 0.0
        return seconds if seconds > 0 else None


class _InvalidParameter(msgspec.Struct):
    reason: str = ""


class _NestedError(msgspec.Struct):
    message: str = ""
    invalid_params: tuple[_InvalidParameter, ...] = msgspec.field(default=(), name="invalid-params")


class _ErrorBody(msgspec.Struct, rename="camel"):
    """The body of an error: a code and a message, or, from the newer APIs, a nested error with its reasons."""

    error_code: str | None = None
    error_message: str | None = None
    error: Any = None

    @property
    def said(self) -> str:
        """What Mendix says, in one line."""
        text = self.error_message or ""
        if not text and isinstance(self.error, dict):
            with contextlib.suppress(msgspec.ValidationError):
                nested = msgspec.convert(self.error, _NestedError)
                reasons = ", ".join(parameter.reason for parameter in nested.invalid_params)
                text = ": ".join(filter(None, (nested.message, reasons)))
        return " ".join(text.split())[:_MAX_QUOTE]


def error_of(
    request: str,
    response: Response,
    *,
    repeatable: bool,
    advice: Mapping[int | str, str],
    permission: str = "",
    retired: str = "",
) -> MendixError:
    """Return the error that a response stands for.

    :param request: method and path, for the message.
    :param response: no success; its body must not hold secrets.
    :param repeatable: whether sending the request twice has the same effect as sending it once.
    :param advice: what to do about a code or a status, where the error's own advice does not fit.
    :param permission: the permission that the call may need beside API Rights.
    :param retired: what to do instead of using the API, if Mendix has retired it.
    """
    if 300 <= response.status < 400 and not retired:
        return RedirectedError(
            "Mendix's host answered with a redirect, which is not followed because the credentials would go along."
            f" {RedirectedError.advice}",
            request=f"{request}: HTTP {response.status}",
            status=response.status,
        )
    body = _read_body(response)
    code = _normalised(body.error_code)
    kind = _classify(response.status, code)
    if retired and not kind.transient and code not in _CODES_OF_A_SERVED_API and kind is not UnauthorizedError:
        kind, advice = RetiredApiError, {response.status: retired}
    message = ": ".join(part for part in (kind.summary, (body.said or code or "").rstrip(".")) if part) + "."
    # Without one of Mendix's codes, a proxy in front of Mendix may have answered, after Mendix got the request.
    refused = code in _BY_CODE or 300 <= response.status < 500 or response.status in _NEVER_PROCESSED
    outcome_unknown = not repeatable and not refused
    status = 401 if kind is UnauthorizedError else response.status
    advised = {status: kind.advice, **advice}
    hint = OUTCOME_UNKNOWN if outcome_unknown else advised.get(code or "", advised[status])
    if permission and kind is ForbiddenError:
        hint += f" This call may also need the permission '{permission}', which is granted there too."
    return kind(
        f"{message} {hint}".rstrip(),
        request=f"{request}: HTTP {response.status} {code or ''}".rstrip(),
        status=response.status,
        code=code,
        retry_after=response.retry_after,
        outcome_unknown=outcome_unknown,
    )


def _classify(status: int, code: str | None) -> type[MendixResponseError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500 and code is None:
        return ServiceUnavailableError
    return MendixResponseError


def _read_body(response: Response) -> _ErrorBody:
    try:
        return msgspec.json.decode(response.body, type=_ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = response.body[:_MAX_PAGE].decode("utf-8", "replace")
        if "html" in response.headers.get("content-type", ""):
            # The page of a proxy or web server: why it refused is in the title, such as that the port speaks TLS.
            title = re.search(rf"<title>\s*(?:{response.status})?([^<]*)", text, re.IGNORECASE)
            return _ErrorBody(error_message=title[1] if title and response.status < 500 else None)
        return _ErrorBody(error_message=re.sub(r"<[^>]*>", " ", text[:_MAX_QUOTE]))


def _normalised(code: str | None) -> str | None:
    """Return a code with underscores: some are documented with spaces (``SERVICE UNAVAILABLE``)."""
    return re.sub(r"\W+", "_", code.strip()).upper()[:60] or None if code else None
