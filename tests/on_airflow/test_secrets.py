"""Airflow writes no secret anywhere, whatever fails, with debug logging on."""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.faults.registry import KINDS, ActiveFault
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..airflow_stack.commands import AirflowCommand
from ..conftest import KEY, USER, set_connection
from ..secrets_search import RememberingPlatform, Search, Secret

ALL = ("build", "wait", "archive", "delete")

# The requests that a fault always hits, and the tasks that run then.
API = ("api /apps/{app_id}/", ALL)
API_BRIEFLY = (API[0], ("wait", "delete"))
FILES = ("files /{package_id}.mda", ("wait", "archive"))
START = ("start_build /apps/{app_id}/", ("build",))
ONE_PACKAGE = ("", ("wait", "archive"))

FAULTS = {
    "latency": (API, FILES),
    "hang": (API_BRIEFLY, FILES),
    "connection_reset": (API, FILES),
    "reply_lost": (API, FILES),
    "rate_limited": (API, FILES),
    "server_error": (API, FILES),
    "bad_gateway": (API, FILES),
    "truncated_json": (API,),
    "empty_body": (API,),
    "float_size": (API,),
    "malformed_size": (API,),
    "hidden_from_list": (API,),
    "stuck_build": (ONE_PACKAGE,),
    "expired_link": (FILES,),
    "cut_file": (FILES,),
    "truncated_description": (START,),
    "dropped_description": (START,),
}

FERNET_KEY = Fernet.generate_key().decode()

# At the level DEBUG, `airflow dags test` itself prints each value that it should mask. Task processes do not.
PRINTED_BY_DAGS_TEST = re.compile(rb"^.*\bSending request\b.*\bmsg=MaskSecret\(.*$", re.MULTILINE)


def canary(name: str) -> Secret:
    """Return a secret with characters that JSON and URLs escape."""
    return Secret(name, f"{name[:3]}/+%&{secrets.token_hex(20)}")


class CanaryPlatform(RememberingPlatform):
    """The first two polls of a package find it unfinished, so that every wait defers."""

    def __init__(self, *, options: Options | None = None) -> None:
        super().__init__(options=options)
        status = self.packages.status

        def unfinished_at_first(package_id: str) -> str:
            polls = len(self.journal.requests("GET", f"/packages/{package_id}", host="api"))
            return "Building" if polls < 2 else status(package_id)

        self.packages.status = unfinished_at_first


