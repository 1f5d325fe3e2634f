"""What can go wrong, as one tree, and which of it is worth another try.

::

    MendixError
    ├── InvalidInputError            refused here, before any request
    ├── InvalidConnectionError       the Airflow connection cannot be used
    ├── MendixConnectionError        no whole answer came back                  (transient)
    ├── MalformedResponseError       a success whose body is not what it should be (transient)
    ├── RedirectedError              a redirect, which is never followed with credentials
    ├── MendixResponseError          Mendix answered "no"
    │   ├── InvalidRequestError          400 INVALID_APPID, INVALID_PARAMETERS, INVALID_VERSION
    │   ├── UnauthorizedError            401
    │   ├── ForbiddenError               403
    │   ├── NotFoundError                404 NOT_FOUND
    │   │   ├── AppNotFoundError             APP_NOT_FOUND
    │   │   ├── BranchNotFoundError          BRANCH_NOT_FOUND
    │   │   ├── PackageNotFoundError         PACKAGE_NOT_FOUND
    │   │   ├── EnvironmentNotFoundError     ENVIRONMENT_NOT_FOUND, INVALID_ENVIRONMENT
    │   │   └── StartJobNotFoundError        NO_SUCH_STARTJOB
    │   ├── PackageInUseError            409 PACKAGE_IN_USE
    │   ├── TransportRefusedError        403 APP_IS_RUNNING, TRANSPORT_NOT_ALLOWED and more, see `_BY_CODE`
    │   ├── StopFailedError              500 STOP_FAILED
    │   ├── StartFailedError             500 DB_SYNC_FAILED, MISSING_CONSTANT and more, see `_BY_CODE`
    │   ├── AlreadyStartedError          500 ALREADY_STARTED, which is a success in disguise
    │   ├── AlreadyStartingError         500 APP_ALREADY_HAS_A_STARTING_JOB
    │   ├── EnvironmentBusyError         400 ENVIRONMENT_BUSY, INVALID_STATE        (transient)
    │   ├── RestoreRefusedError          400 ERROR_NOT_ALLOWED
    │   ├── BuildFailedError             500 BUILD_FAILED, on the start call
    │   ├── BuildNotSucceededError       500 BUILD_NOT_SUCCEEDED, on the deprecated download
    │   ├── RateLimitedError             429                                    (transient)
    │   └── ServiceUnavailableError      RS500; 5xx without a code, except 501 and 505  (transient)
    ├── RevisionNotFoundError        the branch has no revision, or not the named one
    ├── RevisionAlreadyBuiltError    there is a package of the revision, and if_exists="fail"
    ├── PackageFailedError           the package ended as `Failed`
    ├── PackageNotReadyError         the package has no file to download (yet)
    ├── ProductionRefusedError       the environment is production, which the task is not allowed to change
    ├── EnvironmentStateError        the environment is in a state in which this cannot be done
    ├── BackupFailedError            the snapshot ended as `failed`
    ├── RestoreFailedError           the restore ended as `failed`
    ├── UploadFailedError            Mendix has the file, and could not make a package of it
    ├── NotArchivedError             there is no such object, or nothing that says what it is
    ├── DownloadError                the file did not arrive whole              (transient)
    │   ├── DamagedFileError             it arrived, but a checksum or its structure is wrong (transient)
    │   └── FileChangedError             the host gave parts of two different files (transient)
    ├── UnverifiableFileError        the file cannot be checked in the way that was asked for
    ├── ObjectExistsError            there is another object, and it is not to be replaced
    ├── UnsafeLinkError              the link to the file is not https
    ├── OutageError                  no good answer for longer than a wait tolerates
    ├── WaitTimeoutError             a wait reached its deadline
    └── UnexpectedEventError         a task was resumed with an event it cannot read

Mendix delivers final failures as HTTP 500 (`BUILD_FAILED`), so its `errorCode` decides first and the HTTP
status only where there is no code that we know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    from airflow_provider_mendix.api.core import Response

API_RIGHTS = (
    "Check the user name and the API key of the connection (an API key: a personal access token has a field of its"
    " own), and that the user has the permission 'API Rights' on the app: it is granted per environment, on the"
    " Permissions tab of the app's Environments page, and it is off by default on production."
)
_LONGEST_QUOTE = 300


class MendixError(Exception):
    """Whatever this provider raises on purpose.

    :param message: what happened and what to do about it.
    :param status: HTTP status of Mendix's answer, if there was one.
    :param code: Mendix's ``errorCode``, if there was one.
    :param retry_after: seconds that Mendix asked to wait, if it did.
    """

    transient: ClassVar[bool] = False
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def to_json(self) -> dict[str, Any]:
        """Give the error as JSON-plain values, for a trigger event."""
        return {
            "type": type(self).__name__,
            "message": str(self),
            "status": self.status,
            "code": self.code,
            "retry_after": self.retry_after,
        }


class InvalidInputError(MendixError, ValueError):
    """A value that cannot be right was refused before any request was made."""


class InvalidConnectionError(MendixError):
    """The Airflow connection is missing, incomplete or unsafe."""


class MendixConnectionError(MendixError):
    """No whole answer came back: refused, reset, timed out, or not to be verified."""

    transient = True


class MalformedResponseError(MendixError):
    """Mendix reported success, but the body is not what its documentation promises."""

    transient = True


class RedirectedError(MendixError):
    """Mendix answered an API call with a redirect, which credentials must not follow."""

    advice = "Check the host of the connection: it must be the API host itself."


class MendixResponseError(MendixError):
    """Mendix answered, and the answer is no."""


class InvalidRequestError(MendixResponseError):
    """Mendix found a parameter invalid (400)."""

    advice = "Check the values of the task; app_id is the app's subdomain, not its name or its UUID."


class UnauthorizedError(MendixResponseError):
    """Mendix does not accept the credentials (401)."""

    advice = API_RIGHTS


class ForbiddenError(MendixResponseError):
    """Mendix knows the credentials and refuses the action (403)."""

    advice = API_RIGHTS


class NotFoundError(MendixResponseError):
    """What the call names does not exist (404)."""


class AppNotFoundError(NotFoundError):
    """No such app, or the user may not see it."""

    advice = (
        "app_id is the app's subdomain, not its name or its UUID; the user needs 'API Rights' on at least"
        " one of its environments."
    )


class BranchNotFoundError(NotFoundError):
    """No such branch."""

    advice = "Check the branch: main, trunk, or its name with or without 'branches/'."


class PackageNotFoundError(NotFoundError):
    """No such package or build job; it may have been deleted."""

    advice = "Check the package id, and whether somebody deleted the package."


class EnvironmentNotFoundError(NotFoundError):
    """No such environment of the app."""

    advice = "Give the environment's name exactly as Mendix spells it, capital letters and all."


class StartJobNotFoundError(NotFoundError):
    """Mendix does not know the start job, or no longer."""

    advice = "Look at the environment itself: it may have been started all the same."


class PackageInUseError(MendixResponseError):
    """The package is still in use, so it cannot be deleted (409)."""

    advice = "Deploy another package to the environments that use this one first, or set in_use='skip'."


class BuildFailedError(MendixResponseError):
    """Mendix refused to build: the start call itself answered that the build failed."""

    advice = "The Build API gives no reason; open the app's Environments page in the portal for the build output."


class BuildNotSucceededError(MendixResponseError):
    """The deprecated download was asked for a package that is not ``Succeeded``."""

    advice = "Wait until the package is Succeeded before it is downloaded."


class TransportRefusedError(MendixResponseError):
    """Mendix refuses to bring the package to the environment, and would refuse again."""

    advice = "The environment is as it was; Mendix would refuse the same transport again."


class StopFailedError(MendixResponseError):
    """The environment could not be stopped."""

    advice = "Look at the environment in the portal: it may be running still."


class StartFailedError(MendixResponseError):
    """The app could not be started, for the reason that the code names."""

    advice = "The app does not run; its log in the portal tells more."


class AlreadyStartedError(MendixResponseError):
    """The app runs already: what was asked for is so."""

    advice = "Nothing is to be done."


class AlreadyStartingError(MendixResponseError):
    """The app is being started by somebody else, or by an earlier call."""

    advice = "Wait until that start has ended."


class EnvironmentBusyError(MendixResponseError):
    """Something else is being done to the environment, which will be over one day."""

    transient = True
    advice = "Another backup, restore or maintenance is under way; it passes."


class RestoreRefusedError(MendixResponseError):
    """Mendix refuses to restore the snapshot."""

    advice = (
        "The environment must be stopped, the user needs 'Access to Backups' on it, and the snapshot must be one"
        " of the same app."
    )


class RateLimitedError(MendixResponseError):
    """Too many requests (429)."""

    transient = True


class ServiceUnavailableError(MendixResponseError):
    """Mendix or something in front of it is down for the moment."""

    transient = True


class RevisionNotFoundError(MendixError):
    """The branch has no revision at all, or the one that was asked for is not on it."""


class RevisionAlreadyBuiltError(MendixError):
    """There is a package of this revision already, and the task is to fail then."""


class PackageFailedError(MendixError):
    """The package ended as ``Failed``."""


class PackageNotReadyError(MendixError):
    """The package has no file to download, because it is not ``Succeeded`` or has no URL."""


class ProductionRefusedError(MendixError):
    """The environment is production, and whoever wrote the DAG has not said that it may be changed."""


class EnvironmentStateError(MendixError):
    """The environment is in a state in which what was asked for cannot be done."""


class BackupFailedError(MendixError):
    """The snapshot ended as ``failed``."""


class RestoreFailedError(MendixError):
    """The restore ended as ``failed``."""


class UploadFailedError(MendixError):
    """The job that makes a package of an uploaded file ended as ``Failed``."""


class NotArchivedError(MendixError):
    """There is no such object, or no whole manifest beside it that says what it is."""


class DownloadError(MendixError):
    """The file of a package did not arrive whole."""

    transient = True


class DamagedFileError(DownloadError):
    """All of the file arrived, but a checksum, its length or its structure says that it is damaged."""


class FileChangedError(DownloadError):
    """The file on the host is another one than the one whose beginning has been read."""


class UnverifiableFileError(MendixError):
    """The file may be right, but it cannot be checked in the way that was asked for."""


class ObjectExistsError(MendixError):
    """At the destination there is an object that is not known to be the same, and it is not to be replaced."""


class UnsafeLinkError(MendixError):
    """The link to the file would send it over a line that anybody can read, or is no link at all."""


class OutageError(MendixError):
    """Mendix gave no good answer for longer than the wait tolerates."""


class WaitTimeoutError(MendixError):
    """The wait reached its deadline before there was a result."""


class UnexpectedEventError(MendixError):
    """A deferred task was resumed with an event it cannot read; it fails rather than guess."""


_BY_CODE: dict[str, type[MendixResponseError]] = {
    "INVALID_APPID": InvalidRequestError,
    "INVALID_PARAMETERS": InvalidRequestError,
    "INVALID_VERSION": InvalidRequestError,
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


class _ErrorBody(msgspec.Struct, rename="camel"):
    error_code: str | None = None
    error_message: str | None = None


def response_error(
    request: str, response: Response, doubt: str = "", advice: Mapping[int | str, str] | None = None
) -> MendixError:
    """Read an answer that is not a success.

    :param request: method and path of the call, for the message.
    :param response: the answer; secrets must have been taken out of its body.
    :param doubt: what to add if the answer leaves open whether Mendix did what it was asked.
    :param advice: what to do about a code or a status, where that is not what the error itself says.
    """
    if 300 <= response.status < 400:
        return RedirectedError(
            f"{request}: HTTP {response.status} redirects elsewhere, which is not followed,"
            f" because the credentials would go along. {RedirectedError.advice}",
            status=response.status,
        )
    body = _read_body(response)
    code = _normalised(body.error_code)
    kind = _classify(response.status, code)
    said = " ".join((body.error_message or "").split())[:_LONGEST_QUOTE]
    message = f"{request}: HTTP {response.status}"
    message += f" {code}" if code else ""
    message += f": {said}" if said else ""
    message = message if message.endswith(".") else f"{message}."
    # Something in front of Mendix may have given up waiting; only Mendix itself knows its codes.
    is_open = kind is ServiceUnavailableError and response.status >= 500 and code not in _BY_CODE
    advised = {response.status: kind.advice, **(advice or {})}
    return kind(
        f"{message} {doubt if is_open else advised.get(code or '', advised[response.status])}".rstrip(),
        status=response.status,
        code=code,
        retry_after=response.retry_after,
    )


def error_from_json(data: Any) -> MendixError:
    """Rebuild the error that :meth:`MendixError.to_json` wrote; its type survives."""
    known = {kind.__name__: kind for kind in _kinds(MendixError)}
    try:
        return known[data["type"]](
            data["message"],
            status=data.get("status"),
            code=data.get("code"),
            retry_after=data.get("retry_after"),
        )
    except (KeyError, TypeError, AttributeError):
        raise UnexpectedEventError("The trigger reported a failure that this version cannot read.") from None


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
        looks_like_text = "html" not in response.headers.get("content-type", "")
        text = response.body[:_LONGEST_QUOTE].decode("utf-8", "replace") if looks_like_text else ""
        return _ErrorBody(error_message=re.sub(r"<[^>]*>", " ", text))


def _normalised(code: str | None) -> str | None:
    """Some codes are documented with spaces (`SERVICE UNAVAILABLE`)."""
    return re.sub(r"\W+", "_", code.strip()).upper()[:60] or None if code else None


def _kinds(kind: type[MendixError]) -> list[type[MendixError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _kinds(child))]
