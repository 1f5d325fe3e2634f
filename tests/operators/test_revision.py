from __future__ import annotations

import msgspec
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_mendix.exceptions import MendixConnectionError, NotFoundError, ServiceUnavailableError
from airflow_provider_mendix.operators.revision import MendixLatestRevisionOperator
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import json_reply
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from ..conftest import TOKEN, set_connection, use_token

pytestmark = pytest.mark.usefixtures("token")


def resolve(context, **arguments):
    return MendixLatestRevisionOperator(task_id="newest", **{"app_id": "shop", **arguments}).execute(context)


@pytest.fixture
def svn(token, platform, server, monkeypatch):
    """Make it an SVN app, of a connection without personal access token."""
    platform.add_app("shop", repository="svn")
    set_connection(monkeypatch, host=server.api_url)


def test_it_returns_the_newest_revision_of_a_git_app(platform, context):
    platform.repositories.push("shop")
    revision = platform.repositories.push(
        "shop", message="Sell more", author="eva@example.com", mendix_version="10.24.0.7"
    )
    assert resolve(context) == {
        "app_id": "shop",
        "branch": "main",
        "revision": revision,
        "author": "eva@example.com",
        "date": "2023-11-14T22:13:20+00:00",
        "message": "Sell more",
        "mendix_version": "10.24.0.7",
    }
    assert len(revision) == 40


@pytest.mark.usefixtures("svn")
def test_it_returns_the_newest_revision_of_an_svn_app(platform, context):
    for _ in range(30):
        revision = platform.repositories.push(
            "shop", message="Sell more", author="eva@example.com", mendix_version="8.18.5.18651"
        )
    assert resolve(context) == {
        "app_id": "shop",
        "branch": "trunk",
        "revision": revision,
        "author": "eva@example.com",
        "date": "2023-11-14T22:13:20+00:00",
        "message": "Sell more",
        "mendix_version": "8.18.5",
    }
    assert revision == "31"


@pytest.mark.parametrize("branch", ["next", "branches/next"])
def test_the_branch_comes_back_as_the_start_operator_wants_it(branch, platform, context):
    revision = platform.repositories.push("shop", branch="next")
    found = resolve(context, branch=branch)
    assert (found["branch"], found["revision"]) == ("branches/next", revision)


def test_it_logs_one_line_of_what_it_found(platform, context, capsys):
    revision = platform.repositories.push(
        "shop", message=f"Sell {'more ' * 50}\n\nand more", author="eva@example.com"
    )
    resolve(context)
    (told,) = [line for line in capsys.readouterr().out.splitlines() if revision in line]
    assert f"Revision {revision} of app shop: the newest of branch main, by eva@example.com: Sell more" in told
    assert "…" in told


@pytest.mark.parametrize(
    "broken", [{"message": None, "author": None}, {"author": {}, "date": "2026-01-02T03:04:05Z"}]
)
def test_a_commit_with_few_fields_is_accepted(broken, platform, context):
    answer = platform.handle
    commit = {"id": "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3", **broken}
    platform.handle = lambda request: (
        json_reply({"name": "main", "latestCommit": commit}) if request.host == "repository" else answer(request)
    )
    assert resolve(context)["revision"] == commit["id"]


class TestSkipIfBuilt:
    def test_it_goes_on_if_nothing_was_built_from_that_revision(self, platform, context):
        platform.packages.add("shop", version="2.5.3", revision=platform.repositories.push("shop"))
        revision = platform.repositories.push("shop")
        assert resolve(context, skip_if_built=True)["revision"] == revision

    def test_it_skips_and_names_the_package(self, platform, context):
        revision = platform.repositories.push("shop")
        old = platform.packages.add("shop", version="2.5.3", revision=revision, age=60)
        new = platform.packages.add("shop", version="2.5.4", revision=revision, age=30)
        said = rf"Package {new} \(version 2\.5\.4\.{revision[:8]}, Succeeded\) .* was built from .*{revision}"
        with pytest.raises(AirflowSkipException, match=said) as skipped:
            resolve(context, skip_if_built=True)
        assert old not in str(skipped.value)

    def test_it_skips_what_is_only_archived(self, platform, context, tmp_path):
        revision = platform.repositories.push("shop")
        package_id = platform.packages.add("shop", version="2.5.3", revision=revision)
        file = f"{tmp_path.as_uri()}/old.mda"
        archive = MendixToObjectStorageOperator(
            task_id="archive", app_id="shop", package_id=package_id, destination=file
        )
        archive.execute(context)
        del platform.packages[package_id]
        with pytest.raises(AirflowSkipException, match=rf"{package_id} \(version 2\.5\.3\..*, archived\)"):
            resolve(context, skip_if_built=True, archive=tmp_path.as_uri())
        assert resolve(context, skip_if_built=True)["revision"] == revision

    def test_it_does_not_check_unless_asked_to(self, platform, context):
        revision = platform.repositories.push("shop")
        platform.packages.add("shop", version="2.5.3", revision=revision)
        assert resolve(context)["revision"] == revision
        assert not platform.journal.requests("GET", "/packages")

    @pytest.mark.parametrize(
        ("ending", "counts"),
        [
            (BuildOutcome.SUCCEEDS, True),
            (BuildOutcome.STUCK_QUEUED, True),
            (BuildOutcome.UNKNOWN_STATUS, True),
            (BuildOutcome.FAILS_WHILE_QUEUED, False),
        ],
    )
    def test_a_package_counts_unless_it_is_failed(self, ending, counts, platform, context, clock):
        revision = platform.repositories.push("shop")
        package_id = platform.packages.add(
            "shop", version="2.5.3", revision=revision, steps=ending.steps(platform.packages.timeline)
        )
        clock.sleep(30)
        if counts:
            with pytest.raises(AirflowSkipException, match=package_id):
                resolve(context, skip_if_built=True)
        else:
            assert resolve(context, skip_if_built=True)["revision"] == revision

    def test_with_git_the_branch_does_not_matter(self, platform, context):
        revision = platform.repositories.push("shop")
        platform.packages.add("shop", version="2.5.3", revision=revision, branch="hotfix")
        with pytest.raises(AirflowSkipException):
            resolve(context, skip_if_built=True)

    @pytest.mark.usefixtures("svn")
    @pytest.mark.parametrize(
        ("branch", "built_from", "counts"),
        [
            ("trunk", None, True),
            ("main", None, True),
            ("trunk", "branches/next", False),
            ("next", "branches/next", True),
            ("branches/next", "branches/next", True),
            ("next", "branches/other", False),
            ("next", "trunk", False),
        ],
    )
    def test_with_svn_the_branch_must_agree(self, branch, built_from, counts, platform, context):
        name = None if branch in ("main", "trunk") else branch
        revision = platform.repositories.push("shop", branch=name)
        platform.packages.add("shop", version="2.5.3", revision=revision, branch=built_from)
        if counts:
            with pytest.raises(AirflowSkipException):
                resolve(context, branch=branch, skip_if_built=True)
        else:
            assert resolve(context, branch=branch, skip_if_built=True)["revision"] == revision

    @pytest.mark.usefixtures("svn")
    def test_with_svn_a_renamed_package_does_not_count(self, platform, context):
        revision = platform.repositories.push("shop")
        package_id = platform.packages.add("shop", version="2.5.3", revision=revision)
        platform.packages[package_id].name = "the-good-one.mda"
        assert resolve(context, skip_if_built=True)["revision"] == revision

    @pytest.mark.usefixtures("svn")
    def test_a_part_of_an_svn_number_is_another_number(self, platform, context):
        for _ in range(11):
            revision = platform.repositories.push("shop")
        assert revision == "12"
        for other in ("1", "2", "120", "121"):
            platform.packages.add("shop", version="2.5.3", revision=other)
        assert resolve(context, skip_if_built=True)["revision"] == "12"


