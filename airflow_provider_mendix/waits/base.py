"""A wait is data: what to ask, and how to judge the answer. Who asks, and when, is somebody else's business.

Waits that share something may be answered by one request: those of an app by the list of its packages, those of a
branch by its newest revision.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import msgspec

from airflow_provider_mendix.api.build import (
    LazyPackageList,
    Package,
    PackageStatus,
    get_package_lazily,
    list_packages_lazily,
)
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.deploy_v2 import Job, JobStatus, get_job
from airflow_provider_mendix.api.revisions import BranchSource, is_newer
from airflow_provider_mendix.exceptions import (
    MendixError,
    NotFoundError,
    PackageFailedError,
    PackageNotFoundError,
    RevisionNotFoundError,
    UnexpectedEventError,
    UploadFailedError,
    error_from_json,
)

if TYPE_CHECKING:
    from airflow_provider_mendix.waits.backup import RestoreWait, SnapshotWait
    from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait, TransportWait


class Outcome(msgspec.Struct, frozen=True):
    """What one answer means.

    :param state: Mendix's word for it.
    :param done: whether the wait is over, and well.
    :param result: JSON-plain values to hand on when it is.
    """

    state: str
    done: bool = False
    result: dict[str, Any] = {}


class PackageWait(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Wait until a package is ``Succeeded``.

    Like every wait, it knows what it waits for (``subject``), what to ask (``call``) and what the answer means
    (``judge``, which raises when it can no longer happen, and ``is_retryable`` for errors). Waits with
    the same ``group`` may share one request (``shared_call``), from whose answer each takes its own part
    (``extract``); ``None`` if that has none, and it has to ask for itself.

    :param visible_by: wall-clock time, in seconds since the epoch, until when a package that is not there counts
        as not there *yet*: it may have been started a moment ago.
    :cvar has_single_call: whether there is a call of its own beside the shared one.
    :cvar phases: states of which it is of interest how long they last.
    """

    has_single_call: ClassVar[bool] = True
    phases: ClassVar[tuple[str, ...]] = (PackageStatus.QUEUED, PackageStatus.BUILDING, PackageStatus.UPLOADING)

    app_id: str
    package_id: str
    visible_by: float = 0.0

    @property
    def subject(self) -> str:
        return f"Package {self.package_id} of app {self.app_id}"

    @property
    def group(self) -> Hashable:
        return self.app_id

    def call(self) -> Call[Package]:
        return get_package_lazily(self.app_id, self.package_id)

    def shared_call(self) -> Call[LazyPackageList]:
        return list_packages_lazily(self.app_id)

    def extract(self, answer: LazyPackageList) -> Package | None:
        return answer.get(self.package_id)

    def judge(self, answer: Package) -> Outcome:
        if answer.status == PackageStatus.FAILED:
            raise PackageFailedError(
                f"{self.subject} (version {answer.version or 'unknown'}) ended as Failed. The Build API gives no"
                " reason; open the app's Environments page in the portal for the build output."
            )
        done = answer.status == PackageStatus.SUCCEEDED
        return Outcome(answer.status, done=done, result=answer.summary() if done else {})

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient or (isinstance(error, PackageNotFoundError) and now < self.visible_by)


