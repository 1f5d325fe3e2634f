"""What is built: which revision, on which branch, under which version, and what if there is a package already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import get_args

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.builds.resolve import next_version, packages_of
from airflow_provider_mendix.exceptions import InvalidInputError, RetiredApiError, RevisionAlreadyBuiltError
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.simulator.options import Options, TeamServerResponse
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from ..conftest import TaskInstance, run_task, run_trigger, set_connection

TOKEN = "token-of-ana-9876543210"
RETIRED = (
    "Mendix has retired the Team Server API: add to the connection a personal access token with the scope"
    " mx:modelrepository:repo:read, from https://user-settings.mendix.com/link/developersettings."
)
DAY = 24 * 3600.0
UNBUILT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def mendix(platform, server, monkeypatch):
    """A Mendix with a Git app `shop` and an SVN app `depot`, and a connection that has a token."""
    platform.permissions.add_personal_access_token(TOKEN)
    platform.add_app("depot", repository="svn")
    extra = {"personal_access_token": TOKEN, "repository_url": server.repository_url}
    set_connection(monkeypatch, host=server.api_url, extra=extra)
    set_connection(monkeypatch, "key_only", host=server.api_url)
    return platform


def start_build(**changes):
    values = {"app_id": "shop", "branch": "main", "bump": "patch", "wait_for_completion": False, **changes}
    return MendixStartBuildOperator(task_id="build", **values)


def context_of(clock, map_index=-1, **changes):
    ti = TaskInstance(map_index=map_index, **changes)
    return {"ti": ti, "dag_run": SimpleNamespace(start_date=pendulum.from_timestamp(clock.now()))}


def posts(platform):
    return [entry.body for entry in platform.journal.requests("POST")]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def refused(operator, context):
    """Run a task that must fail for good, and give why."""
    with pytest.raises(AirflowFailException) as caught:
        run_task(operator, context)
    return caught.value.__context__


class TestNewestRevision:
    @pytest.mark.parametrize("app_id", ["shop", "depot"])
    @pytest.mark.parametrize("branch", ["main", "trunk", None])
    def test_of_the_main_line_is_resolved_pinned_logged_and_handed_on(
        self, mendix, context, caplog, app_id, branch
    ):
        newest = mendix.repositories.push(app_id, message="Fix the till", author="ana@example.com")
        run_task(start_build(app_id=app_id, branch=branch), context)
        (post,) = posts(mendix)
        spelled = "main" if app_id == "shop" else "trunk"
        assert (post["Revision"], post["Branch"], post["Version"]) == (newest, spelled, "0.0.1")
        assert f"is {newest}, by ana@example.com" in caplog.text
        (package_id,) = mendix.packages
        assert context["ti"].xcoms["mendix_build"] == {
            "package_id": package_id,
            "revision": newest,
            "version": "0.0.1",
            "branch": spelled,
            "is_reused": False,
        }

    @pytest.mark.parametrize("branch", ["rel 1.4", "branches/rel 1.4", "naïve/ветка"])
    @pytest.mark.parametrize("app_id", ["shop", "depot"])
    def test_of_another_branch(self, mendix, context, app_id, branch):
        newest = mendix.repositories.push(app_id, branch=branch)
        mendix.repositories.push(app_id)
        run_task(start_build(app_id=app_id, branch=branch), context)
        (post,) = posts(mendix)
        assert post["Revision"] == newest
        assert post["Branch"] == "branches/" + branch.removeprefix("branches/")

    def test_without_a_token_the_team_server_tells_it_for_svn(self, mendix, context):
        for _ in range(25):
            newest = mendix.repositories.push("depot")
        run_task(start_build(app_id="depot", mendix_conn_id="key_only"), context)
        assert posts(mendix)[0]["Revision"] == newest
        assert not mendix.journal.requests(host="repository")

    def test_a_retry_keeps_what_the_first_try_has_chosen(self, mendix, clock):
        context = context_of(clock, max_tries=3)
        first = mendix.repositories.push("shop")
        package_id = run_task(start_build(), context)
        mendix.repositories.push("shop")
        again = context_of(clock, max_tries=3, try_number=2)
        assert run_task(start_build(), again) == package_id
        assert len(posts(mendix)) == 1
        assert again["ti"].xcoms["mendix_build"] == {
            "package_id": package_id,
            "revision": first[:8],
            "version": "0.0.1",
            "branch": "main",
            "is_reused": False,
        }

    def test_a_lost_reply_is_no_second_build(self, mendix, context):
        mendix.faults.add("reply_lost", on="start_build")
        package_id = run_task(start_build(), context)
        assert list(mendix.packages) == [package_id]
        assert len(posts(mendix)) == 1


class TestRevisionOnItsBranch:
    def test_a_short_hash_is_sent_in_full(self, mendix, context):
        revision = mendix.repositories.push("shop")
        mendix.repositories.push("shop")
        run_task(start_build(revision=revision[:7]), context)
        assert posts(mendix)[0]["Revision"] == revision

    @pytest.mark.parametrize(
        ("app_id", "connection"),
        [("shop", "mendix_default"), ("depot", "mendix_default"), ("depot", "key_only")],
    )
    def test_of_another_branch_is_refused_before_a_build(self, mendix, context, app_id, connection):
        elsewhere = mendix.repositories.push(app_id, branch="elsewhere")
        error = refused(start_build(app_id=app_id, revision=elsewhere, mendix_conn_id=connection), context)
        assert f"Revision {elsewhere} is not on branch" in str(error)
        assert not posts(mendix)

    def test_that_cannot_be_checked_is_built_with_a_warning(self, mendix, context, caplog):
        run_task(start_build(revision=UNBUILT, mendix_conn_id="key_only"), context)
        assert posts(mendix)[0]["Revision"] == UNBUILT
        (warning,) = warnings(caplog)
        assert warning.startswith(
            f"Not checked whether revision {UNBUILT} is on branch main: the connection lacks a"
        )
        assert "mx:modelrepository:repo:read" in warning

    def test_of_an_app_that_the_team_server_does_not_serve_is_built(self, mendix, context, caplog):
        run_task(start_build(revision="12345678", mendix_conn_id="key_only"), context)
        assert posts(mendix)[0]["Revision"] == "12345678"
        (warning,) = warnings(caplog)
        assert "Not checked whether" in warning

    def test_an_outage_of_the_team_server_stops_no_build(self, mendix, context, caplog):
        mendix.faults.add("bad_gateway", on="list_revisions", times=9)
        run_task(start_build(app_id="depot", revision="1", branch="trunk", mendix_conn_id="key_only"), context)
        assert posts(mendix)[0]["Revision"] == "1"
        (warning,) = warnings(caplog)
        assert "HTTP 502" in warning

    def test_a_short_hash_that_stays_short_is_warned_about(self, mendix, context, caplog):
        run_task(start_build(revision="9f3ab2c1", check_revision=False), context)
        assert warnings(caplog) == [
            "Give the full hash: with a short one, Mendix may time out on a large repository."
        ]

    def test_is_not_looked_up_if_the_author_opts_out(self, mendix, context):
        run_task(start_build(revision=UNBUILT, check_revision=False), context)
        assert posts(mendix)[0]["Revision"] == UNBUILT
        assert not mendix.journal.requests(host="repository")

    def test_an_unknown_branch_names_those_that_there_are(self, mendix, context):
        mendix.repositories.push("shop", branch="rel-1")
        error = refused(start_build(branch="rel-2"), context)
        assert "has no branch 'branches/rel-2'. Its branches: " in str(error)
        assert "rel-1" in str(error)
        assert not posts(mendix)


class TestRevisionThatIsBuiltAlready:
    @pytest.fixture
    def revision(self, mendix):
        return mendix.repositories.push("shop")

    @pytest.fixture
    def built(self, mendix, revision):
        return mendix.packages.add("shop", version="1.4.0", revision=revision, branch="main", age=60)

    def test_is_built_again_by_default(self, mendix, context, built):
        assert run_task(start_build(), context) != built
        assert posts(mendix)[0]["Version"] == "1.4.1"

    def test_is_reused(self, mendix, context, built, revision):
        assert run_task(start_build(if_exists="reuse", wait_for_completion=True), context) == built
        assert not posts(mendix)
        assert context["ti"].xcoms["mendix_build"] == {
            "package_id": built,
            "revision": revision[:8],
            "version": "1.4.0",
            "branch": "main",
            "is_reused": True,
        }

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_is_waited_for_while_it_is_still_being_built(self, mendix, clock, deferrable, revision):
        first = run_task(start_build(), context_of(clock))
        second = context_of(clock, run_id="another")
        operator = start_build(if_exists="reuse", wait_for_completion=True, deferrable=deferrable)
        assert run_task(operator, second) == first
        assert mendix.packages.status(first) == "Succeeded"
        assert len(posts(mendix)) == 1

    def test_skips_the_task(self, mendix, context, built):
        with pytest.raises(AirflowSkipException, match=built):
            run_task(start_build(if_exists="skip"), context)
        assert not posts(mendix)

    def test_fails_the_task_for_good(self, mendix, context, built):
        error = refused(start_build(if_exists="fail"), context)
        assert isinstance(error, RevisionAlreadyBuiltError)
        assert built in str(error)
        assert not posts(mendix)

    @pytest.mark.parametrize("if_exists", ["reuse", "skip", "fail"])
    def test_does_not_count_if_that_build_failed(self, mendix, clock, if_exists, revision):
        mendix.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_QUEUED)
        with pytest.raises(AirflowFailException):
            run_task(start_build(wait_for_completion=True), context_of(clock))
        run_task(start_build(if_exists=if_exists), context_of(clock, run_id="another"))
        assert [post["Version"] for post in posts(mendix)] == ["0.0.1", "0.0.2"]

    def test_does_not_count_under_another_version_if_one_is_asked_for(self, mendix, context, built):
        run_task(start_build(bump=None, version="1.5.0", if_exists="skip"), context)
        assert posts(mendix)[0]["Version"] == "1.5.0"

    def test_counts_under_the_same_version(self, mendix, context, built):
        assert run_task(start_build(bump=None, version="1.4.0", if_exists="reuse"), context) == built

    def test_of_svn_counts_for_its_branch_only(self, mendix, context):
        revision = mendix.repositories.push("depot")
        mendix.packages.add("depot", version="1.0.0", revision=revision, branch="branches/other")
        run_task(start_build(app_id="depot", if_exists="skip"), context)
        assert len(posts(mendix)) == 1

    def test_comes_after_the_tasks_own_marker(self, mendix, clock, revision):
        package_id = run_task(start_build(if_exists="skip"), context_of(clock, max_tries=1))
        again = context_of(clock, max_tries=1, try_number=2)
        assert run_task(start_build(if_exists="skip"), again) == package_id
        assert len(posts(mendix)) == 1


class TestArchive:
    """Mendix deletes packages that are not deployed; what is archived counts beside those it has."""

    @pytest.fixture
    def archive(self, mendix, context, tmp_path):
        """An archive with package 1.4.0 of the newest revision, which Mendix has no longer."""
        package_id = mendix.packages.add("shop", version="1.4.0", revision=mendix.repositories.push("shop"))
        MendixToObjectStorageOperator(
            task_id="archive",
            app_id="shop",
            package_id=package_id,
            destination=f"{tmp_path.as_uri()}/{{app_id}}/{{name}}",
        ).execute(context)
        mendix.cloud.options = Options(package_lifetime=15 * DAY)
        mendix.clock.sleep(20 * DAY)
        return tmp_path.as_uri()

    def test_skips_the_task(self, mendix, context, archive):
        with pytest.raises(AirflowSkipException, match="is built already"):
            run_task(start_build(if_exists="skip", archive=archive), context)
        assert not posts(mendix)
        assert not mendix.packages

    def test_fails_the_task(self, mendix, context, archive):
        error = refused(start_build(if_exists="fail", archive=archive), context)
        assert isinstance(error, RevisionAlreadyBuiltError)
        assert "archived), and if_exists is 'fail'" in str(error)

    @pytest.mark.parametrize("if_exists", ["rebuild", "reuse"])
    def test_raises_the_version_of_a_build(self, mendix, context, archive, if_exists):
        run_task(start_build(if_exists=if_exists, archive=archive), context)
        assert posts(mendix)[0]["Version"] == "1.4.1"

    def test_does_not_count_unless_it_is_named(self, mendix, context, archive):
        run_task(start_build(if_exists="skip"), context)
        assert posts(mendix)[0]["Version"] == "0.0.1"

    def test_does_not_count_for_another_app(self, mendix, context, archive):
        run_task(start_build(app_id="depot", branch="trunk", if_exists="skip", archive=archive), context)
        assert posts(mendix)[0]["Version"] == "0.0.1"

    def test_may_be_empty(self, mendix, context, tmp_path):
        run_task(start_build(if_exists="skip", archive=(tmp_path / "none").as_uri()), context)
        assert posts(mendix)[0]["Version"] == "0.0.1"

    @pytest.mark.parametrize("nothing", ["None", "{{ x }}", "  "])
    def test_that_names_nothing_is_refused_before_any_request(self, mendix, context, nothing):
        assert "archive" in str(refused(start_build(archive=nothing), context))
        assert not mendix.journal

    def test_that_cannot_be_read_builds_nothing(self, mendix, context):
        with pytest.raises(Exception, match="nowhere"):
            run_task(start_build(if_exists="skip", archive="nowhere://releases"), context)
        assert not posts(mendix)

    def test_a_package_that_is_left_to_wait_is_warned_about(self, mendix, context, caplog, capsys):
        mendix.cloud.options = Options(package_lifetime=15 * DAY)
        run_task(start_build(), context)
        assert context["ti"].xcoms["mendix_expiry_date"] == "2023-11-29T22:13:20+00:00"
        assert "on 2023-11-29 22:13:20 UTC unless it is deployed before" in capsys.readouterr().out


class TestVersion:
    @pytest.mark.parametrize(("bump", "expected"), [("patch", "1.10.1"), ("minor", "1.11.0"), ("major", "2.0.0")])
    def test_is_bumped_from_the_highest_there_is(self, mendix, context, bump, expected):
        for number, version in enumerate(("1.2.9", "1.10.0", "0.99.99")):
            mendix.packages.add("shop", version=version, revision=f"{number}bcdef12", age=number)
        run_task(start_build(bump=bump), context)
        assert posts(mendix)[0]["Version"] == expected

    @given(st.lists(st.tuples(*[st.integers(0, 10**13)] * 3)), st.sampled_from(["patch", "minor", "major"]))
    def test_next_is_higher_than_all_that_there_are(self, versions, bump):
        seen = [
            Package(package_id=str(index), status="Succeeded", version=".".join(map(str, version)) + ".9f3ab2c1")
            for index, version in enumerate(versions)
        ]
        following = tuple(int(part) for part in next_version(seen, bump).split("."))
        assert all(following > version for version in versions)

    @pytest.mark.parametrize("version", [None, "", "1.2", "main", "1.2.x.5", "9.9.9-beta.1"])
    def test_what_is_no_version_does_not_count(self, version):
        seen = [
            Package(package_id="a", status="Failed", version="0.3.0.7"),
            Package(package_id="b", status="Succeeded", version=version),
        ]
        assert next_version(seen, "patch") == "0.3.1"

    def test_taken_by_two_tasks_at_once_leaves_each_its_own_package(self, mendix, clock, caplog):
        """Both list the packages before either starts: Mendix has no lock."""
        revision = mendix.repositories.push("shop")
        answer, other = mendix.handle, []

        def handle(request):
            if request.method == "POST" and not other:
                other.append(None)
                other[0] = run_task(start_build(), context_of(clock, map_index=1))
            return answer(request)

        mendix.handle = handle
        mine = run_task(start_build(), context_of(clock, map_index=0))
        assert [post["Version"] for post in posts(mendix)] == ["0.0.1", "0.0.1"]
        assert {mine, other[0]} == set(mendix.packages)
        assert f"Package {other[0]} was started at the same time under the same version 0.0.1" in caplog.text
        retried = context_of(clock, map_index=0, try_number=2, max_tries=0)
        assert run_task(start_build(), retried) == mine
        mendix.handle = answer
        assert run_task(start_build(), context_of(clock, map_index=2)) in mendix.packages
        assert posts(mendix)[-1] == {**posts(mendix)[-1], "Version": "0.0.2", "Revision": revision}

    @pytest.mark.parametrize("arguments", [{"bump": None}, {"version": "1.0.0"}, {"bump": "micro"}])
    def test_must_be_given_or_bumped(self, arguments):
        with pytest.raises(ValueError, match="bump"):
            start_build(**arguments)


class TestParallelBuilds:
    @pytest.fixture
    def busy(self, mendix, clock):
        """Two other builds are in progress; both are done after 90 seconds."""
        for run_id in ("first", "second"):
            run_task(start_build(), context_of(clock, run_id=run_id))
        return clock.now()

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_wait_for_capacity_instead_of_posting(self, mendix, clock, busy, deferrable):
        operator = start_build(max_parallel_builds=2, deferrable=deferrable)
        context = context_of(clock, run_id="third")
        if deferrable:
            with pytest.raises(TaskDeferred) as deferred:
                operator.execute(context)
            assert len(posts(mendix)) == 2
            event = run_trigger(deferred.value.trigger)
            package_id = operator.resume_execution(deferred.value.method_name, {"event": event}, context)
        else:
            package_id = run_task(operator, context)
        assert clock.now() - busy >= 90
        assert len(posts(mendix)) == 3
        assert mendix.packages[package_id].version.startswith("0.0.3.")

    def test_do_not_wait_while_there_is_capacity(self, mendix, clock, busy):
        run_task(start_build(max_parallel_builds=3), context_of(clock, run_id="third"))
        assert clock.now() == busy

    def test_the_limit_is_at_least_one(self):
        with pytest.raises(ValueError, match="at least 1"):
            start_build(max_parallel_builds=0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"app_id": "My Web Shop"}, "not its display name"),
        ({"app_id": "0f6d2c1e-2654-4534-b374-9179a69ef3cf"}, "is a UUID"),
        ({"revision": "0"}, "neither an SVN revision number (1 or more) nor"),
        ({"revision": "HEAD"}, "Names such as HEAD are not accepted"),
        ({"bump": None, "version": "1.2.3.4"}, "has four parts"),
        ({"branch": "main~1"}, "is not a branch"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_request(mendix, context, values, says):
    error = refused(start_build(**values), context)
    assert isinstance(error, InvalidInputError)
    assert says in str(error)
    assert not mendix.journal


@pytest.mark.parametrize(
    ("connection", "values", "says"),
    [
        ({"password": TOKEN}, {}, "a personal access token has a field of its own"),
        ({"extra": {"personal_access_token": "no-such-token"}}, {}, "Check the personal access token"),
        ({}, {"app_id": "Shop"}, "app_id is the app's subdomain, not its name"),
    ],
)
def test_a_mistake_that_mendix_must_find_is_one_sentence_and_no_build(
    mendix, server, context, monkeypatch, connection, values, says
):
    fields = {"host": server.api_url, "extra": {"personal_access_token": TOKEN}, **connection}
    fields["extra"]["repository_url"] = server.repository_url
    set_connection(monkeypatch, **fields)
    error = refused(start_build(**values), context)
    assert says in str(error)
    assert TOKEN not in str(error)
    assert not posts(mendix)


def test_packages_of_a_revision_come_newest_first_and_failed_ones_do_not():
    def package(package_id, status, minute):
        made = pendulum.datetime(2026, 11, 21, 2, minute)
        return Package(package_id=package_id, status=status, version="1.0.0.9f3ab2c1", creation_date=made)

    seen = [package("a", "Succeeded", 1), package("b", "Failed", 2), package("c", "Building", 3)]
    assert [found.package_id for found in packages_of(seen, UNBUILT, "main")] == []
    revision = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
    assert [found.package_id for found in packages_of(seen, revision, "main")] == ["c", "a"]


@pytest.mark.parametrize("version", ["1.0.0.9", "1.0.0.9f3ab2c", "1.0.0", "", None, "1.0.0."])
def test_an_uploaded_package_with_a_version_of_its_own_is_of_no_revision(version):
    revision = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
    package = Package(package_id="a", status="Succeeded", version=version)
    assert packages_of([package], revision, "main") == []


def test_a_git_app_without_a_token_is_told_what_it_needs(mendix, context):
    error = refused(start_build(mendix_conn_id="key_only"), context)
    assert isinstance(error, RetiredApiError)
    assert error.message.endswith(RETIRED)
    assert not posts(mendix)


@pytest.mark.parametrize("form", get_args(TeamServerResponse))
class TestRetiredTeamServer:
    @pytest.fixture(autouse=True)
    def _retired(self, mendix, form):
        mendix.cloud.options = Options(team_server="retired", team_server_retired_response=form)

    def test_lets_a_named_revision_be_built_with_one_warning(self, mendix, context, caplog):
        """Not one for each poll for capacity, nor for each attempt."""
        mendix.packages.add("depot", version="1.0.0", revision="1", steps=[("Building", 100), ("Succeeded", 0)])
        mendix.faults.add("bad_gateway", on="start_build")
        build = start_build(
            app_id="depot", revision="1", branch="trunk", max_parallel_builds=1, mendix_conn_id="key_only"
        )
        run_task(build, context)
        assert posts(mendix)[-1]["Revision"] == "1"
        retired = [text for text in warnings(caplog) if "retired" in text]
        assert len(retired) == 1
        assert retired[0].startswith("Not checked whether revision 1 is on branch trunk. This API is not served")
        assert RETIRED in retired[0]

    def test_ends_a_request_for_the_newest_revision_with_one_sentence(self, mendix, context):
        error = refused(start_build(app_id="depot", mendix_conn_id="key_only"), context)
        assert error.message.endswith(RETIRED)
        assert not posts(mendix)
        assert len(mendix.journal) == 2  # the packages, and one request to the Team Server API

    @pytest.mark.parametrize("app_id", ["shop", "depot"])
    def test_is_never_asked_with_a_token(self, mendix, context, app_id):
        newest = mendix.repositories.push(app_id)
        run_task(start_build(app_id=app_id), context)
        run_task(start_build(app_id=app_id, revision=newest), context_of(mendix.clock, map_index=1))
        assert [post["Revision"] for post in posts(mendix)] == [newest, newest]
        assert not [entry for entry in mendix.journal if "/api/1/" in entry.path and "/branches" in entry.path]


def test_an_instant_build_needs_no_capacity(mendix, clock):
    mendix.packages.timeline = Timeline.of(0)
    for number in range(3):
        run_task(start_build(max_parallel_builds=1), context_of(clock, run_id=str(number)))
    assert [post["Version"] for post in posts(mendix)] == ["0.0.1", "0.0.2", "0.0.3"]
