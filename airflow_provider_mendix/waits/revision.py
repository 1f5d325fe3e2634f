"""Wait for a revision."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.api.conversations import locate_branch
from airflow_provider_mendix.api.revisions import BranchSource, is_newer
from airflow_provider_mendix.exceptions import RevisionNotFoundError
from airflow_provider_mendix.waits.base import Outcome, Wait


class RevisionWait(Wait, frozen=True, tag=True):
    """Wait until a branch has a newer revision.

    :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``.
    :param newer_than: the known revision; ``None`` for any.
    :param has_token: whether the connection has a personal access token.
    :param source: the API and the spelling by which the branch is known, once it has been located.
    """

    app_id: str
    branch: str
    newer_than: str | None = None
    has_token: bool = False
    source: BranchSource | None = None

    @property
    def description(self) -> str:
        return f"Branch {self.branch} of app {self.app_id}"

    @property
    def batch_key(self) -> Hashable:
        return self.call().identity if self.source else (self.app_id, self.branch)

    def resolve(self) -> Conversation[Wait]:
        if self.source is not None:
            return self
        located = yield from locate_branch(self.app_id, self.branch, has_token=self.has_token)
        return msgspec.structs.replace(self, source=located.source, branch=located.source.branch)

    def call(self) -> Call[Any]:
        return self._source.newest()

    def judge(self, response: Any) -> Outcome:
        try:
            newest = self._source.read(response)
        except RevisionNotFoundError:
            return Outcome("no revision yet")
        done = self.newer_than is None or is_newer(newest.revision, self.newer_than)
        return Outcome(f"at revision {newest.revision}", done=done, result=newest.summary() if done else {})

    @property
    def _source(self) -> BranchSource:
        if self.source is None:
            raise RuntimeError("The branch has not been located: resolve the wait first.")
        return self.source
