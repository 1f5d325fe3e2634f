"""What is pending: through the hook, against the simulator."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.exceptions import BranchNotFoundError, InvalidInputError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.state.packages import BuildOutcome


@pytest.fixture
def hook(token):
    return MendixHook()


class TestRevisions:
    def pending(self, hook, **arguments):
        return [found.revision for found in hook.pending_revisions("shop", "main", **arguments)]

    def test_they_are_those_after_the_known_one_oldest_first(self, hook, platform):
        known, *pushed = [platform.repositories.push("shop") for _ in range(250)]
        assert self.pending(hook, since=known) == pushed
        assert self.pending(hook, since=known[:8]) == pushed

    def test_nothing_is_pending_if_the_newest_one_is_known(self, hook, platform):
        assert self.pending(hook, since=platform.repositories.push("shop")) == []

    def test_at_first_only_the_newest_one_is_pending(self, hook, platform):
        platform.repositories.push("shop")
        newest = platform.repositories.push("shop")
        assert self.pending(hook) == [newest]

    @pytest.mark.parametrize("commits", [3, 1200])
    def test_only_the_newest_one_is_pending_if_the_known_one_is_not_found(self, hook, platform, commits, capsys):
        pushed = [platform.repositories.push("shop") for _ in range(commits)]
        assert self.pending(hook, since="0" * 39 + "1") == pushed[-1:]
        assert "is not among the newest of branch main of app shop" in capsys.readouterr().out
        assert len(platform.journal.requests("GET", "/commits")) <= 10

    def test_svn_numbers(self, hook, platform):
        platform.add_app("old", repository="svn")
        first, *pushed = [platform.repositories.push("old") for _ in range(12)]
        found = hook.pending_revisions("old", "trunk", since=int(first))
        assert [revision.revision for revision in found] == pushed

    def test_the_team_server_shows_twenty(self, server, platform):
        platform.add_app("old", repository="svn")
        pushed = [platform.repositories.push("old") for _ in range(40)]
        hook = MendixHook()
        assert [found.revision for found in hook.pending_revisions("old", since=pushed[30])] == pushed[31:]
        assert [found.revision for found in hook.pending_revisions("old", since=pushed[1])] == pushed[-1:]

    def test_wrong_values(self, hook):
        with pytest.raises(InvalidInputError, match="since 'HEAD' is neither"):
            hook.pending_revisions("shop", since="HEAD")
        with pytest.raises(BranchNotFoundError):
            hook.pending_revisions("shop", "nowhere")


class TestPackages:
    def test_they_are_the_finished_ones_of_the_branch_that_are_not_done_oldest_first(self, hook, platform):
        revision = platform.repositories.push("shop", branch="next")
        failing = BuildOutcome.FAILS_WHILE_BUILDING.steps(platform.packages.timeline)

        def add(version, **options):
            return platform.packages.add("shop", version=version, revision=revision, **options)

        newer, older = add("1.0.1", age=10), add("1.0.0", age=20)
        add("1.0.2", branch="next")
        add("1.0.3", steps=BuildOutcome.STUCK_BUILDING.steps(platform.packages.timeline))
        failed = add("1.0.4", steps=failing, age=1000)

        def pending(**arguments):
            return [found.package_id for found in hook.pending_packages("shop", "main", **arguments)]

        assert pending() == [older, newer]
        assert pending(done=[older]) == [newer]
        assert pending(include_failed=True) == [failed, older, newer]

    @pytest.mark.parametrize("branch", ["main", "trunk"])
    def test_the_main_line_has_several_names(self, hook, platform, branch):
        platform.add_app("old", repository="svn")
        package_id = platform.packages.add("old", version="1.0.0", revision="1")
        assert [found.package_id for found in hook.pending_packages("old", branch)] == [package_id]
