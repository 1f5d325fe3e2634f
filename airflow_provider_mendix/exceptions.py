"""Every error this provider raises on purpose, as one tree.

::

    MendixError
    ├── InvalidInputError            refused before any request                     (final)
    ├── InvalidConnectionError       the Airflow connection cannot be used          (final)
    ├── MendixConnectionError        no complete response arrived                   (transient)
    ├── MalformedResponseError       a success whose body cannot be read            (transient)
    ├── RedirectedError              a redirect, never followed with credentials    (final)
    ├── MendixResponseError          Mendix refused
    │   ├── InvalidRequestError          400 INVALID_APPID, INVALID_PARAMETERS, …   (final)
    │   ├── UnauthorizedError            401, 400 INVALID_CREDENTIALS               (final)
    │   ├── ForbiddenError               403                                        (final)
    │   ├── RetiredApiError              the endpoint is retired, however it refuses    (final)
    │   ├── NotFoundError                404 NOT_FOUND                              (final)
    │   │   ├── AppNotFoundError             APP_NOT_FOUND                          (final)
    │   │   ├── BranchNotFoundError          BRANCH_NOT_FOUND                       (final)
    │   │   ├── PackageNotFoundError         PACKAGE_NOT_FOUND                      (final)
    │   │   ├── EnvironmentNotFoundError     ENVIRONMENT_NOT_FOUND, …               (final)
    │   │   └── StartJobNotFoundError        NO_SUCH_STARTJOB                       (final)
    │   ├── PackageInUseError            409 PACKAGE_IN_USE
    │   ├── TransportRefusedError        403 APP_IS_RUNNING, TRANSPORT_NOT_ALLOWED, … (final)
    │   ├── StopFailedError              500 STOP_FAILED                            (final)
    │   ├── StartFailedError             500 DB_SYNC_FAILED, MISSING_CONSTANT, …    (final)
    │   ├── AlreadyStartedError          500 ALREADY_STARTED, in effect a success
    │   ├── AlreadyStartingError         500 APP_ALREADY_HAS_A_STARTING_JOB         (transient)
    │   ├── EnvironmentBusyError         400 ENVIRONMENT_BUSY, INVALID_STATE        (transient)
    │   ├── RestoreRefusedError          400 ERROR_NOT_ALLOWED                      (final)
    │   ├── BuildFailedError             500 BUILD_FAILED, on the start call        (final)
    │   ├── BuildNotSucceededError       500 BUILD_NOT_SUCCEEDED, on the deprecated download
    │   ├── RateLimitedError             429                                        (transient)
    │   └── ServiceUnavailableError      RS500; 5xx without a code, except 501, 505 (transient)
    ├── RevisionNotFoundError        the branch has no such revision, or none at all (final)
    ├── RevisionAlreadyBuiltError    the revision has a package, and if_exists="fail" (final)
    ├── PackageFailedError           the package ended as ``Failed``                (final)
    ├── PackageNotReadyError         the package has no file to download (yet)
    ├── ProductionRefusedError       the environment is production, and the task may not change it (final)
    ├── EnvironmentStateError        the environment is in a state that rules this out (final)
    ├── BackupFailedError            the snapshot ended as ``failed``
    ├── RestoreFailedError           the restore ended as ``failed``
    ├── UploadFailedError            Mendix has the file and could not make a package of it
    ├── NotArchivedError             no such object, or no complete manifest beside it (final)
    ├── DamagedArchiveError          the archived object is not what its manifest describes (final)
    ├── DownloadError                the file did not arrive complete               (transient)
    │   ├── DamagedFileError             it arrived, but is damaged                 (transient)
    │   └── FileChangedError             the host served parts of two files         (transient)
    ├── UnverifiableFileError        the file cannot be checked as requested        (final)
    ├── ObjectExistsError            another object is there and must not be replaced (final)
    ├── UnsafeLinkError              the link to the file is not https              (final)
    ├── OutageError                  polling kept failing for longer than tolerated
    ├── WaitTimeoutError             a wait reached its deadline
    └── UnexpectedEventError         a task was resumed with an event it cannot read

``transient``: it may pass by itself, so the same request is worth another attempt. ``final``: a retry of the task
cannot fix it, so Airflow fails the task at once. ``outcome_unknown``: Mendix may have processed the request.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

__all__ = [
    "AlreadyStartedError",
    "AlreadyStartingError",
    "AppNotFoundError",
    "BackupFailedError",
    "BranchNotFoundError",
    "BuildFailedError",
    "BuildNotSucceededError",
    "DamagedArchiveError",
    "DamagedFileError",
    "DownloadError",
    "EnvironmentBusyError",
    "EnvironmentNotFoundError",
    "EnvironmentStateError",
    "FileChangedError",
    "ForbiddenError",
    "InvalidConnectionError",
    "InvalidInputError",
    "InvalidRequestError",
    "MalformedResponseError",
    "MendixConnectionError",
    "MendixError",
    "MendixResponseError",
    "NotArchivedError",
    "NotFoundError",
    "ObjectExistsError",
    "OutageError",
    "PackageFailedError",
    "PackageInUseError",
    "PackageNotFoundError",
    "PackageNotReadyError",
    "ProductionRefusedError",
    "RateLimitedError",
    "RedirectedError",
    "RestoreFailedError",
    "RestoreRefusedError",
    "RetiredApiError",
    "RevisionAlreadyBuiltError",
    "RevisionNotFoundError",
    "ServiceUnavailableError",
    "StartFailedError",
    "StartJobNotFoundError",
    "StopFailedError",
    "TransportRefusedError",
    "UnauthorizedError",
    "UnexpectedEventError",
    "UnsafeLinkError",
    "UnverifiableFileError",
    "UploadFailedError",
    "WaitTimeoutError",
    "error_from_json",
]

API_RIGHTS = (
    "Check the user name and the API key of the connection (an API key: a personal access token has a field of its"
    " own), and that the user has the permission 'API Rights' on the app: it is granted per environment, on the"
    " Permissions tab of the app's Environments page, and it is off by default on production."
)


class MendixError(Exception):
    """Base of all errors of this provider.

    :param message: what failed and what to do about it.
    :param request: the request that failed and what was answered; it is shown last.
    :param status: HTTP status of the response, if there was one.
    :param code: Mendix's ``errorCode``, if there was one.
    :param retry_after: seconds that the server asked to wait, if it did.
    :param outcome_unknown: whether Mendix may have processed the request that failed.
    """

    transient: ClassVar[bool] = False
    final: ClassVar[bool] = False
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        request: str = "",
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        return f"{self.message} ({self.request})" if self.request else self.message

    def with_hint(self, hint: str) -> Self:
        """Return the same error with one more sentence in its message."""
        return type(self)(f"{self.message} {hint}", **self._data())

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON values, for a trigger event."""
        return {"type": type(self).__name__, "message": self.message, **self._data()}

    def _data(self) -> dict[str, Any]:
        return {
            "request": self.request,
            "status": self.status,
            "code": self.code,
            "retry_after": self.retry_after,
            "outcome_unknown": self.outcome_unknown,
        }