class TestFailures:
    def test_a_missing_branch_fails_at_once_and_the_branches_are_named(self, platform, context):
        platform.repositories.push("shop", branch="next")
        with pytest.raises(
            AirflowFailException, match=r"no branch 'branches/nxt'\. Its branches: main, branches/next"
        ):
            resolve(context, branch="nxt")

    def test_a_branch_without_revision_fails_at_once(self, platform, context):
        answer = platform.handle
        platform.handle = lambda request: (
            json_reply({"name": "main"}) if request.host == "repository" else answer(request)
        )
        with pytest.raises(AirflowFailException, match="has no revision yet"):
            resolve(context)

    def test_a_repository_that_is_not_there_fails_at_once(self, platform, context):
        app = platform.apps["shop"]
        # The Deploy API and the App Repository API do not always see the same apps.
        platform.apps.of_project = lambda project_id: None
        with pytest.raises(AirflowFailException, match="404") as failed:
            resolve(context)
        assert isinstance(failed.value.__context__, NotFoundError)
        assert app.project_id in str(failed.value)

    @pytest.mark.parametrize(
        "take",
        [
            lambda platform: platform.permissions.revoke_personal_access_token(TOKEN),
            lambda platform: platform.permissions.revoke("api", "shop"),
        ],
    )
    def test_what_is_refused_fails_at_once(self, take, platform, context):
        take(platform)
        with pytest.raises(AirflowFailException) as failed:
            resolve(context)
        assert TOKEN not in str(failed.value)

    def test_a_transient_error_is_survived(self, platform, context):
        platform.faults.add("bad_gateway", on="get_repository_branch", times=3)
        platform.faults.add("rate_limited", on="list_packages", times=2)
        assert resolve(context, skip_if_built=True)["branch"] == "main"

    def test_an_outage_is_left_to_the_retries_of_the_task(self, platform, context):
        platform.faults.add("bad_gateway", times=None)
        with pytest.raises(ServiceUnavailableError):
            resolve(context)

    def test_a_repository_host_that_does_not_answer_is_left_to_them_too(self, server, context, monkeypatch):
        extra = {"personal_access_token": TOKEN, "repository_url": "http://127.0.0.1:9"}
        set_connection(monkeypatch, host=server.api_url, extra=extra)
        with pytest.raises(MendixConnectionError):
            resolve(context)

    @pytest.mark.parametrize("bad", [{"app_id": ""}, {"app_id": "Web Shop"}, {"branch": "None"}, {"branch": None}])
    def test_a_bad_value_is_refused_before_any_request(self, bad, platform, context):
        with pytest.raises(AirflowFailException):
            resolve(context, **bad)
        assert not platform.journal


def test_everything_a_user_would_template_is_templated(platform, context, server, monkeypatch):
    revision = platform.repositories.push("shop", branch="next")
    use_token(monkeypatch, server)
    operator = MendixLatestRevisionOperator(
        task_id="newest", app_id="{{ app }}", branch="{{ branch }}", mendix_conn_id="{{ conn }}"
    )
    operator.render_template_fields({"app": "shop", "branch": "next", "conn": "mendix_default"})
    assert operator.execute(context)["revision"] == revision


def test_what_it_returns_is_plain_json(platform, context):
    found = resolve(context)
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
