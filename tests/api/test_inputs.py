"""Values that users give: which ones pass, as what, and what a person is told about the others."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_mendix.api import app_repository, backups, build, deploy, inputs, team_server
from airflow_provider_mendix.exceptions import InvalidInputError

UUID = "fae5de74-69c2-4488-a4de-abf89daac63e"
HASH = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (inputs.app_id, "calc", "calc"),
        (inputs.app_id, "my-app-2", "my-app-2"),
        (inputs.app_id, "Calc", "Calc"),
        (inputs.app_id, "a", "a"),
        (inputs.app_id, "100", "100"),
        (inputs.project_id, UUID, UUID),
        (inputs.project_id, UUID.upper(), UUID),
        (inputs.package_id, UUID, UUID),
        (inputs.package_id, UUID.upper(), UUID),
        (inputs.environment, "Acceptance", "Acceptance"),
        (inputs.environment, "acceptance", "acceptance"),
        (inputs.environment, "Load Test 2", "Load Test 2"),
        (inputs.environment, "blue/green", "blue/green"),
        (inputs.environment, "Prüfstand-Ω", "Prüfstand-Ω"),
        (inputs.environment, " Test ", " Test "),
        (inputs.environment, f"{UUID}-copy", f"{UUID}-copy"),
        (inputs.revision, "63", "63"),
        (inputs.revision, 63, "63"),
        (inputs.revision, 1, "1"),
        (inputs.revision, "9f3ab2c1", "9f3ab2c1"),
        (inputs.revision, "9F3AB2C1", "9F3AB2C1"),
        (inputs.revision, HASH, HASH),
        (inputs.revision, "a" * 64, "a" * 64),
        (inputs.revision, "0000001f", "0000001f"),
        (inputs.version, "2.5.4", "2.5.4"),
        (inputs.version, "0.0.0", "0.0.0"),
        (inputs.version, "1.0.1718000000000", "1.0.1718000000000"),
        (inputs.branch, "main", "main"),
        (inputs.branch, "trunk", "trunk"),
        (inputs.branch, "x", "branches/x"),
        (inputs.branch, "branches/x", "branches/x"),
        (inputs.branch, "branches/main", "branches/main"),
        (inputs.branch, "Main", "branches/Main"),
        (inputs.branch, "feature/one", "branches/feature/one"),
        (inputs.branch, "statistical functions", "branches/statistical functions"),
        (inputs.branch, "größe-Ωmega", "branches/größe-Ωmega"),
        (inputs.branch, "release-1.4", "branches/release-1.4"),
        (inputs.branch, "branches/branches/x", "branches/branches/x"),
        (inputs.branch, "branches/trunk", "branches/trunk"),
        (inputs.branch, "heads/x", "branches/heads/x"),
        (inputs.branch, "50%2Foff", "branches/50%2Foff"),
    ],
)
def test_good_value(check, value, expected):
    assert check(value) == expected


ALL = (
    inputs.app_id,
    inputs.project_id,
    inputs.package_id,
    inputs.environment,
    inputs.revision,
    inputs.version,
    inputs.branch,
)


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("value", ["", " ", "\n", "None", "none", " None ", "null", "NULL", "undefined", "nan"])
def test_what_rendered_to_nothing(check, value):
    with pytest.raises(
        InvalidInputError, match=rf"^{check.__name__} is empty \(it rendered to .*\)\. (Give|Use) "
    ) as raised:
        check(value)

    assert repr(value) in str(raised.value)


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("value", [None, True, False, 1.5, ["x"], {"a": 1}, b"x"], ids=repr)
def test_what_is_not_text(check, value):
    with pytest.raises(InvalidInputError, match=rf"^{check.__name__} (must be text, not|cannot be) .*(Give|Use) "):
        check(value)


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("value", ["{{ params.x }}", "a{{ds}}", "{% if x %}", "branches/{{ x }}"])
def test_what_was_not_rendered(check, value):
    with pytest.raises(InvalidInputError, match="template that was not rendered"):
        check(value)


@pytest.mark.parametrize(
    ("check", "value", "says"),
    [
        (inputs.app_id, UUID, "is a UUID, but Mendix expects the app's subdomain"),
        (inputs.app_id, UUID.upper(), "is a UUID"),
        (inputs.app_id, "Calculation App", "not its display name"),
        (inputs.app_id, "a" * 64, "up to 63 letters"),
        (inputs.app_id, "calc.mendixcloud.com", "is not a subdomain"),
        (inputs.app_id, "https://calc.mendixcloud.com", "is not a subdomain"),
        (inputs.app_id, "calc/../other", "is not a subdomain"),
        (inputs.app_id, "calc\n", "is not a subdomain"),
        (inputs.app_id, " calc", "is not a subdomain"),
        (inputs.app_id, "-calc", "is not a subdomain"),
        (inputs.app_id, "calc-", "is not a subdomain"),
        (inputs.app_id, "größe", "is not a subdomain"),
        (inputs.app_id, 7, "must be text, not 7"),
        (inputs.project_id, "calc", "project_id 'calc' is not a UUID. Use the App ID that the General tab"),
        (inputs.project_id, "Calculation App", "Do not give the app's subdomain or name"),
        (inputs.project_id, "543857rfds-dfsfsd12c5e24-3224d32eg", "is not a UUID"),
        (inputs.project_id, UUID.replace("-", ""), "is not a UUID"),
        (inputs.project_id, f"{{{UUID}}}", "is not a UUID"),
        (inputs.project_id, f" {UUID}", "is not a UUID"),
        (inputs.project_id, f"{UUID}\n", "is not a UUID"),
        (inputs.project_id, f"{UUID}/info", "is not a UUID"),
        (inputs.project_id, UUID.replace("4", "\u0664"), "is not a UUID"),
        (inputs.project_id, f"https://sprintr.home.mendix.com/link/project/{UUID}", "is not a UUID"),
        (inputs.project_id, "", "project_id is empty (it rendered to ''). Use the App ID"),
        (inputs.project_id, "None", "project_id is empty (it rendered to 'None'). Use the App ID"),
        (inputs.project_id, None, "project_id must be text, not None. Use the App ID"),
        (inputs.project_id, 7, "project_id must be text, not 7. Use the App ID"),
        (
            inputs.project_id,
            "{{ var.value.project }}",
            "project_id '{{ var.value.project }}' contains a template that was not rendered. Use the App ID",
        ),
        (inputs.package_id, "Main line-2.5.4.63.mda", "not the package's name or version"),
        (inputs.package_id, "2.5.4.63", "not the package's name or version"),
        (inputs.package_id, "a/b", "is not a UUID. Use the PackageId that the build"),
        (inputs.package_id, "not-a-uuid", "is not a UUID"),
        (inputs.package_id, f" {UUID}", "is not a UUID"),
        (inputs.package_id, "..", "is not a UUID. Use the PackageId that the build"),
        (inputs.package_id, "x\n", "is not a UUID. Use the PackageId that the build"),
        (
            inputs.package_id,
            "{'package_id': 'x'}",
            "is not a UUID. Use the PackageId that the build",
        ),
        (inputs.environment, UUID, "is a UUID, but Mendix expects the name here. Use the environment's name"),
        (inputs.environment, UUID.upper(), "is a UUID, but Mendix expects the name here"),
        (inputs.environment, "", "environment is empty (it rendered to ''). Use the environment's name"),
        (inputs.environment, "None", "environment is empty (it rendered to 'None')"),
        (inputs.environment, None, "environment must be text, not None. Use the environment's name"),
        (inputs.environment, "{{ params.environment }}", "contains a template that was not rendered"),
        (inputs.revision, 0, "revision '0' is neither"),
        (inputs.revision, "0", "revision '0' is neither"),
        (inputs.revision, "000", "is neither"),
        (inputs.revision, -1, "is neither"),
        (inputs.revision, "HEAD", "Names such as HEAD are not accepted"),
        (inputs.revision, "latest", "is neither an SVN revision number"),
        (inputs.revision, "r63", "is neither"),
        (inputs.revision, "63 ", "is neither"),
        (inputs.revision, "6.3", "is neither"),
        (inputs.revision, "\u0666\u0663", "is neither"),
        (inputs.revision, "abc", "is neither"),
        (inputs.revision, "a" * 65, "is neither"),
        (inputs.revision, True, "revision cannot be True"),
        (inputs.revision, 63.0, "must be text, not 63.0"),
        (inputs.version, "2.5.4.63", "has four parts. Give major.minor.patch, such as 2.5.4."),
        (inputs.version, "0.0.19.62e3d711", "has four parts"),
        (inputs.version, "2.5", "is not a version"),
        (inputs.version, "v2.5.4", "is not a version"),
        (inputs.version, "2.5.4-rc1", "is not a version"),
        (inputs.version, "2.5.x", "is not a version"),
        (inputs.version, "\u0662.\u0665.\u0664", "is not a version"),
        (inputs.version, "2.5.4\n", "is not a version"),
        (inputs.version, "1.2.3.4.5", "is not a version"),
        (inputs.version, 2.5, "must be text, not 2.5"),
        (inputs.branch, "branches/", "branch 'branches/' is not a branch. Give main, trunk, or"),
        (inputs.branch, "branches/None", "is not a branch"),
        (inputs.branch, "a//b", "is not a branch"),
        (inputs.branch, "/a", "is not a branch"),
        (inputs.branch, "a/", "is not a branch"),
        (inputs.branch, "../x", "is not a branch"),
        (inputs.branch, "branches/../x", "is not a branch"),
        (inputs.branch, "a/./b", "is not a branch"),
        (inputs.branch, "refs/heads/x", "is not a branch"),
        (inputs.branch, "branches/refs/heads/x", "is not a branch"),
        (inputs.branch, "HEAD", "is not a branch"),
        (inputs.branch, "x\n", "is not a branch"),
        (inputs.branch, "a\tb", "is not a branch"),
        (inputs.branch, "a\x00b", "is not a branch"),
        (inputs.branch, "a\x7fb", "is not a branch"),
        (inputs.branch, " x", "is not a branch"),
        (inputs.branch, "branches/ x", "is not a branch"),
        (inputs.branch, " main", "is not a branch"),
        (inputs.branch, "a:b", "is not a branch"),
        (inputs.branch, "a?b", "is not a branch"),
        (inputs.branch, "a*b", "is not a branch"),
        (inputs.branch, "a\\b", "is not a branch"),
        (inputs.branch, "main~1", "is not a branch"),
        (inputs.branch, "a\ud800b", "contains half a character"),  # half a character: no request can carry it
    ],
)
def test_bad_value(check, value, says):
    with pytest.raises(InvalidInputError, match=re.escape(says)) as raised:
        check(value)

    assert str(raised.value).startswith(check.__name__)


@pytest.mark.parametrize("value", [UUID, UUID.upper()])
def test_an_id_is_returned_as_mendix_spells_it(value):
    assert inputs.uuid("snapshot_id", value) == UUID


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("b3d14e53", "snapshot_id 'b3d14e53' is not a UUID. Use the snapshot_id that Mendix returned."),
        (f"{UUID}\n", "is not a UUID"),
        (f" {UUID}", "is not a UUID"),
        (UUID.replace("-", ""), "is not a UUID"),
        ("", "snapshot_id is empty (it rendered to ''). Use the snapshot_id that Mendix returned."),
        ("None", "snapshot_id is empty (it rendered to 'None')"),
        (None, "snapshot_id must be text, not None"),
        ("{{ ti.xcom_pull('backup') }}", "contains a template that was not rendered"),
    ],
)
def test_what_mendix_cannot_have_given_as_an_id(value, says):
    with pytest.raises(InvalidInputError, match=f"^snapshot_id .*{re.escape(says.removeprefix('snapshot_id '))}"):
        inputs.uuid("snapshot_id", value)


@given(st.text() | st.text(alphabet="ab/. ", min_size=1).map("branches/{}".format))
def test_a_branch_is_spelt_one_way(text):
    """Whatever passes, passes again unchanged, and has no part that reads as a way up or as nothing."""
    try:
        spelt = inputs.branch(text)
    except InvalidInputError:
        return

    assert inputs.branch(spelt) == spelt
    assert spelt in ("main", "trunk") or spelt.startswith("branches/")
    assert not {"", ".", ".."} & set(spelt.split("/"))
    assert spelt in (text, f"branches/{text}")


PARTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=r"~^:?*[\/"), min_size=1)
NAMES = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
NO_NAMES = {"", "none", "null", "undefined", "nan"}


@st.composite
def names(draw) -> str:
    """Names of branches other than a main line, without `branches/`."""
    name = draw(NAMES | st.sampled_from(["a b", "größe", "a/b", "50%2Foff", "a&b=c", "head", "Main"]))
    assume(name == name.strip() and name.lower() not in NO_NAMES and "{{" not in name and "{%" not in name)
    assume(name not in ("main", "trunk", "HEAD") and not name.startswith(("refs/", "branches/")))
    return name


@given(names())
def test_a_branch_is_known_with_and_without_its_prefix(name):
    spelt = inputs.branch(name)

    assert spelt == inputs.branch(f"branches/{name}") == inputs.branch(spelt) == f"branches/{name}"
    assert inputs.spellings(spelt) == (f"branches/{name}", name)
    for spelling in inputs.spellings(spelt):
        assert inputs.branch(spelling) == spelt


@pytest.mark.parametrize(("branch", "spellings"), [("main", ("main", "trunk")), ("trunk", ("trunk", "main"))])
def test_the_main_lines_stand_for_each_other(branch, spellings):
    assert inputs.branch(branch) == branch
    assert inputs.spellings(branch) == spellings


@given(names() | st.sampled_from(["main", "trunk", "branches/main", "branches/branches/x"]))
def test_every_spelling_travels_as_one_segment(name):
    for spelling in inputs.spellings(inputs.branch(name)):
        assert spelling
        for call, ahead, behind in (
            (team_server.get_branch("calc", spelling), "/api/1/apps/calc/branches/", ""),
            (team_server.list_revisions("calc", spelling), "/api/1/apps/calc/branches/", "/revisions"),
            (app_repository.get_branch(UUID, spelling), f"/v1/repositories/{UUID}/branches/", ""),
            (app_repository.list_commits(UUID, spelling), f"/v1/repositories/{UUID}/branches/", "/commits"),
        ):
            assert call.path.startswith(ahead)
            assert call.path.endswith(behind)
            segment = call.path.removeprefix(ahead).removesuffix(behind)
            assert re.fullmatch(r"[A-Za-z0-9._~%-]+", segment)
            assert unquote(segment, errors="strict") == spelling


BAD_PIECES = [*"~^:?*[\\\n\t\x00\x7f", "//", "/./", "/../", "{{ x }}", "{% x %}"]


@given(names(), st.sampled_from(BAD_PIECES), names())
def test_what_cannot_be_a_branch_is_refused(before, piece, after):
    for name in (f"{before}{piece}{after}", f"branches/{before}{piece}{after}"):
        with pytest.raises(InvalidInputError, match=r"(?s)^branch .* Give main, trunk, or the branch's name"):
            inputs.branch(name)
        with pytest.raises(InvalidInputError, match=r"^branch "):
            build.start_build("calc", revision=1, version="1.0.0", branch=name)


@given(st.sampled_from(ALL[:-1]), st.text() | st.text("0123456789abcf.-", min_size=1) | st.uuids().map(str))
def test_a_value_passes_as_it_is_or_is_refused_in_words(check, text):
    found = outcome(check, text)

    assert found == text if isinstance(found, str) else str(found).startswith(f"{check.__name__} ")


def outcome(check, text) -> str | InvalidInputError:
    try:
        return check(text)
    except InvalidInputError as error:
        return error


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: build.list_packages(UUID), "app_id"),
        (lambda: build.get_package("calc", ""), "package_id"),
        (lambda: build.get_package("a b", "x"), "app_id"),
        (lambda: build.delete_package("calc", "a/b"), "package_id"),
        (lambda: build.download_package("calc", "None"), "package_id"),
        (lambda: build.start_build("", revision=1, version="1.0.0"), "app_id"),
        (lambda: build.start_build("calc", revision="HEAD", version="1.0.0"), "revision"),
        (lambda: build.start_build("calc", revision=1, version="1.0.0.1"), "version"),
        (lambda: build.start_build("calc", revision=1, version="1.0.0", branch=""), "branch"),
        (lambda: deploy.get_app("Calculation App"), "app_id"),
        (lambda: deploy.list_environments(UUID), "app_id"),
        (lambda: deploy.get_environment("a b", "Test"), "app_id"),
        (lambda: deploy.get_environment("calc", UUID), "environment"),
        (lambda: deploy.get_environment_package("calc", ""), "environment"),
        (lambda: deploy.transport_package("calc", "Test", "Main line-2.5.4.63.mda"), "package_id"),
        (lambda: deploy.transport_package("calc", UUID, UUID), "environment"),
        (lambda: deploy.stop_environment("calc", None), "environment"),
        (lambda: deploy.start_environment("calc", ".", auto_sync_db=True), "environment"),
        (lambda: deploy.get_start_job("calc", "", UUID), "environment"),
        (lambda: deploy.get_start_job("calc", "Test", None), "job_id"),
        (lambda: deploy.get_start_job("calc", "Test", ""), "job_id"),
        (lambda: deploy.get_start_job("calc", "Test", ".."), "job_id"),
        (lambda: deploy.get_start_job("calc", "Test", "a/b"), "job_id"),
        (lambda: deploy.get_settings("calc", ".."), "environment"),
        (lambda: deploy.set_settings("calc", UUID, deploy.Settings()), "environment"),
        (lambda: backups.list_snapshots("calc", UUID), "project_id"),
        (lambda: backups.list_snapshots(UUID, "Test"), "environment_id"),
        (lambda: backups.create_snapshot(UUID, None), "environment_id"),
        (lambda: backups.create_snapshot("calc", UUID), "project_id"),
        (lambda: backups.get_snapshot(UUID, UUID, "b3d14e53"), "snapshot_id"),
        (lambda: backups.create_restore(UUID, UUID, ""), "snapshot_id"),
        (lambda: backups.create_restore(UUID, "Acceptance", UUID), "environment_id"),
        (lambda: backups.get_restore(UUID, UUID, "a/b"), "restore_id"),
        (lambda: team_server.list_branches(UUID), "app_id"),
        (lambda: team_server.get_branch("{{ x }}", "main"), "app_id"),
        (lambda: team_server.get_branch("calc", ""), "branch"),
        (lambda: team_server.list_revisions("a/b", "main"), "app_id"),
        (lambda: team_server.list_revisions("calc", ".."), "branch"),
        (lambda: app_repository.get_repository("calc"), "project_id"),
        (lambda: app_repository.list_branches("Calculation App"), "project_id"),
        (lambda: app_repository.list_branches(None), "project_id"),
        (lambda: app_repository.get_branch("", "main"), "project_id"),
        (lambda: app_repository.get_branch(UUID, "."), "branch"),
        (lambda: app_repository.list_commits("{{ x }}", "main"), "project_id"),
        (lambda: app_repository.list_commits(UUID, ""), "branch"),
    ],
)
def test_every_call_checks_its_values(make, names):
    with pytest.raises(InvalidInputError, match=f"^{names} "):
        make()


def test_a_bad_value_is_a_value_error():
    """So that code which knows nothing of Mendix can catch it."""
    assert issubclass(InvalidInputError, ValueError)