class InvalidInputError(MendixError, ValueError):
    """A value is wrong; it was refused before any request."""

    final = True


class InvalidConnectionError(MendixError):
    """The Airflow connection is missing, incomplete or unsafe."""

    final = True


class MendixConnectionError(MendixError):
    """No complete response arrived: refused, reset, timed out, or TLS could not be verified."""

    transient = True


class MalformedResponseError(MendixError):
    """Mendix reported success, but the body is not what its documentation describes."""

    transient = True


class RedirectedError(MendixError):
    """Mendix answered an API call with a redirect, which credentials must not follow."""

    final = True
    advice = "Check the host of the connection: it must be the API host itself."


class MendixResponseError(MendixError):
    """Mendix answered and refused.

    :cvar summary: what failed, as the beginning of a message.
    """

    summary: ClassVar[str] = "Mendix refused the request"


class InvalidRequestError(MendixResponseError):
    """Mendix found a parameter invalid (400)."""

    summary = "Mendix refuses a value"
    final = True
    advice = "Check the values of the task; app_id is the app's subdomain, not its name or its UUID."


class UnauthorizedError(MendixResponseError):
    """Mendix does not accept the credentials (401, or ``INVALID_CREDENTIALS``)."""

    summary = "Mendix does not accept the credentials"
    final = True
    advice = API_RIGHTS


