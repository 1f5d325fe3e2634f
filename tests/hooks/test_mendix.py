from __future__ import annotations

import logging
from itertools import islice

import msgspec
import pytest
import requests_mock

from airflow_provider_mendix import __version__
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    BranchNotFoundError,
    InvalidInputError,
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    PackageNotFoundError,
    RetiredApiError,
    RevisionNotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator import inprocess
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.wire import Reply, json_reply

from ..conftest import KEY, USER, set_connection, use_token

UNAVAILABLE = Reply(503)
REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
WRONG = "wrong-secret-0123456789"


def start(hook):
    return hook.start_build("shop", branch="main", revision=REVISION, version="2.5.4", description="one")


def test_every_endpoint_of_the_build_api_as_a_method(server, platform, clock):
    hook = MendixHook()
    package_id = start(hook)
    assert [package.package_id for package in hook.list_packages("shop")] == [package_id]
    assert hook.get_package("shop", package_id).status == "Queued"
    clock.sleep(90)

    package = hook.get_package("shop", package_id, url=True)
    assert (package.status, package.version, package.description) == ("Succeeded", "2.5.4.9f3ab2c1", "one")
    assert package.url is not None
    with hook.open_package("shop", package_id) as (_, download):
        assert b"".join(download) == platform.packages.content(package_id)
    with hook.download_package("shop", package_id) as download:
        assert b"".join(download) == platform.packages.content(package_id)

    hook.delete_package("shop", package_id)
    with pytest.raises(PackageNotFoundError):
        hook.get_package("shop", package_id)


def test_apps(server, platform):
    hook = MendixHook()
    assert [app.app_id for app in hook.list_apps()] == ["shop"]
    assert hook.get_app("shop").project_id == platform.apps["shop"].project_id


def test_credentials_and_user_agent_travel_in_headers_only(monkeypatch):
    set_connection(monkeypatch)
    with requests_mock.Mocker() as mocker:
        mocker.get("https://deploy.mendix.com/api/1/apps/shop/packages", json=[])
        hook = MendixHook()
        hook.list_packages("shop")
        (sent,) = mocker.request_history
    assert sent.headers["Mendix-Username"] == USER
    assert sent.headers["Mendix-ApiKey"] == KEY
    assert sent.headers["User-Agent"] == f"airflow-provider-mendix/{__version__}"
    assert sent.timeout == (10, 60)
    assert KEY not in sent.url
    assert KEY not in repr(vars(hook))


def test_the_in_process_simulator_answers_the_hook(platform, monkeypatch):
    set_connection(monkeypatch)
    with requests_mock.Mocker() as mocker:
        inprocess.install(platform, mocker)
        assert start(MendixHook()) in platform.packages


