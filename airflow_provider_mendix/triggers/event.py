"""Watchers: triggers that make events of assets when a branch has new revisions or an app has new packages."""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.settings import DEFAULT_WATCH_INTERVAL

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.api.revisions import BranchSource
    from airflow_provider_mendix.polling.poller import Poller

__all__ = ["MendixNewPackageTrigger", "MendixNewRevisionTrigger"]

# Airflow persists an event up to about a second after it was yielded. A cursor saved earlier could lose it.
_PERSISTED_WITHIN = 5.0
# A wake-up may come before Mendix shows what it is about, or while a request is pending.
_SECOND_POLL_AFTER_WAKEUP = 2.0
_REPEAT_MESSAGE_AFTER = 5 * 60.0
_MAX_ITEMS = 100


class _Watcher(BaseEventTrigger):
    """Poll for ever, and yield one event for each poll that finds something new.

    :param asset_name: the asset; it tells watchers of different assets apart.
    :param app_id: subdomain of the app.
    :param branch: as the Build API spells it.
    :param mendix_conn_id: id of the Airflow connection.
    :param poll_interval: seconds between two polls.
    """

    def __init__(
        self,
        *,
        asset_name: str,
        app_id: str,
        branch: str = "main",
        mendix_conn_id: str = "mendix_default",
        poll_interval: float = DEFAULT_WATCH_INTERVAL,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asset_name = asset_name
        self.app_id = app_id
        self.branch = branch
        self.mendix_conn_id = mendix_conn_id
        self.poll_interval = poll_interval
        self._failing_since: float | None = None
        self._logged_at = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that rebuild this trigger."""
        arguments = {
            "asset_name": self.asset_name,
            "app_id": self.app_id,
            "branch": self.branch,
            "mendix_conn_id": self.mendix_conn_id,
            "poll_interval": self.poll_interval,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events for ever: Airflow restarts a watcher that ends every two seconds."""
        while True:
            try:
                async with aclosing(self._watch()) as events:
                    async for event in events:
                        yield event
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                self._log_failure(error)
            await current_clock().pause(self.poll_interval)

    async def on_kill(self) -> None:
        """Change nothing: Airflow calls this when the DAG is paused, too."""
        self.log.info("%s: the watcher was stopped.", self._label)

    async def _watch(self) -> AsyncGenerator[TriggerEvent, None]:
        # Only a triggerer needs these modules; a DAG file loads the one you are reading.
        from airflow_provider_mendix.exceptions import MendixError
        from airflow_provider_mendix.polling.poller import poller_of
        from airflow_provider_mendix.polling.wakeup import wakeup_of
        from airflow_provider_mendix.triggers.cursor import Cursor

        cursor = Cursor(self, self.asset_name)
        saved = seen = await cursor.load()
        due_in = 0.0
        async with poller_of(self.mendix_conn_id) as poller:
            with wakeup_of(self.app_id, poller) as wakeup:
                while True:
                    wakeups = wakeup.count
                    try:
                        event, seen = await self._poll(poller, due_in, seen)
                    except MendixError as error:
                        self._log_failure(error)
                    else:
                        self._log_recovery()
                        if event:
                            self.log.info("%s: new: %s", self._label, event["id"])
                            yield TriggerEvent({**event, "app_id": self.app_id, "branch": self.branch})
                            await current_clock().pause(_PERSISTED_WITHIN)
                        if seen != saved:
                            await cursor.save(seen)
                            saved = seen
                    due_in = self.poll_interval if wakeup.count == wakeups else _SECOND_POLL_AFTER_WAKEUP

    @abstractmethod
    async def _poll(self, poller: Poller, due_in: float, seen: Any) -> tuple[dict[str, Any] | None, Any]:
        """Poll once, and return the event, if there is one, and what has been seen then.

        :param seen: what had been seen before, as JSON values; ``None`` if nothing.
        :raises MendixError: if there was no good response.
        """

    @property
    def _label(self) -> str:
        return f"Asset {self.asset_name} (app {self.app_id}, branch {self.branch})"

    def _log_failure(self, error: Exception) -> None:
        now = current_clock().now()
        if self._failing_since is None or now - self._logged_at >= _REPEAT_MESSAGE_AFTER:
            self._failing_since = now if self._failing_since is None else self._failing_since
            self._logged_at = now
            minutes = (now - self._failing_since) / 60
            self.log.warning("%s: polling has failed for %.0f min, trying again. %s", self._label, minutes, error)

    def _log_recovery(self) -> None:
        if self._failing_since is not None:
            self._failing_since = None
            self.log.info("%s: polling works again.", self._label)


class MendixNewRevisionTrigger(_Watcher):
    """Make an event when a branch has new revisions; see :data:`.revision_asset`.

    An event is a JSON object: ``id``, ``app_id``, ``branch``, ``newest`` (a revision: ``revision``, ``author``,
    ``date``, ``message``, ``mendix_version``), ``since`` (the last known revision), ``revisions`` (all that came
    since then, oldest first, at most 100), ``count``, and ``is_complete`` (false if the last known revision is no
    longer on the branch; then only the newest one is listed).

    The first poll makes no event. Every later revision is in at least one event. A repeated event has the same
    ``id``, and so has each revision of an event that was repeated with more.
    """

    _source: BranchSource | None = None

    async def _poll(self, poller: Poller, due_in: float, seen: Any) -> tuple[dict[str, Any] | None, Any]:
        from airflow_provider_mendix.api.pending import pending_revisions, revisions_since
        from airflow_provider_mendix.exceptions import MendixError

        since = seen["revision"] if seen else None
        if self._source is None:
            # The queue delays requests, but not the lookup of the connection.
            if due_in:
                await current_clock().pause(due_in)
            due_in, has_token = 0.0, await poller.has_token()
            lookup = pending_revisions(self.app_id, self.branch, since, has_token=has_token)
        else:
            lookup = revisions_since(self._source, since)
        try:
            found = await poller.run(lookup, due_in=due_in, app_id=self.app_id.lower())
        except MendixError as error:
            if not error.transient:
                self._source = None  # the branch may have moved, or the connection may have got a token
            raise
        self._source = found.source
        if found.newest is None:
            return None, seen or {"revision": ""}
        now_seen = {"revision": found.newest.revision}
        if since is None or not found.revisions:
            return None, seen or now_seen
        event = {
            "id": f"{self.app_id}/{self.branch}:{since or 'none'}..{found.newest.revision}",
            "since": since or None,
            "newest": found.newest.summary(),
            "revisions": [revision.summary() for revision in found.revisions[-_MAX_ITEMS:]],
            "count": len(found.revisions),
            "is_complete": found.is_complete,
        }
        return event, now_seen


class MendixNewPackageTrigger(_Watcher):
    """Make an event when a branch has new packages; see :data:`.package_asset`.

    An event is a JSON object: ``id``, ``app_id``, ``branch``, ``newest`` and ``packages`` (all that were finished
    since the last event, oldest first, at most 100; each with ``package_id``, ``name``, ``version``, ``revision``,
    ``status``, ``size``, ``creation_date``, ``expiry_date``), and ``count``.

    The first poll makes no event. Every package that is finished later is in at least one event. A repeated event
    has the same ``id``, unless more packages are in it; each package has its ``package_id``.

    :param include_failed: make events of builds that ended as ``Failed`` too.
    """

    def __init__(self, *, include_failed: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.include_failed = include_failed

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that rebuild this trigger."""
        path, arguments = super().serialize()
        return path, {**arguments, "include_failed": self.include_failed}

    async def _poll(self, poller: Poller, due_in: float, seen: Any) -> tuple[dict[str, Any] | None, Any]:
        from airflow_provider_mendix.api.pending import list_packages, pending_packages

        listed = await poller.run(list_packages(self.app_id), due_in=due_in, app_id=self.app_id.lower())
        finished = {_digest(stub.package_id): stub.package_id for stub in listed if not stub.is_unfinished}
        if seen is None:
            return None, {"packages": sorted(finished)}
        known = finished.keys() & set(seen["packages"])
        read = {digest: listed.get(finished[digest]) for digest in finished.keys() - known}
        new = {digest: package for digest, package in read.items() if package}
        if not new:
            return None, seen
        now_seen = {"packages": sorted(known | new.keys())}
        pending = pending_packages(new.values(), self.branch, include_failed=self.include_failed)
        if not pending:
            return None, now_seen
        event = {
            "id": f"{self.app_id}/{self.branch}:{_digest(*sorted(package.package_id for package in pending))}",
            "newest": _package(pending[-1]),
            "packages": [_package(package) for package in pending[-_MAX_ITEMS:]],
            "count": len(pending),
        }
        return event, now_seen


@functools.lru_cache(10_000)
def _digest(*ids: str) -> str:
    """Return a short name for ids: a Variable holds at most 64 KiB on MySQL."""
    return hashlib.blake2s("\n".join(ids).encode(), digest_size=6).hexdigest()


def _package(package: Package) -> dict[str, Any]:
    from airflow_provider_mendix.api.build import split_version

    return {**package.summary(), "revision": split_version(package.version)[1] or None}