@dataclass
class Run:
    """The results of the one run of the DAG."""

    platform: CanaryPlatform
    struck: dict[tuple[str, str], ActiveFault]
    home: Path
    printed: str
    search: Search
    states: dict[str, str]

    @cached_property
    def found(self) -> list[tuple[str, str, str]]:
        return [tuple(finding) for finding in self.search.findings()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("canary")
    home = folder / "home"
    home.mkdir()
    platform = CanaryPlatform(options=Options(download="redirect"))
    platform.packages.timeline = Timeline.of(seconds=0)
    names = ("key", "token", "proxy", "wrong", "unknown", "planted")
    key, token, proxy, wrong, unknown, planted = map(canary, names)
    platform.permissions.add_account(USER, key.value)
    platform.permissions.add_personal_access_token(token.value)
    plan: dict[str, dict] = {}

    def add(app_id: str, tasks: tuple[str, ...], *, conn_id: str = "mendix_canary", seconds: float = 1) -> str:
        platform.add_app(app_id)
        package_id = platform.packages.add(app_id, version="1.0.0", revision="63")
        plan[app_id] = {
            "package_id": package_id,
            "mendix_conn_id": conn_id,
            "seconds": seconds,
            "tasks": tasks,
        }
        return package_id

    add("healthy", ("build", "wait", "archive", "use_hook", "delete"), seconds=60)
    add("refused", ALL, conn_id="mendix_wrong")
    add("proxied", ALL, conn_id="mendix_proxied")
    add("echoing", ALL)
    platform.faults.add("server_error", code=key.value, on="/apps/echoing/", times=None)
    for app_id, code in (("repository-echoing", token.value), ("repository-refused", None)):
        add(app_id, ("build",), conn_id="mendix_canary" if code else "mendix_wrong_token")
        if code:
            project_id = platform.apps[app_id].project_id
            platform.faults.add("server_error", code=code, on=f"/repositories/{project_id}/", times=None)
    struck = {}
    for fault, places in FAULTS.items():
        for on, tasks in places:
            app_id = "-".join([*fault.split("_"), *on.split()[:1]]).replace("_", "-")
            package_id = add(app_id, tasks)
            parameters = {"on": on.format(app_id=app_id, package_id=package_id)}
            if fault == "stuck_build":
                parameters["package_id"] = package_id
            if fault == "latency":
                parameters["seconds"] = 0.05
            struck[fault, on] = platform.faults.add(fault, times=None, **parameters)

    fernet_key = Fernet.generate_key().decode()
    airflow = AirflowCommand(
        home,
        {
            "AIRFLOW__CORE__COMPRESS_SERIALIZED_DAGS": "True",
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW__CORE__FERNET_KEY": fernet_key,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "CANARY_PLAN": json.dumps(plan),
            "CANARY_PLANTED": planted.value,
        },
    )
    with Server(platform) as server, airflow:
        mendix = {"conn_type": "mendix", "login": USER, "password": key.value, "host": server.api_url}
        extra = {
            "personal_access_token": token.value,
            "repository_url": server.repository_url,
            "timeout": 1,
        }
        dead_proxy = f"http://ana:{quote(proxy.value, safe='')}@127.0.0.1:1"
        connections = {
            "mendix_canary": {**mendix, "extra": extra},
            "mendix_wrong": {**mendix, "extra": extra, "password": wrong.value},
            "mendix_wrong_token": {**mendix, "extra": {**extra, "personal_access_token": unknown.value}},
            "mendix_proxied": {**mendix, "extra": {**extra, "proxy": dead_proxy}},
            "planted": {"conn_type": "http", "password": planted.value},
        }
        # As arguments of a command they would be in the audit log and in the list of processes.
        (folder / "connections.json").write_text(json.dumps(connections))
        migrated = airflow.run("db", "migrate")
        assert migrated.returncode == 0, migrated.stdout
        imported = airflow.run("connections", "import", str(folder / "connections.json"))
        assert imported.returncode == 0, imported.stdout
        conf = json.dumps({"archive": (folder / "archive").as_uri()})
        ran = airflow.run("dags", "test", "canary", "--conf", conf)

    search = Search([key, token, proxy, wrong, unknown, planted, *platform.signatures], fernet_key)
    search.add("printed", imported.stdout.encode())
    search.add("printed", PRINTED_BY_DAGS_TEST.sub(b"", ran.stdout.encode()))
    search.add_folder(home)
    search.add_folder(folder / "archive")
    search.add_database(home / "airflow.db")
    with sqlite3.connect(home / "airflow.db") as database:
        states = dict(database.execute("SELECT task_id, state FROM task_instance WHERE dag_id = 'canary'"))
    return Run(platform, struck, home, ran.stdout, search, states)


@pytest.mark.airflow
def test_no_secret_is_written_anywhere(run):
    assert [finding for finding in run.found if finding[0] != "planted"] == []


@pytest.mark.airflow
def test_every_fault_of_the_simulator_is_covered(run):
    assert set(FAULTS) == set(KINDS)
    assert {where: fault.call_count for where, fault in run.struck.items() if not fault.call_count} == {}


@pytest.mark.airflow
def test_the_run_went_through_success_and_failure(run):
    assert {name: run.states[f"{name}_healthy"] for name in ALL} == dict.fromkeys(ALL, "success")
    assert run.states["use_hook_healthy"] == "failed"
    assert {run.states[f"{name}_{app_id}"] for name in ALL for app_id in ("refused", "echoing")} == {"failed"}
    assert {run.states[f"build_repository-{app_id}"] for app_id in ("refused", "echoing")} == {"failed"}
    assert {run.states[f"{name}_proxied"] for name in ALL} == {"failed"}
    assert len(run.platform.signatures) >= 5
    files = [entry for entry in run.platform.journal.requests(host="files") if entry.status == 200]
    assert len(files) >= 4
    assert "There is no connection" not in run.printed
    assert "urllib3.connectionpool" in run.printed  # debug logging was on


@pytest.mark.airflow
def test_the_search_looked_everywhere(run):
    seen = run.search.seen
    for place in (
        "airflow.db",
        "connection.login",
        "dag_run.conf",
        "log.extra",
        "printed",
        "rendered_task_instance_fields.rendered_fields",
        "serialized_dag.data_compressed",
        "task_instance.next_kwargs",
        "trigger.kwargs",
        "xcom.value",
    ):
        assert seen[place], place
    assert seen["trigger.kwargs"] > len(run.struck)
    assert run.search.decompressed["serialized_dag.data_compressed"]
    assert not {"connection.password", "connection.extra"} & set(seen)


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("plain", "xcom.value"),
        ("base64", "printed"),
        ("plain", "printed"),
        ("reversed", "rendered_task_instance_fields.rendered_fields"),
        ("plain", "trigger.kwargs"),
        ("plain", "serialized_dag.data_compressed"),
        ("plain", "airflow.db"),
    ],
)
def test_the_search_finds_a_planted_leak(run, form, place):
    assert ("planted", form, place) in run.found