class JobWait(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Wait until the job of an upload is ``Completed``.

    :param package_id: the package that the job makes.
    :param visible_by: wall-clock time, in seconds since the epoch, until when a job that is not there counts as
        not there *yet*.
    """

    has_single_call: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ()

    app_id: str
    job_id: str
    package_id: str
    visible_by: float = 0.0

    @property
    def subject(self) -> str:
        return f"Upload of package {self.package_id} to app {self.app_id} (job {self.job_id})"

    @property
    def group(self) -> Hashable:
        return self.app_id, self.job_id

    def call(self) -> Call[Job]:
        return get_job(self.app_id, self.job_id)

    shared_call = call

    def extract(self, answer: Job) -> Job:
        return answer

    def judge(self, answer: Job) -> Outcome:
        if answer.status == JobStatus.FAILED:
            raise UploadFailedError(
                f"{self.subject} ended as Failed. Mendix gives no reason; see whether the app's Environments page"
                " in the portal tells more. Another try of the task uploads the file again."
            )
        done = answer.status == JobStatus.COMPLETED
        result = {"package_id": self.package_id, "job_id": self.job_id}
        return Outcome(answer.status, done=done, result=result if done else {})

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient or (isinstance(error, NotFoundError) and now < self.visible_by)


class BuildCapacityWait(msgspec.Struct, frozen=True, tag=True):
    """Wait until fewer builds of an app than a limit are under way, by what Mendix shows.

    :param most: the limit.
    """

    has_single_call: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ()

    app_id: str
    most: int

    @property
    def subject(self) -> str:
        return f"Room for a build of app {self.app_id}"

    @property
    def group(self) -> Hashable:
        return self.app_id

    def call(self) -> Call[LazyPackageList]:
        return list_packages_lazily(self.app_id)

    shared_call = call

    def extract(self, answer: LazyPackageList) -> LazyPackageList:
        return answer

    def judge(self, answer: LazyPackageList) -> Outcome:
        running = sum(package.is_unfinished for package in answer) + answer.unreadable
        return Outcome(f"{running} of at most {self.most} builds under way", done=running < self.most)

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient


class RevisionWait(msgspec.Struct, frozen=True, tag=True):
    """Wait until a branch has a newer revision.

    :param newer_than: the revision that is known already; ``None`` for any.
    """

    has_single_call: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ()

    source: BranchSource
    newer_than: str | None = None

    @property
    def subject(self) -> str:
        return f"Branch {self.source.branch} of app {self.source.app_id}"

    @property
    def group(self) -> Hashable:
        return self.source

    def call(self) -> Call[Any]:
        return self.source.newest()

    shared_call = call

    def extract(self, answer: Any) -> Any:
        return answer

    def judge(self, answer: Any) -> Outcome:
        try:
            newest = self.source.read(answer)
        except RevisionNotFoundError:
            return Outcome("no revision yet")
        done = self.newer_than is None or is_newer(newest.revision, self.newer_than)
        return Outcome(f"at revision {newest.revision}", done=done, result=newest.summary() if done else {})

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient


Wait: TypeAlias = (
    "PackageWait | JobWait | BuildCapacityWait | RevisionWait"
    " | EnvironmentWait | TransportWait | StartJobWait | SnapshotWait | RestoreWait"
)


def wait_to_json(wait: Wait) -> dict[str, Any]:
    """Give a wait as JSON-plain values, for a trigger row."""
    return dict(msgspec.to_builtins(wait))


def wait_from_json(data: dict[str, Any]) -> Wait:
    """Rebuild the wait that :func:`wait_to_json` wrote."""
    wait: Wait
    try:
        wait = msgspec.convert(data, type=PackageWait | JobWait | BuildCapacityWait | RevisionWait)
    except msgspec.ValidationError:
        # Loaded where one is rebuilt: a DAG file that is parsed, and who waits for packages, can do without.
        from airflow_provider_mendix.waits.backup import RestoreWait, SnapshotWait
        from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait, TransportWait

        of_environments = EnvironmentWait | TransportWait | StartJobWait | SnapshotWait | RestoreWait
        try:
            wait = msgspec.convert(
                data, type=PackageWait | JobWait | BuildCapacityWait | RevisionWait | of_environments
            )
        except msgspec.ValidationError as error:
            raise UnexpectedEventError(
                f"The trigger holds a wait that this version cannot read: {error}."
            ) from None
    return wait


def success_event(result: dict[str, Any]) -> dict[str, Any]:
    """Say, as JSON-plain values, that a wait is over and well."""
    return {"ended": "success", "result": result}


def failure_event(error: MendixError) -> dict[str, Any]:
    """Say, as JSON-plain values, that a wait is over and badly."""
    return {"ended": "failure", "error": error.to_json()}


def result_of(event: object) -> dict[str, Any]:
    """Give what a wait resulted in, from the event that ended it.

    :raises MendixError: the error that the trigger met, with its own type.
    :raises UnexpectedEventError: if the event is missing or of no known form: a task must not succeed by mistake.
    """
    match event:
        case {"ended": "success", "result": dict(result)}:
            return result
        case {"ended": "failure", "error": error}:
            raise error_from_json(error)
    raise UnexpectedEventError(
        f"The task was resumed with {'no event' if event is None else 'an event of unknown form'}, so nothing is"
        " known about the result. Clear the task to run it again."
    )