class ForbiddenError(MendixResponseError):
    """Mendix accepts the credentials and refuses the action (403)."""

    summary = "Mendix does not allow the user to do this"
    final = True
    advice = API_RIGHTS


class RetiredApiError(MendixResponseError):
    """Mendix has retired the API, and no longer serves it for this app or at all."""

    summary = "This API is not served"
    final = True


class NotFoundError(MendixResponseError):
    """The call names something that does not exist (404).

    :cvar may_appear: whether it may have been made just now, and not be visible yet.
    """

    summary = "Mendix does not find it"
    final = True
    may_appear: ClassVar[bool] = True


class AppNotFoundError(NotFoundError):
    """No such app, or the user may not see it."""

    summary = "There is no such app, or the user may not see it"
    may_appear = False
    advice = (
        "app_id is the app's subdomain, not its name or its UUID; the user needs 'API Rights' on at least"
        " one of its environments."
    )


class BranchNotFoundError(NotFoundError):
    """No such branch."""

    summary = "There is no such branch"
    may_appear = False
    advice = "Check the branch: main, trunk, or its name with or without 'branches/'."


class PackageNotFoundError(NotFoundError):
    """No such package or build job; it may have been deleted."""

    summary = "There is no such package"
    advice = (
        "Check the package id, and whether the package was deleted: Mendix does that within 15 days to a package"
        " that is not deployed."
    )


class EnvironmentNotFoundError(NotFoundError):
    """No such environment of the app."""

    summary = "There is no such environment"
    may_appear = False
    advice = "Use the environment's name exactly as Mendix spells it; upper and lower case count."


class StartJobNotFoundError(NotFoundError):
    """Mendix does not know the start job, or no longer knows it."""

    summary = "Mendix does not know the start job"
    advice = "Check the environment itself: it may have been started."


class PackageInUseError(MendixResponseError):
    """The package is in use, so it cannot be deleted (409)."""

    summary = "The package is in use"
    advice = "Deploy another package to the environments that use this one first, or set in_use='skip'."


class BuildFailedError(MendixResponseError):
    """Mendix refused to build: the start call itself answered that the build failed."""

    summary = "Mendix refused to build"
    final = True
    advice = "The Build API gives no reason; open the app's Environments page in the portal for the build output."


class BuildNotSucceededError(MendixResponseError):
    """The deprecated download was called for a package that is not ``Succeeded``."""

    summary = "The package is not Succeeded"
    advice = "Wait until the package is Succeeded before downloading it."


class TransportRefusedError(MendixResponseError):
    """Mendix refuses to transport the package to the environment, and would refuse again."""

    summary = "Mendix refuses to transport the package"
    final = True
    advice = "The environment is unchanged; Mendix would refuse the same transport again."


class StopFailedError(MendixResponseError):
    """The environment could not be stopped."""

    summary = "The environment could not be stopped"
    final = True
    advice = "Check the environment in the portal: it may still be running."


class StartFailedError(MendixResponseError):
    """The app could not be started, for the reason that the code names."""

    summary = "The app could not be started"
    final = True
    advice = "The app does not run; its log in the portal says why."


class AlreadyStartedError(MendixResponseError):
    """The app already runs."""

    summary = "The app already runs"
    advice = "Nothing to do."