def test_urllib3_logs_no_signature(monkeypatch, caplog):
    platform = RememberingPlatform(options=Options(download="redirect"))
    platform.permissions.add_account(USER, KEY)
    platform.add_app("shop")
    package_id = platform.packages.add("shop", version="1.0.0", revision="63")
    caplog.set_level("DEBUG")
    with Server(platform) as server:
        set_connection(monkeypatch, host=server.api_url)
        with MendixHook().open_package("shop", package_id), MendixHook().download_package("shop", package_id):
            pass
    assert caplog.text.count(f'"GET /packages/{package_id}.mda?*** HTTP/1.1" 200') == 2
    search = Search(platform.signatures, FERNET_KEY)
    search.add("log", caplog.text.encode())
    assert search.findings() == []


SECRET = Secret("key", 'a/+"%&9e130faa228b8147d9d046df2debfa4b')


@pytest.mark.parametrize(
    "written",
    [
        SECRET.value,
        SECRET.value[:-10],
        SECRET.value[15:],
        json.dumps({"key": SECRET.value}),
        json.dumps(json.dumps({"key": SECRET.value})),
        quote(SECRET.value, safe=""),
        quote(quote(SECRET.value, safe="")),
        "".join(f"%{byte:02x}" for byte in SECRET.value.encode()),
        *(base64.b64encode(b"x" * before + SECRET.value.encode() + b"y").decode() for before in range(6)),
        base64.urlsafe_b64encode(SECRET.value.encode()).decode(),
        SECRET.value.encode().hex(),
        SECRET.value.upper(),
        SECRET.value[::-1],
        SECRET.value.encode("utf-16"),
        gzip.compress(SECRET.value.encode()),
        Fernet(FERNET_KEY).encrypt(json.dumps({"key": SECRET.value}).encode()),
        b'"' + Fernet(FERNET_KEY).encrypt(SECRET.value[::-1].encode()) + b'"',
    ],
    ids=[f"form{number}" for number in range(22)],
)
def test_a_secret_is_found_in_any_form(written, tmp_path):
    content = written if isinstance(written, bytes) else written.encode()
    (tmp_path / "task.log").write_bytes(b"before " + content if isinstance(written, str) else content)
    with sqlite3.connect(tmp_path / "small.db") as database:
        database.execute("CREATE TABLE trigger (id INTEGER, kwargs TEXT)")
        database.execute("INSERT INTO trigger VALUES (1, ?)", (written,))
    search = Search([SECRET], FERNET_KEY)
    search.add_folder(tmp_path)
    search.add_database(tmp_path / "small.db")
    assert {"task.log", "trigger.kwargs"} <= {finding.place for finding in search.findings()}
    assert SECRET.value not in repr(search.findings())


def test_a_secret_is_found_in_the_name_of_a_file(tmp_path):
    (tmp_path / f"{SECRET.value[-32:]}.log").touch()
    search = Search([SECRET], FERNET_KEY)
    search.add_folder(tmp_path)
    assert search.findings()


def test_other_texts_are_not_found(tmp_path):
    search = Search([SECRET], FERNET_KEY)
    search.add("log", b"***, key-of-another-user, " + SECRET.value[6:20].encode())
    search.add("other", Fernet(Fernet.generate_key()).encrypt(SECRET.value.encode()))
    assert search.findings() == []


def test_a_secret_too_short_to_be_looked_for_is_refused():
    with pytest.raises(ValueError, match="has no 16 letters and digits"):
        Search([Secret("key", "short")], FERNET_KEY)