class TestRepeating:
    """Only calls that are harmless to repeat are sent again."""

    @pytest.fixture
    def shaky(self, server, platform):
        """Let Mendix answer the next requests with a 503 or another reply."""

        def shake(times, reply=UNAVAILABLE):
            left = [times]
            answer = platform.handle

            def handle(request):
                done = answer(request)
                left[0] -= 1
                return reply if left[0] >= 0 else done

            platform.handle = handle

        return shake

    def test_a_read_is_repeated_after_a_transient_error(self, shaky, platform, clock):
        shaky(3)
        assert MendixHook().list_packages("shop") == []
        assert len(platform.journal) == 4

    def test_a_read_is_not_repeated_for_ever(self, shaky, platform):
        shaky(99)
        with pytest.raises(ServiceUnavailableError):
            MendixHook().list_packages("shop")
        assert len(platform.journal) == 4

    def test_retry_after_is_honoured(self, shaky, clock):
        shaky(1, Reply(429, {"Retry-After": "42"}))
        began = clock.now()
        MendixHook().list_packages("shop")
        assert clock.now() - began >= 42

    def test_a_long_retry_after_is_raised(self, shaky, clock, platform):
        shaky(1, Reply(429, {"Retry-After": "3600"}))
        with pytest.raises(Exception, match="429"):
            MendixHook().list_packages("shop")
        assert len(platform.journal) == 1

    def test_a_final_answer_is_not_repeated(self, server, platform):
        with pytest.raises(PackageNotFoundError):
            MendixHook().get_package("shop", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b")
        assert len(platform.journal) == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    def test_a_start_call_is_never_repeated(self, status, shaky, platform):
        shaky(1, Reply(status))
        with pytest.raises(Exception, match=str(status)):
            start(MendixHook())
        assert len(platform.journal) == 1

    def test_a_start_call_whose_reply_is_lost_is_not_repeated(self, server, platform):
        answer = platform.handle

        def handle(request):
            answer(request)
            raise ConnectionAbortedError

        platform.handle = handle
        with pytest.raises(MendixConnectionError):
            start(MendixHook())
        assert len(platform.packages) == 1

    def test_a_delete_call_is_never_repeated(self, shaky, platform):
        shaky(1)
        with pytest.raises(ServiceUnavailableError):
            MendixHook().delete_package("shop", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b")
        assert len(platform.journal) == 1


def test_bad_values_are_refused_before_any_request(server, platform):
    hook = MendixHook()
    for call in (
        lambda: hook.list_packages(""),
        lambda: hook.get_package("shop", "None"),
        lambda: hook.delete_package("Web Shop", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"),
        lambda: hook.start_build("shop", revision="HEAD", version="1.0.0"),
    ):
        with pytest.raises(InvalidInputError):
            call()
    assert not platform.journal


def test_a_signed_link_is_masked_in_task_logs(server, platform, monkeypatch):
    masked = []
    monkeypatch.setattr("airflow_provider_mendix.hooks.link_secrets.mask_secret", masked.append)
    package_id = platform.packages.add("shop", version="2.5.4", revision=REVISION)
    link = MendixHook().get_package("shop", package_id, url=True).url.location
    assert link in masked
    assert link.partition("?")[2] in masked


@pytest.fixture
def history(platform):
    """Write commits with the given ids to a branch of an app, the newest first."""

    def write(*ids, branch="main", app_id="shop"):
        repository = platform.repositories[app_id]
        (commit, *_) = repository.commits()
        commits = tuple(msgspec.structs.replace(commit, id=number) for number in reversed(ids))
        branches = {**repository.branches, branch: commits}
        platform.repositories[app_id] = msgspec.structs.replace(repository, branches=branches)

    return write


def git_ids(count):
    """Make up different hashes."""
    return [f"{number:08x}{'a' * 32}" for number in range(count, 0, -1)]


@pytest.fixture(params=["git", "svn", "svn without token"])
def known(request, platform, server, monkeypatch):
    """Return the newest revision of an app of each kind, for each API that knows it."""
    platform.add_app("shop", repository=request.param.split()[0])
    if "without" not in request.param:
        use_token(monkeypatch, server)
    return platform.repositories.push("shop", message="Known", author="eva@example.com")


def test_every_endpoint_that_knows_branches_as_a_method(known, platform):
    hook = MendixHook()
    main_line = platform.repositories["shop"].main_line
    if hook.has_token:
        project_id = hook.project_id("shop")
        assert hook.get_repository(project_id).type == platform.apps["shop"].repository
        (branch,) = hook.list_repository_branches(project_id)
        assert branch == hook.get_repository_branch(project_id, main_line)
        newest, oldest = hook.list_commits(project_id, main_line)
        assert (branch.name, branch.latest_commit, newest.id) == (main_line, newest, known)
        assert (newest.author.email, oldest.message) == ("eva@example.com", "Create the app")
    else:
        (listed,) = hook.list_branches("shop")
        assert listed == hook.get_branch("shop", "main") == hook.get_branch("shop", "trunk")
        assert (listed.name, listed.display_name, listed.latest_revision_number) == ("trunk", "Main line", 2)
        assert sorted(revision.number for revision in hook.list_revisions("shop", "main")) == [1, 2]


class TestLatestRevision:
    @pytest.mark.parametrize("branch", ["main", "trunk"])
    def test_both_names_of_the_main_line_find_it(self, branch, known, platform):
        found = MendixHook().latest_revision("shop", branch)
        assert (found.app_id, found.revision, found.author) == ("shop", known, "eva@example.com")
        assert found.branch == platform.repositories["shop"].main_line

    def test_the_newest_of_more_than_an_answer_holds(self, known, platform):
        for _ in range(25):
            newest = platform.repositories.push("shop")
        assert MendixHook().latest_revision("shop").revision == newest

    @pytest.mark.parametrize("known_as", ["prefixed", "bare"])
    @pytest.mark.parametrize("asked", ["{}", "branches/{}"])
    @pytest.mark.parametrize("name", ["next", "Fehler behöben 2", "feature/日本 + 1%", "main2"])
    def test_a_branch_by_whichever_name(self, known_as, asked, name, known, platform):
        platform.cloud.options = Options(
            git_branch_names=known_as, git_branch_paths="as_shown", team_server_branch_names=known_as
        )
        newest = platform.repositories.push("shop", branch=name)
        found = MendixHook().latest_revision("shop", asked.format(name))
        assert (found.branch, found.revision) == (f"branches/{name}", newest)

    def test_a_missing_branch_is_reported_with_the_existing_ones(self, known, platform):
        platform.repositories.push("shop", branch="next")
        main_line = platform.repositories["shop"].main_line
        with pytest.raises(BranchNotFoundError) as missing:
            MendixHook().latest_revision("shop", "nxt")
        said = str(missing.value)
        assert "App shop has no branch 'branches/nxt'." in said
        assert said.endswith((f"{main_line}, branches/next.", f"{main_line}, next."))

    def test_of_many_branches_some_are_told(self, known, platform):
        for number in range(30):
            platform.repositories.push("shop", branch=f"b{number:02}")
        with pytest.raises(BranchNotFoundError, match=r"b08, …\.$"):
            MendixHook().latest_revision("shop", "nxt")

    def test_case_matters(self, known, platform):
        platform.repositories.push("shop", branch="Next")
        with pytest.raises(BranchNotFoundError):
            MendixHook().latest_revision("shop", "next")

    def test_a_branch_without_revision(self, token, history, platform):
        answer = platform.handle
        platform.handle = lambda request: (
            json_reply({"name": "main"}) if request.host == "repository" else answer(request)
        )
        with pytest.raises(RevisionNotFoundError, match="Branch main of app shop has no revision yet"):
            MendixHook().latest_revision("shop")

    def test_a_team_server_that_shows_nothing(self, server, platform, history):
        platform.add_app("shop", repository="svn")
        history(branch="trunk")
        with pytest.raises(RevisionNotFoundError, match="Branch trunk of app shop has no revision yet"):
            MendixHook().latest_revision("shop")

    @pytest.mark.parametrize("refusal", ["APP_NOT_FOUND", "NO_ACCESS"])
    def test_a_git_app_takes_a_token(self, refusal, server, platform):
        platform.cloud.options = Options(team_server_refusal=refusal)
        with pytest.raises(RetiredApiError, match=f"mx:modelrepository:repo:read.*{refusal}"):
            MendixHook().latest_revision("shop")

    def test_an_unknown_app_is_told_which_there_are(self, server, platform):
        platform.add_app("depot")
        for lookup in (MendixHook().list_packages, MendixHook().get_app, MendixHook().list_environments):
            with pytest.raises(MendixError, match=r"The user has access to these apps: depot, shop\."):
                lookup("shpo")

    def test_an_unknown_app_stays_the_error_if_the_apps_cannot_be_listed(self, server, platform):
        platform.faults.add("bad_gateway", on="list_apps")
        with pytest.raises(MendixError, match="shpo") as failed:
            MendixHook().get_app("shpo")
        assert failed.value.final
        assert "has access to these apps" not in str(failed.value)

    def test_a_revision_that_is_not_there_names_the_newest(self, token, platform):
        newest = platform.repositories.push("shop")
        with pytest.raises(RevisionNotFoundError, match=f"The newest one is {newest}"):
            MendixHook().find_revision("shop", "main", "0badc0de")

    def test_a_refused_token_is_told_as_such(self, token, platform):
        platform.permissions.revoke_personal_access_token(token)
        with pytest.raises(UnauthorizedError, match="Check the personal access token") as refused:
            MendixHook().latest_revision("shop")
        assert "API Rights" not in str(refused.value)

    def test_it_takes_as_few_requests_as_can_be(self, known, platform):
        MendixHook().latest_revision("shop", platform.repositories["shop"].main_line)
        with_token = len(platform.journal.requests(host="repository"))
        assert len(platform.journal) == (2 if with_token else 1)

    @pytest.mark.parametrize(
        ("app_id", "branch"),
        [("", "main"), ("Web Shop", "main"), ("shop", ""), ("shop", "HEAD"), ("shop", "a//b")],
    )
    def test_bad_values_are_refused_before_any_request(self, app_id, branch, known, platform):
        with pytest.raises(InvalidInputError):
            MendixHook().latest_revision(app_id, branch)
        assert not platform.journal


class TestFindRevision:
    def test_the_newest_one(self, known):
        found = MendixHook().find_revision("shop", "main", known)
        assert (found.revision, found.message) == (known, "Known")

    def test_the_newest_git_commit_in_full_takes_no_list(self, token, platform):
        newest = platform.repositories.push("shop")
        assert MendixHook().find_revision("shop", "main", newest.upper()).revision == newest
        assert not platform.journal.requests("GET", "/commits")

    def test_a_short_hash_is_expanded_over_several_pages(self, token, platform, history):
        ids = git_ids(450)
        history(*ids)
        found = MendixHook().find_revision("shop", "main", ids[230][:8].upper())
        assert found.revision == ids[230]
        assert len(platform.journal.requests("GET", "/commits")) == 4

    @pytest.mark.parametrize("digits", ["9f3a", "12345678"])
    def test_a_short_hash_of_two_commits_is_refused(self, digits, token, history):
        first, second = digits + "b" * (40 - len(digits)), digits + "c" * (40 - len(digits))
        history(*git_ids(20), first, second)
        with pytest.raises(InvalidInputError, match=f"fits more than one .*{first}, {second}.*more of its"):
            MendixHook().find_revision("shop", "main", digits)
        assert MendixHook().find_revision("shop", "main", f"{digits}c").revision == second

    def test_a_short_hash_may_fit_once_more_on_the_next_page(self, token, history):
        ids = git_ids(130)
        twin = f"{ids[10][:8]}{'b' * 32}"
        history(*ids[:105], twin, *ids[105:])
        with pytest.raises(InvalidInputError, match=twin):
            MendixHook().find_revision("shop", "main", ids[10][:8])

    def test_one_of_another_branch_is_not_found(self, known, platform):
        other = platform.repositories.push("shop", branch="next")
        said = f"Revision {other} is not on branch (main|trunk) of app shop"
        with pytest.raises(RevisionNotFoundError, match=said):
            MendixHook().find_revision("shop", "main", other)
        assert MendixHook().find_revision("shop", "next", other).revision == other

    def test_an_older_svn_revision(self, token, platform):
        platform.add_app("shop", repository="svn")
        for _ in range(120):
            platform.repositories.push("shop", message="x")
        found = MendixHook().find_revision("shop", "trunk", 12)
        assert (found.revision, found.branch, found.message) == ("12", "trunk", "x")

    def test_a_part_of_an_svn_number_is_another_number(self, known, platform):
        if len(known) == 40:
            return
        for _ in range(15):
            platform.repositories.push("shop", branch="next")
        assert platform.repositories.push("shop", branch="trunk") == "19"
        with pytest.raises(RevisionNotFoundError):
            MendixHook().find_revision("shop", "trunk", "18")
        assert MendixHook().find_revision("shop", "trunk", 1).message == "Create the app"

    def test_one_that_the_team_server_shows_no_more(self, server, platform):
        platform.add_app("shop", repository="svn")
        for _ in range(25):
            platform.repositories.push("shop")
        assert MendixHook().find_revision("shop", "trunk", 7).revision == "7"
        with pytest.raises(RevisionNotFoundError, match="newest 20, and the Team Server API returns no more"):
            MendixHook().find_revision("shop", "trunk", 6)

    def test_one_that_there_never_was(self, known):
        with pytest.raises(RevisionNotFoundError):
            MendixHook().find_revision("shop", "main", "123456")

    @pytest.mark.parametrize("revision", ["", "None", "HEAD", "0", True])
    def test_a_bad_revision_is_refused_before_any_request(self, revision, known, platform):
        with pytest.raises(InvalidInputError):
            MendixHook().find_revision("shop", "main", revision)
        assert not platform.journal


class TestPages:
    """A further page is asked for when it is needed."""

    @pytest.fixture
    def commits(self, token, platform):
        return MendixHook().list_commits(platform.apps["shop"].project_id, "main")

    @pytest.mark.parametrize(
        ("there", "wanted", "requests"), [(250, 1, 1), (250, 100, 1), (250, 101, 2), (250, 250, 3)]
    )
    def test_as_many_as_are_needed(self, there, wanted, requests, commits, history, platform):
        ids = git_ids(there)
        history(*ids)
        assert [commit.id for commit in islice(commits, wanted)] == ids[:wanted]
        assert len(platform.journal) == requests

    @pytest.mark.parametrize(("there", "requests"), [(1, 1), (99, 1), (100, 1), (101, 2), (200, 2)])
    def test_none_after_the_last_one(self, there, requests, commits, history, platform):
        history(*git_ids(there))
        assert len(list(commits)) == there
        assert len(platform.journal) == requests
        assert all(entry.query["limit"] == "100" for entry in platform.journal)

    def test_nothing_is_asked_before_the_first_is_needed(self, commits, platform):
        assert not platform.journal

    def test_branches_come_in_pages_too(self, token, platform):
        for number in range(130):
            platform.repositories.push("shop", branch=f"b{number:03}")
        branches = MendixHook().list_repository_branches(platform.apps["shop"].project_id)
        assert [branch.name for branch in islice(branches, 2)] == ["main", "branches/b000"]
        assert len(platform.journal) == 1
        assert len(list(branches)) == 129
        assert len(platform.journal) == 2

    def test_a_passing_trouble_between_two_pages_loses_nothing(self, commits, history, platform):
        ids = git_ids(150)
        history(*ids)
        platform.faults.add("bad_gateway", on="list_commits", after=1, times=2)
        assert [commit.id for commit in commits] == ids

    def test_a_cursor_that_leads_nowhere_ends_the_search(self, commits, platform):
        page = {"items": [], "cursors": {"next": "again"}}
        platform.handle = lambda request: json_reply(page)
        with pytest.raises(MalformedResponseError, match="cursor"):
            list(commits)


class TestIds:
    def test_of_an_app_and_of_its_project_lead_to_each_other(self, server, platform):
        platform.add_app("plan")
        hook = MendixHook()
        for app_id, app in platform.apps.items():
            assert hook.project_id(app_id) == app.project_id
            assert hook.app_id(app.project_id.upper()) == app_id

    def test_of_no_app(self, server):
        with pytest.raises(AppNotFoundError, match="APP_NOT_FOUND"):
            MendixHook().project_id("shoq")

    def test_of_no_project(self, server):
        unknown = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
        with pytest.raises(AppNotFoundError, match=f"no app of project {unknown}.*API Rights"):
            MendixHook().app_id(unknown)

    def test_of_an_app_that_mendix_names_no_project_of(self, server, platform):
        platform.handle = lambda request: json_reply({"AppId": "shop", "Name": "Shop"})
        with pytest.raises(AppNotFoundError, match="no ProjectId for app shop"):
            MendixHook().project_id("shop")

    @pytest.mark.parametrize("project_id", ["", "shop", "None"])
    def test_what_is_no_uuid_is_refused_before_any_request(self, project_id, server, platform):
        with pytest.raises(InvalidInputError, match="project_id"):
            MendixHook().app_id(project_id)
        assert not platform.journal


class TestRetiredTeamServer:
    def test_is_logged_once_for_a_lookup(self, server, platform, caplog):
        platform.add_app("shop", repository="svn")
        with caplog.at_level(logging.INFO):
            MendixHook().latest_revision("shop")
        (once,) = [record for record in caplog.records if "has retired" in record.getMessage()]
        assert once.levelno == logging.INFO
        assert "has no personal access token" in once.getMessage()

    def test_is_not_told_where_a_token_spares_it(self, token, platform, caplog):
        with caplog.at_level(logging.INFO):
            MendixHook().latest_revision("shop")
        assert "has retired" not in caplog.text