class AlreadyStartingError(MendixResponseError):
    """Another start of the app is in progress."""

    summary = "Another start of the app is in progress"
    transient = True
    advice = "Wait until that start has ended."


class EnvironmentBusyError(MendixResponseError):
    """Another operation on the environment is in progress."""

    summary = "The environment is busy"
    transient = True
    advice = "Another backup, restore or maintenance is in progress; wait until it has ended."


class RestoreRefusedError(MendixResponseError):
    """Mendix refuses to restore the snapshot."""

    summary = "Mendix refuses to restore the snapshot"
    final = True
    advice = (
        "The environment must be stopped, the user needs 'Access to Backups' on it, and the snapshot must be one"
        " of the same app."
    )


class RateLimitedError(MendixResponseError):
    """Too many requests (429)."""

    summary = "There were too many requests"
    transient = True


class ServiceUnavailableError(MendixResponseError):
    """Mendix or a proxy in front of it is temporarily unavailable."""

    summary = "Mendix is not available"
    transient = True


class RevisionNotFoundError(MendixError):
    """The branch has no revision at all, or not the one that was given."""

    final = True


class RevisionAlreadyBuiltError(MendixError):
    """The revision already has a package, and ``if_exists`` is ``"fail"``."""

    final = True


class PackageFailedError(MendixError):
    """The package ended as ``Failed``."""

    final = True


class PackageNotReadyError(MendixError):
    """The package has no file to download, because it is not ``Succeeded`` or has no URL."""


class ProductionRefusedError(MendixError):
    """The environment is production, and the DAG does not allow changing it."""

    final = True


class EnvironmentStateError(MendixError):
    """The environment is in a state that rules the action out."""

    final = True


class BackupFailedError(MendixError):
    """The snapshot ended as ``failed``."""


class RestoreFailedError(MendixError):
    """The restore ended as ``failed``."""


class UploadFailedError(MendixError):
    """The job that makes a package of an uploaded file ended as ``Failed``."""


class NotArchivedError(MendixError):
    """There is no such object, or no complete manifest beside it that describes it."""

    final = True


class DamagedArchiveError(MendixError):
    """The archived object is not what its manifest describes, or is no complete zip."""

    final = True


class DownloadError(MendixError):
    """The file of a package did not arrive complete."""

    transient = True


class DamagedFileError(DownloadError):
    """The whole file arrived, but a checksum, its length or its structure shows that it is damaged."""


class FileChangedError(DownloadError):
    """The file on the host is no longer the one whose beginning was read."""


class UnverifiableFileError(MendixError):
    """The file may be right, but it cannot be checked as requested."""

    final = True


class ObjectExistsError(MendixError):
    """The destination holds an object that is not known to be the same and must not be replaced."""

    final = True


class UnsafeLinkError(MendixError):
    """The link to the file is not https, or no link at all."""

    final = True


class OutageError(MendixError):
    """Polling kept failing for longer than the wait tolerates."""


class WaitTimeoutError(MendixError):
    """The wait reached its deadline before there was a result."""


class UnexpectedEventError(MendixError):
    """A deferred task was resumed with an event it cannot read; it fails rather than guess."""


def error_from_json(data: Any) -> MendixError:
    """Rebuild the error that :meth:`MendixError.to_json` wrote; its type survives."""
    known = {kind.__name__: kind for kind in _all_kinds(MendixError)}
    try:
        return known[data["type"]](
            data["message"],
            request=str(data.get("request") or ""),
            status=data.get("status"),
            code=data.get("code"),
            retry_after=data.get("retry_after"),
            outcome_unknown=bool(data.get("outcome_unknown")),
        )
    except (KeyError, TypeError, AttributeError):
        raise UnexpectedEventError("The trigger reported a failure that this version cannot read.") from None


def _all_kinds(kind: type[MendixError]) -> list[type[MendixError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all_kinds(child))]
