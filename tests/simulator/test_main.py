"""The simulator as a program."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest
import requests

from airflow_provider_mendix.api import app_repository, build, deploy, team_server
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.hooks.connection import base_url
from airflow_provider_mendix.simulator.__main__ import parser
from airflow_provider_mendix.simulator.faults.registry import KINDS

_ANY_PORTS = [word for option in ("--port", "--repository-port", "--files-port") for word in (option, "0")]


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_mendix.simulator", *_ANY_PORTS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def connection(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        words = shlex.split(line) if line.startswith("export ") else []
        if words:
            return json.loads(words[1].removeprefix("AIRFLOW_CONN_MENDIX_DEFAULT="))
    raise AssertionError(process.communicate())


def account_of(found: dict[str, Any]) -> Account:
    return Account(
        username=found["login"],
        api_key=found["password"],
        personal_access_token=found["extra"]["personal_access_token"],
        base_urls={
            Host.DEPLOY: base_url(found["host"]),
            Host.REPOSITORY: base_url(found["extra"]["repository_url"]),
        },
    )


def project(mendix: MendixClient, app_id: str) -> str:
    return mendix.send(deploy.get_app(app_id)).project_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(number):
    process = run("--app", "plan", "--seconds", "0", "--package-size", "5000", "--with-old-package")
    try:
        found = connection(process)
        assert found["conn_type"] == "mendix"
        account = account_of(found)
        with MendixClient(account) as mendix:
            newest, first = mendix.send(app_repository.list_commits(project(mendix, "plan"), "main")).items
            version = f"0.9.0.{first.id[:8]}"
            assert [package.version for package in mendix.send(build.list_packages("plan"))] == [version]
            started = mendix.send(build.start_build("plan", revision=newest.id, version="1.0.0"))
            package = mendix.send(build.get_package("plan", started.package_id))
            assert (package.status, package.size) == ("Succeeded", 5000)
    finally:
        process.send_signal(number)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")


def test_user_key_and_outcome():
    process = run("--user", "bob@example.com", "--api-key", "it's", "--outcome", "stuck_queued", "--seconds", "0")
    try:
        found = connection(process)
        assert (found["login"], found["password"]) == ("bob@example.com", "it's")
        account = Account(username="bob@example.com", api_key="it's", base_urls={Host.DEPLOY: found["host"]})
        with MendixClient(account) as mendix:
            started = mendix.send(build.start_build("shop", revision="9f3ab2c1", version="1.0.0"))
            assert mendix.send(build.get_package("shop", started.package_id)).status == "Queued"
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_several_apps_with_svn_and_another_token():
    process = run(
        "--app", "plan", "--app", "stock", "--repository", "svn", "--personal-access-token", "it's a token"
    )
    try:
        found = connection(process)
        assert found["extra"]["personal_access_token"] == "it's a token"
        with MendixClient(account_of(found)) as mendix:
            assert [app.app_id for app in mendix.send(deploy.list_apps())] == ["plan", "stock"]
            for app_id in ("plan", "stock"):
                assert mendix.send(app_repository.get_repository(project(mendix, app_id))).type == "svn"
                (trunk,) = mendix.send(team_server.list_branches(app_id))
                assert (trunk.name, trunk.latest_revision_number) == ("trunk", 1)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_faults():
    process = run("--fault", "float_size", "--fault", "stuck_build", "--fault", "float_size")
    try:
        active = requests.get(f"{connection(process)['host']}/_simulator/faults", timeout=30).json()
        assert [fault["kind"] for fault in active] == ["float_size", "stuck_build", "float_size"]
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_taken_port_ends_with_a_message():
    first = run()
    try:
        port = connection(first)["host"].rpartition(":")[2]
        second = run("--port", port)
        _, complaints = second.communicate(timeout=30)
        assert second.returncode == 1
        assert complaints.startswith("Cannot listen: ")
        assert all(option in complaints for option in ("--port", "--files-port", "--repository-port"))
    finally:
        first.terminate()
        first.communicate(timeout=30)


def test_unknown_outcome_is_refused():
    process = run("--outcome", "explodes")
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "explodes" in complaints
    assert "stuck_building" in complaints


def test_program_lists_the_faults_that_there_are():
    command = [sys.executable, "-m", "airflow_provider_mendix.simulator", "--fault", "explodes"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in ("explodes", *KINDS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--app", "My Shop"], "There can be no such app: app_id 'My Shop' is not a subdomain"),
        (["--option", "stop=never"], "--option stop cannot be 'never'. It can be: synchronous, asynchronous."),
        (["--option", "halt=never"], "There is no option 'halt'. There are: action_body,"),
        (["--option", "ttl"], "--option ttl cannot be ''. It can be: a number."),
    ],
)
def test_wrong_arguments_end_with_a_sentence(arguments, message):
    process = run(*arguments)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaints.startswith(message)
    assert len(complaints.splitlines()) == 1


def test_options_and_the_banner():
    process = run("--app", "shop", "--app", "plan", "--option", "ttl=7", "--seconds", "0", "--with-old-package")
    try:
        lines = []
        while not lines or not lines[-1].startswith("export "):
            lines.append(process.stdout.readline())
        banner = "".join(lines)
        words = shlex.split(lines[-1])
        account = account_of(json.loads(words[1].removeprefix("AIRFLOW_CONN_MENDIX_DEFAULT=")))
        with MendixClient(account) as mendix:
            for app_id in ("shop", "plan"):
                newest = mendix.send(app_repository.list_commits(project(mendix, app_id), "main")).items[0].id
                assert f"App {app_id}: git, newest revision {newest} of main." in banner
            (package,) = mendix.send(build.list_packages("shop"))
            assert mendix.send(build.get_package("shop", package.package_id, url=True)).url.ttl == 7
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_all_three_ports_are_fixed_by_default():
    defaults = parser().parse_args([])
    assert (defaults.port, defaults.repository_port, defaults.files_port) == (8787, 8788, 8789)
