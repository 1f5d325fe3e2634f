"""Environments: their states by the clock, what is done to them, and every refusal."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_mendix.api import backups, deploy
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import EnvironmentBusyError, EnvironmentNotFoundError, StartFailedError
from airflow_provider_mendix.simulator import DeploymentTimeline, Ending, InvalidEnvironmentError, Server
from airflow_provider_mendix.simulator.state.environments import START_CODES, TRANSPORT_CODES

from .deploying import ENVIRONMENTS, Deployer, read
from .talking import AUTH, KEY, PROJECT, USER, Talk
from .test_refusals import refusal

SAMPLES = Path(__file__).parent.parent / "samples" / "deploy"
NOBODY = "3d3f0a9e-0000-4000-8000-000000000000"


@pytest.fixture
def deployer(talk: Talk) -> Deployer:
    return Deployer(talk)


def keys_of(value: Any) -> Any:
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    return set(value)


class TestWhatThereIs:
    def test_a_licensed_app_has_three_and_a_free_app_none(self, talk):
        talk.platform.add_app("free", free=True)
        talk.platform.add_app("plan", environments=["Staging", "production"])
        shown = talk.json("GET", ENVIRONMENTS)
        assert [(one["Mode"], one["Status"], one["Production"]) for one in shown] == [
            ("Test", "Empty", False),
            ("Acceptance", "Empty", False),
            ("Production", "Empty", True),
        ]
        assert talk.json("GET", "/api/1/apps/free/environments") == []
        other = talk.json("GET", "/api/1/apps/plan/environments")
        assert [(one["Mode"], one["Production"]) for one in other] == [("Staging", False), ("production", False)]

    def test_an_app_that_is_added_again_has_new_ones(self, deployer):
        deployer.put(running=True)
        deployer.platform.add_app("shop", environments=["Test"])
        assert [one.mode for one in deployer.platform.environments("shop")] == ["Test"]
        assert deployer.status == "Empty"

    def test_one_environment(self, deployer):
        package_id = deployer.put("1.4.2", running=True)
        environment = deployer.platform.environment("shop", "Test")
        assert (environment.package_id, environment.running_package_id) == (package_id, package_id)
        assert uuid.UUID(environment.environment_id).version == 5
        shown = {
            "Status": "Running",
            "EnvironmentId": environment.environment_id,
            "Mode": "Test",
            "Url": "https://files.simulator.invalid/apps/shop/Test/",
            "ModelVersion": "1.4.2.9f3ab2c1",
            "MendixVersion": "10.24.0",
            "Production": False,
        }
        assert deployer.talk.json("GET", deployer.path) == shown
        assert deployer.talk.json("GET", ENVIRONMENTS)[0] == shown
        assert Deployer(Talk()).platform.environment("shop", "Test").environment_id == environment.environment_id

    def test_an_empty_one_has_no_versions(self, deployer, talk_with):
        assert "ModelVersion" not in deployer.talk.json("GET", deployer.path)
        shown = talk_with(not_ready="null").json("GET", deployer.path)
        assert (shown["ModelVersion"], shown["MendixVersion"]) == (None, None)

    def test_flexible_environments(self, talk):
        talk.platform.add_environment("shop", "My env 2.0", production=True)
        assert talk.json("GET", f"{ENVIRONMENTS}/My%20env%202.0")["Production"] is True

    def test_what_cannot_be_put_there(self, deployer):
        deployer.platform.add_app("plan")
        foreign = deployer.platform.add_package("plan", version="1.0.0", revision="63")
        for package_id in (NOBODY, foreign):
            with pytest.raises(KeyError):
                deployer.platform.add_environment("shop", "Test", package_id=package_id)
        with pytest.raises(KeyError):
            deployer.platform.add_environment("nope", "Test")
        with pytest.raises(InvalidEnvironmentError):
            deployer.platform.add_environment("shop", "Test", running=True)
        with pytest.raises(KeyError):
            deployer.platform.environment("shop", "test")

    def test_answers_have_the_keys_of_the_samples(self, deployer):
        def sample(name: str) -> Any:
            return json.loads((SAMPLES / name).read_text())

        deployer.put(running=True)
        deployer.platform.environment("shop", "Test").constants["Shop.Url"] = "x"
        deployer.platform.environment("shop", "Test").scheduled_events["Shop.Nightly"] = "Enabled"
        talk = deployer.talk
        assert keys_of(talk.json("GET", deployer.path)) == keys_of(sample("environment.json"))
        assert keys_of(talk.json("GET", ENVIRONMENTS)) == keys_of(sample("environments.json"))
        package = talk.json("GET", f"{deployer.path}/package?url=true")
        assert keys_of(package) == keys_of(sample("environment_package.json")) | {"Url"}
        settings, documented = talk.json("GET", f"{deployer.path}/settings"), sample("settings.json")
        assert keys_of(settings) == keys_of(documented)
        for kind in ("Constants", "ScheduledEvents"):
            assert keys_of(settings[kind]) == keys_of(documented[kind])


class TestTransport:
    def test_it_shows_after_its_time_and_runs_from_the_next_start_on(self, deployer):
        old = deployer.put("1.0.0", running=True)
        deployer.platform.deployment = DeploymentTimeline(stopping=5, transporting=10, starting=20)
        new = deployer.package("1.1.0")
        reply = deployer.transport(new)
        assert (reply.status, reply.body) == (200, b"")

        def there() -> tuple[str, str, str]:
            package = deployer.talk.json("GET", f"{deployer.path}/package")["PackageId"]
            shown = deployer.talk.json("GET", deployer.path)
            return package, shown["Status"], shown["ModelVersion"]

        assert there() == (old, "Running", "1.0.0.9f3ab2c1")
        deployer.pass_time(9.9)
        assert there()[0] == old
        deployer.pass_time(0.1)
        assert there() == (new, "Running", "1.0.0.9f3ab2c1")
        deployer.post("stop")
        deployer.pass_time(5)
        assert there() == (new, "Stopped", "1.1.0.9f3ab2c1")
        deployer.start()
        deployer.pass_time(20)
        assert there() == (new, "Running", "1.1.0.9f3ab2c1")

    def test_a_start_that_does_not_wait_for_it_starts_the_old_package(self, deployer):
        old = deployer.put("1.0.0")
        deployer.platform.deployment = DeploymentTimeline(transporting=10, starting=20)
        new = deployer.package("1.1.0")
        deployer.transport(new)
        deployer.start()
        deployer.pass_time(20)
        environment = deployer.platform.environment("shop", "Test")
        assert (environment.running_package_id, environment.package_id) == (old, new)

    def test_model_version_may_be_that_of_what_was_transported(self, talk_with):
        deployer = Deployer(talk_with(model_version="transported"))
        deployer.put("1.0.0", running=True)
        deployer.transport(deployer.package("1.1.0"))
        assert deployer.talk.json("GET", deployer.path)["ModelVersion"] == "1.1.0.9f3ab2c1"

    def test_the_first_one_makes_an_empty_environment_a_stopped_one(self, deployer):
        assert refusal(deployer.talk.api("GET", f"{deployer.path}/package")) == (404, "PACKAGE_NOT_FOUND")
        package_id = deployer.package()
        deployer.transport(package_id)
        assert deployer.status == deployer.platform.environment_status("shop", "Test") == "Stopped"
        shown = deployer.talk.json("GET", f"{deployer.path}/package")
        assert (shown["PackageId"], shown["ExpiryDate"]) == (package_id, None)
        link = deployer.talk.json("GET", f"{deployer.path}/package?url=true")["Url"]["Location"]
        assert deployer.talk.file(link).body == deployer.platform.content(package_id)

    @pytest.mark.parametrize(
        ("ending", "seconds", "refused"),
        [
            (Ending.SUCCEEDS, 44.9, (503, "SERVICE UNAVAILABLE")),
            (Ending.STUCK_QUEUED, 999, (503, "SERVICE UNAVAILABLE")),
            (Ending.FAILS_WHILE_BUILDING, 45, (403, "NOT ALLOWED")),
        ],
    )
    def test_packages_that_are_not_ready(self, deployer, ending, seconds, refused):
        deployer.platform.ending = ending
        package_id = deployer.talk.start()
        deployer.pass_time(seconds)
        assert refusal(deployer.transport(package_id)) == refused
        assert deployer.status == "Empty"

    def test_packages_that_are_not_there(self, deployer):
        deployer.platform.add_app("plan")
        foreign = deployer.platform.add_package("plan", version="1.0.0", revision="63")
        for package_id in (NOBODY, foreign):
            assert refusal(deployer.transport(package_id)) == (404, "PACKAGE_NOT_FOUND")
        for body in ({}, {"PackageId": 7}, b"", b"x"):
            assert refusal(deployer.post("transport", body)) == (400, "INVALID_PARAMETERS")

    @pytest.mark.parametrize(("code", "status"), TRANSPORT_CODES.items())
    def test_refusals_on_request(self, deployer, code, status):
        old, new = deployer.put("1.0.0"), deployer.package("1.1.0")
        deployer.platform.next_transports.append(code)
        assert refusal(deployer.transport(NOBODY)) == (404, "PACKAGE_NOT_FOUND")
        assert refusal(deployer.transport(new)) == (status, code)
        assert deployer.platform.environment("shop", "Test").package_id == old
        assert deployer.transport(new).status == 200

    def test_codes_with_a_space_may_be_asked_for_without_and_unknown_ones_are_loud(self, deployer):
        package_id = deployer.package()
        deployer.platform.next_transports.extend(["SERVICE_UNAVAILABLE", "OUT_OF_LUCK"])
        assert refusal(deployer.transport(package_id)) == (503, "SERVICE UNAVAILABLE")
        reply = deployer.transport(package_id)
        assert reply.status == 501
        assert b"OUT_OF_LUCK" in reply.body

    def test_it_may_want_the_app_stopped(self, talk_with):
        deployer = Deployer(talk_with(transport_while_running=False))
        deployer.put(running=True)
        new = deployer.package("1.1.0")
        assert refusal(deployer.transport(new)) == (403, "APP_IS_RUNNING")
        deployer.post("stop", {})
        assert refusal(deployer.transport(new)) == (403, "APP_IS_RUNNING")
        deployer.pass_time(5)
        assert deployer.transport(new).status == 200

    def test_a_package_hidden_from_lists_is_on_the_environment_all_the_same(self, deployer):
        package_id = deployer.put()
        deployer.platform.faults.add("hidden_from_list")
        assert deployer.talk.json("GET", "/api/1/apps/shop/packages") == []
        assert deployer.talk.json("GET", f"{deployer.path}/package")["PackageId"] == package_id


class TestInUse:
    def test_what_is_transported_or_runs_cannot_be_deleted(self, deployer):
        def deleted(package_id: str) -> int:
            return deployer.talk.api("DELETE", f"/api/1/apps/shop/packages/{package_id}").status

        old = deployer.put("1.0.0", running=True)
        deployer.platform.deployment = DeploymentTimeline(transporting=10)
        new, unused = deployer.package("1.1.0"), deployer.package("1.2.0")
        deployer.transport(new)
        assert [deleted(old), deleted(new), deleted(unused)] == [409, 409, 204]
        deployer.pass_time(10)
        assert [deleted(old), deleted(new)] == [409, 409]
        deployer.post("stop")
        deployer.pass_time(5)
        assert [deleted(old), deleted(new)] == [204, 409]


class TestStop:
    @pytest.mark.parametrize("body", [None, {}])
    def test_it_reads_running_for_a_while(self, deployer, body):
        deployer.put(running=True)
        reply = deployer.post("stop", body)
        assert (reply.status, reply.body) == (200, b"")
        assert deployer.status == "Running"
        deployer.pass_time(3)
        assert deployer.post("stop", body).status == 200
        deployer.pass_time(1.9)
        assert deployer.status == "Running"
        deployer.pass_time(0.1)
        assert deployer.status == "Stopped"
        assert deployer.platform.environment("shop", "Test").running_package_id is None

    def test_a_second_stop_does_not_stop_what_was_started_since(self, deployer):
        deployer.platform.deployment = DeploymentTimeline(stopping=5, starting=1)
        deployer.put(running=True)
        for _ in range(2):
            deployer.post("stop")
            deployer.pass_time(3)
        deployer.start()
        deployer.pass_time(60)
        assert deployer.status == "Running"

    @pytest.mark.parametrize("there", [True, False])
    def test_what_does_not_run(self, deployer, talk_with, there):
        strict = Deployer(talk_with(stop_when_stopped=500))
        if there:
            deployer.put()
            strict.put()
        assert deployer.post("stop").status == 200
        assert refusal(strict.post("stop")) == (500, "STOP_FAILED")
        assert deployer.status == strict.status == ("Stopped" if there else "Empty")

    def test_failure_on_request(self, deployer):
        deployer.put(running=True)
        deployer.platform.next_stops.extend(["STOP_FAILED", "succeeds"])
        assert refusal(deployer.post("stop")) == (500, "STOP_FAILED")
        deployer.pass_time(60)
        assert deployer.status == "Running"
        assert deployer.post("stop").status == 200
        assert not deployer.platform.next_stops

    def test_in_the_middle_of_a_start(self, deployer):
        deployer.put()
        deployer.start()
        assert refusal(deployer.post("stop")) == (500, "STOP_FAILED")
        deployer.pass_time(20)
        assert deployer.status == "Running"


class TestStart:
    def test_it_takes_its_time(self, deployer):
        deployer.put("1.4.2")
        answer = deployer.talk.json("POST", f"{deployer.path}/start", {"AutoSyncDb": True})
        assert list(answer) == ["JobId"]
        assert read(deployer.job(answer["JobId"])) == {"Status": "Starting"}
        deployer.pass_time(19.9)
        assert (read(deployer.job(answer["JobId"]))["Status"], deployer.status) == ("Starting", "Stopped")
        deployer.pass_time(0.1)
        assert (read(deployer.job(answer["JobId"]))["Status"], deployer.status) == ("Started", "Running")
        assert deployer.platform.environment("shop", "Test").data_version == "1.4.2.9f3ab2c1"

    def test_what_runs_already(self, deployer, talk_with):
        deployer.put(running=True)
        answer = deployer.talk.json("POST", f"{deployer.path}/start", {"AutoSyncDb": True})
        assert sorted(answer) == ["errorCode", "errorMessage"]
        assert answer["errorCode"] == "ALREADY_STARTED"
        deployer.post("stop")
        assert refusal(deployer.post("start", {})) == (200, "ALREADY_STARTED")

        older = Deployer(talk_with(already_started=500))
        older.put(running=True)
        assert refusal(older.post("start", {"AutoSyncDb": True})) == (500, "ALREADY_STARTED")

    def test_nothing_to_start(self, deployer):
        assert refusal(deployer.post("start", {"AutoSyncDb": True})) == (500, "NO_MDA_HAS_BEEN_DEPLOYED")

    def test_one_start_at_a_time(self, deployer):
        deployer.put()
        deployer.start()
        assert refusal(deployer.post("start", {})) == (500, "APP_ALREADY_HAS_A_STARTING_JOB")
        other = Deployer(deployer.talk, "Acceptance")
        other.put()
        other.start()
        assert len(deployer.platform.start_jobs) == 2

    @pytest.mark.parametrize("code", [code for code in START_CODES if code != "ALREADY_STARTED"])
    def test_failures_on_request(self, deployer, code):
        deployer.put()
        deployer.platform.next_starts.append(code)
        job_id = deployer.start()
        assert read(deployer.job(job_id)) == {"Status": "Starting"}
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, code)
        assert refusal(deployer.job(job_id)) == (500, code)
        assert deployer.status == "Stopped"
        again = deployer.start()
        deployer.pass_time(20)
        assert (read(deployer.job(again))["Status"], deployer.status) == ("Started", "Running")

    def test_a_failure_that_is_none(self, deployer):
        deployer.put()
        deployer.platform.next_starts.append("ALREADY_STARTED")
        job_id = deployer.start()
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, "ALREADY_STARTED")
        assert deployer.status == "Running"

    def test_only_accepted_starts_use_up_a_failure(self, deployer):
        deployer.platform.next_starts.append("START_FAILED")
        deployer.post("start", {})
        deployer.put(running=True)
        deployer.post("start", {})
        assert list(deployer.platform.next_starts) == ["START_FAILED"]

    @pytest.mark.parametrize(
        ("code", "auto_sync_db", "option", "version"),
        [
            ("", True, True, "2.0.0.9f3ab2c1"),
            ("", False, True, "1.0.0.9f3ab2c1"),
            ("DB_SYNC_FAILED", True, True, "2.0.0.9f3ab2c1"),
            ("STARTUP_ACTION_FAILED", True, True, "2.0.0.9f3ab2c1"),
            ("DB_SYNC_FAILED", True, False, "1.0.0.9f3ab2c1"),
            ("DB_SYNC_FAILED", False, True, "1.0.0.9f3ab2c1"),
            ("MISSING_CONSTANT", True, True, "1.0.0.9f3ab2c1"),
        ],
    )
    def test_what_it_leaves_of_the_database(self, talk_with, code, auto_sync_db, option, version):
        deployer = Deployer(talk_with(failed_start_migrates=option))
        deployer.put("1.0.0")
        deployer.transport(deployer.package("2.0.0"))
        deployer.platform.next_starts.append(code)
        deployer.start(auto_sync_db=auto_sync_db)
        deployer.pass_time(19)
        assert deployer.platform.environment("shop", "Test").data_version == "1.0.0.9f3ab2c1"
        deployer.pass_time(1)
        assert deployer.platform.environment("shop", "Test").data_version == version

    @pytest.mark.parametrize(("auto_sync_db", "status"), [(False, "Stopped"), (True, "Running")])
    def test_another_version_may_need_another_database(self, talk_with, auto_sync_db, status):
        deployer = Deployer(talk_with(every_version_needs_sync=True))
        deployer.put("1.0.0")
        job_id = deployer.start(auto_sync_db=False)
        deployer.pass_time(20)
        assert read(deployer.job(job_id)) == {"Status": "Started"}
        deployer.post("stop")
        deployer.pass_time(5)
        deployer.transport(deployer.package("2.0.0"))
        job_id = deployer.start(auto_sync_db=auto_sync_db)
        deployer.pass_time(20)
        assert deployer.status == status
        if not auto_sync_db:
            assert refusal(deployer.job(job_id)) == (500, "INVALID_DB_STRUCTURE")

    def test_a_package_that_is_gone(self, deployer):
        deployer.put()
        deployer.platform.packages.clear()
        job_id = deployer.start()
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, "NO_PACKAGE")
        assert deployer.status == "Stopped"

    def test_unknown_jobs(self, deployer, talk_with):
        deployer.put()
        job_id = deployer.start()
        elsewhere = deployer.talk.api("GET", f"{ENVIRONMENTS}/Acceptance/start/{job_id}")
        assert refusal(deployer.job(NOBODY)) == refusal(elsewhere) == (404, "NO_SUCH_STARTJOB")

        forgetful = Deployer(talk_with(start_job_lifetime=60))
        forgetful.put()
        job_id = forgetful.start()
        forgetful.pass_time(79.9)
        assert read(forgetful.job(job_id)) == {"Status": "Started"}
        forgetful.pass_time(0.1)
        assert refusal(forgetful.job(job_id)) == (404, "NO_SUCH_STARTJOB")
        assert forgetful.status == "Running"

    def test_no_time_at_all(self, deployer):
        deployer.platform.deployment = DeploymentTimeline.of(0)
        deployer.transport(deployer.package())
        assert read(deployer.job(deployer.start())) == {"Status": "Started"}
        assert deployer.status == "Running"
        deployer.post("stop")
        assert deployer.status == "Stopped"


EVERY_CALL = [
    ("GET", ""),
    ("GET", "/package"),
    ("GET", "/settings"),
    ("POST", "/settings"),
    ("POST", "/transport"),
    ("POST", "/stop"),
    ("POST", "/start"),
    ("GET", f"/start/{NOBODY}"),
]
CHANGES = [call for call in EVERY_CALL if call[0] == "POST"]


class TestRefusals:
    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    @pytest.mark.parametrize(
        ("mode", "refused"),
        [
            ("test", (404, "ENVIRONMENT_NOT_FOUND")),
            ("Nope", (404, "ENVIRONMENT_NOT_FOUND")),
            (NOBODY, (404, "ENVIRONMENT_NOT_FOUND")),
            ("a%2Fb", (400, "INVALID_ENVIRONMENT")),
            ("Test%3F", (400, "INVALID_ENVIRONMENT")),
        ],
    )
    def test_wrong_names(self, talk, method, rest, mode, refused):
        assert refusal(talk.api(method, f"{ENVIRONMENTS}/{mode}{rest}")) == refused

    def test_the_id_of_an_environment_is_not_its_name(self, deployer):
        environment_id = deployer.platform.environment("shop", "Test").environment_id
        assert refusal(deployer.talk.api("GET", f"{ENVIRONMENTS}/{environment_id}"))[0] == 404

    @pytest.mark.parametrize(("method", "rest"), [call for call in EVERY_CALL if call[1]])
    def test_no_name(self, talk, method, rest):
        assert refusal(talk.api(method, f"{ENVIRONMENTS}/{rest}")) == (400, "INVALID_PARAMETERS")

    @pytest.mark.parametrize(
        ("method", "target", "refused"),
        [
            ("GET", "/api/1/apps/nope/environments", (404, "APP_NOT_FOUND")),
            ("GET", "/api/1/apps/no_app/environments", (400, "INVALID_APPID")),
            ("POST", "/api/1/apps/nope/environments/Test/start", (404, "APP_NOT_FOUND")),
            ("POST", "/api/1/apps/no_app/environments/Test/start", (400, "INVALID_APPID")),
            ("POST", "/api/1/apps/nope/environments/Test/stop", (404, "ENVIRONMENT_NOT_FOUND")),
            ("GET", "/api/1/apps//environments/Test/package", (400, "INVALID_PARAMETERS")),
        ],
    )
    def test_wrong_apps(self, talk, method, target, refused):
        assert refusal(talk.api(method, target)) == refused

    def test_case_may_not_matter(self, talk_with):
        deployer = Deployer(talk_with(mode_case="lenient"), "tEST")
        deployer.platform.add_environment("shop", "Test", package_id=deployer.package())
        assert deployer.talk.json("GET", deployer.path)["Mode"] == "Test"
        deployer.start()
        deployer.pass_time(20)
        assert deployer.platform.environment_status("shop", "Test") == "Running"
        deployer.platform.revoke_transport_rights("shop", "Test")
        assert refusal(deployer.post("stop")) == (403, "NO_ACCESS")

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_credentials_or_rights_on_the_app(self, talk, method, rest):
        target = f"{ENVIRONMENTS}/Test{rest}"
        assert talk.api(method, target, headers={"mendix-username": USER}).status == 401
        talk.platform.revoke_api_rights("shop")
        assert refusal(talk.api(method, target)) == (403, "NO_ACCESS")

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_rights_on_one_environment(self, deployer, method, rest):
        deployer.put()
        platform = deployer.platform
        platform.revoke_api_rights("shop", "Test")
        assert refusal(deployer.talk.api(method, f"{deployer.path}{rest}")) == (403, "NO_ACCESS")
        assert deployer.talk.api("GET", f"{ENVIRONMENTS}/Acceptance").status == 200
        assert deployer.talk.api("GET", "/api/1/apps/shop/packages").status == 200
        assert [one["Mode"] for one in deployer.talk.json("GET", ENVIRONMENTS)] == ["Acceptance", "Production"]
        platform.grant_api_rights("shop", "Test")
        assert b"NO_ACCESS" not in deployer.talk.api(method, f"{deployer.path}{rest}").body

    def test_the_list_may_have_those_without_rights(self, talk_with):
        talk = talk_with(list_environments_without_rights=True)
        talk.platform.revoke_api_rights("shop", "Test")
        assert len(talk.json("GET", ENVIRONMENTS)) == 3

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_transport_rights(self, deployer, method, rest):
        deployer.put()
        deployer.platform.revoke_transport_rights("shop", "Test")
        reply = deployer.talk.api(method, f"{deployer.path}{rest}", {"PackageId": NOBODY})
        if rest == "/transport":
            assert refusal(reply) == (403, "TRANSPORT_NOT_ALLOWED")
        elif method == "POST":
            assert refusal(reply) == (403, "NO_ACCESS")
        else:
            assert reply.status in (200, 404)
        elsewhere = deployer.talk.api(method, f"{ENVIRONMENTS}/Acceptance{rest}", {"PackageId": NOBODY})
        assert elsewhere.status != 403
        deployer.platform.grant_transport_rights("shop", "Test")
        assert deployer.talk.api(method, f"{deployer.path}{rest}", {"PackageId": NOBODY}).status != 403


class TestSettings:
    @pytest.fixture
    def settings(self, deployer) -> dict[str, Any]:
        environment = deployer.platform.environment("shop", "Test")
        environment.constants |= {"Shop.Url": "https://a.example", "Shop.Key": "s3cr3t"}
        environment.scheduled_events["Shop.Nightly"] = "Disabled"
        environment.custom_settings["ScheduledEventExecution"] = "ALL"
        return deployer.talk.json("GET", f"{deployer.path}/settings")

    def test_what_is_changed_takes_effect_at_the_next_start(self, deployer, settings):
        assert settings == {
            "Constants": [
                {"Name": "Shop.Url", "Value": "https://a.example", "DeployedValue": None, "DataType": "String"},
                {"Name": "Shop.Key", "Value": "s3cr3t", "DeployedValue": None, "DataType": "String"},
            ],
            "CustomSettings": [{"Name": "ScheduledEventExecution", "Value": "ALL"}],
            "ScheduledEvents": [{"Name": "Shop.Nightly", "Value": "Disabled", "DeployedValue": None}],
        }
        settings["Constants"][0]["Value"] = "https://b.example"
        settings["ScheduledEvents"][0]["Value"] = "Enabled"
        changed = read(deployer.post("settings", settings))
        assert changed == settings == deployer.talk.json("GET", f"{deployer.path}/settings")
        deployer.transport(deployer.package())
        deployer.start()
        deployer.pass_time(20)
        deployed = deployer.talk.json("GET", f"{deployer.path}/settings")
        assert deployed["Constants"][0]["DeployedValue"] == "https://b.example"
        assert deployed["ScheduledEvents"][0]["DeployedValue"] == "Enabled"

    @pytest.mark.parametrize(
        ("kind", "name", "value", "refused"),
        [
            ("Constants", "Shop.Nope", "x", (400, "CONSTANT_NOT_FOUND")),
            ("CustomSettings", "Nope", "x", (400, "CUSTOM_SETTING_NOT_SUPPORTED")),
            ("ScheduledEvents", "Shop.Nope", "Enabled", (400, "SCHEDULED_EVENT_NOT_FOUND")),
            ("ScheduledEvents", "Shop.Nightly", "on", (500, "INVALID_SCHEDULED_EVENT_PARAMETER")),
            ("Constants", None, "x", (400, "INVALID_PARAMETERS")),
        ],
    )
    def test_refusals_change_nothing(self, deployer, settings, kind, name, value, refused):
        wish = {"Constants": [{"Name": "Shop.Url", "Value": "https://b.example"}]}
        wish.setdefault(kind, []).append({"Name": name, "Value": value})
        assert refusal(deployer.post("settings", wish)) == refused
        assert deployer.talk.json("GET", f"{deployer.path}/settings") == settings

    def test_a_constant_without_a_value(self, deployer):
        deployer.put()
        deployer.platform.environment("shop", "Test").constants["Shop.Url"] = None
        job_id = deployer.start()
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, "MISSING_CONSTANT")
        deployer.post("settings", {"Constants": [{"Name": "Shop.Url", "Value": "x"}]})
        deployer.start()
        deployer.pass_time(20)
        assert deployer.status == "Running"

    def test_the_journal_has_no_values(self, deployer, settings):
        deployer.post("settings", settings)
        (entry,) = deployer.platform.journal.requests("POST", "/settings")
        assert entry.body["Constants"][1]["Name"] == "Shop.Key"
        assert "s3cr3t" not in repr(entry)


class TestSite:
    def test_it_answers_while_the_app_runs(self, deployer):
        deployer.put("1.4.2", running=True)
        url = deployer.talk.json("GET", deployer.path)["Url"]
        reply = deployer.talk.file(url)
        assert reply.status == 200
        assert b"1.4.2.9f3ab2c1" in reply.body
        assert deployer.talk.file(url, "POST").status == 405
        deployer.transport(deployer.package("1.5.0"))
        assert b"1.4.2.9f3ab2c1" in deployer.talk.file(url).body
        deployer.post("stop")
        deployer.pass_time(5)
        assert deployer.talk.file(url).status == 503
        assert {entry.host for entry in deployer.platform.journal.requests(path_contains="/apps/shop/Test/")} == {
            "files"
        }

    @pytest.mark.parametrize("rest", ["/apps/shop/Nope/", "/apps/shop/", "/apps/plan/Test/", "/apps/shop/Test/x"])
    def test_nothing_else_is_there(self, deployer, rest):
        deployer.put(running=True)
        assert deployer.talk.file(deployer.platform.files_url + rest).status == 404

    def test_over_loopback_with_a_name_that_needs_escaping(self, deployer):
        package_id = deployer.package()
        deployer.platform.add_environment("shop", "My ünv", package_id=package_id, running=True)
        with Server(deployer.platform) as server:
            shown = requests.get(f"{server.api_url}{ENVIRONMENTS}/My%20%C3%BCnv", headers=AUTH).json()
            assert shown["Url"].startswith(server.files_url)
            answer = requests.get(shown["Url"])
            assert (answer.status_code, "1.0.0.9f3ab2c1" in answer.text) == (200, True)
            assert requests.head(shown["Url"]).status_code == 200


class TestControlPlane:
    @pytest.fixture
    def base(self, talk):
        with Server(talk.platform) as server:
            yield f"{server.api_url}/_simulator"

    def test_environments(self, base, deployer):
        package_id = deployer.package()
        wish = {"app_id": "shop", "mode": "Live", "production": True, "package_id": package_id, "running": True}
        environment_id = requests.post(f"{base}/environments", json=wish).json()["environment_id"]
        *_, live = requests.get(f"{base}/environments").json()
        assert live == {
            "app_id": "shop",
            "mode": "Live",
            "environment_id": environment_id,
            "production": True,
            "status": "Running",
            "package_id": package_id,
            "running_package_id": package_id,
            "model_version": "1.0.0.9f3ab2c1",
            "data": "as it was at first",
            "data_version": "1.0.0.9f3ab2c1",
            "url": f"{deployer.platform.files_url}/apps/shop/Live/",
        }
        for wrong, status in [
            ({"app_id": "nope", "mode": "Test"}, 404),
            ({"app_id": "shop", "mode": "Test", "package_id": NOBODY}, 404),
            ({"app_id": "shop", "mode": "Test", "running": True}, 400),
            ({"app_id": "shop"}, 400),
        ]:
            assert requests.post(f"{base}/environments", json=wrong).status_code == status
        wish = {"app_id": "plan", "environments": ["Staging"]}
        assert requests.post(f"{base}/apps", json=wish).status_code == 200
        assert [one.mode for one in deployer.platform.environments("plan")] == ["Staging"]

    @pytest.mark.parametrize(
        ("action", "wish", "queue"),
        [
            ("next-start", {"code": "DB_SYNC_FAILED"}, "next_starts"),
            ("next-start", {"code": ""}, "next_starts"),
            ("next-stop", {"code": "STOP_FAILED"}, "next_stops"),
            ("next-transport", {"code": "SERVICE UNAVAILABLE"}, "next_transports"),
            ("next-backup", {"ending": "failed"}, "next_backups"),
            ("next-backup", {"ending": "INVALID_STATE"}, "next_backups"),
            ("next-restore", {"ending": "completed"}, "next_restores"),
        ],
    )
    def test_what_comes_next(self, base, talk, action, wish, queue):
        (word,) = wish.values()
        answer = requests.post(f"{base}/{action}", json=wish)
        assert (answer.status_code, answer.json()) == (200, {"next": [word]})
        assert list(getattr(talk.platform, queue)) == [word]
        (name,) = wish
        refused = requests.post(f"{base}/{action}", json={name: "OUT_OF_LUCK"})
        assert refused.status_code == 400
        assert "There are: " in refused.json()["error"]
        assert list(getattr(talk.platform, queue)) == [word]


def test_a_release_by_our_client_over_loopback(deployer):
    platform = deployer.platform
    platform.deployment = DeploymentTimeline(stopping=5, transporting=3, starting=20, backing_up=30, restoring=30)
    old = deployer.put("1.0.0", running=True)
    new = deployer.package("1.1.0")
    with Server(platform) as server:
        account = Account(username=USER, api_key=KEY, base_urls={Host.DEPLOY: server.api_url})
        with MendixClient(account) as mendix:
            test, acceptance, _ = mendix.send(deploy.list_environments("shop"))
            assert (test.mode, test.status, test.is_production) == ("Test", "Running", False)
            assert acceptance.model_version is None
            assert mendix.send(deploy.get_environment_package("shop", "Test")).package_id == old
            started = mendix.send(deploy.start_environment("shop", "Test", auto_sync_db=True))
            assert started.job_id is None

            mendix.send(deploy.stop_environment("shop", "Test"))
            deployer.pass_time(5)
            assert mendix.send(deploy.get_environment("shop", "Test")).status == "Stopped"
            snapshot = mendix.send(backups.create_snapshot(PROJECT, test.environment_id, comment="before"))
            with pytest.raises(EnvironmentBusyError):
                mendix.send(backups.create_snapshot(PROJECT, test.environment_id))
            deployer.pass_time(30)
            snapshot = mendix.send(backups.get_snapshot(PROJECT, test.environment_id, snapshot.snapshot_id))
            assert (snapshot.state, snapshot.comment) == ("completed", "before")
            assert mendix.send(backups.list_snapshots(PROJECT, test.environment_id)).snapshots == (snapshot,)

            mendix.send(deploy.transport_package("shop", "Test", new))
            deployer.pass_time(3)
            assert mendix.send(deploy.get_environment_package("shop", "Test")).package_id == new
            platform.next_starts.append("STARTUP_ACTION_FAILED")
            job_id = mendix.send(deploy.start_environment("shop", "Test", auto_sync_db=True)).job_id
            assert mendix.send(deploy.get_start_job("shop", "Test", job_id)).status == "Starting"
            deployer.pass_time(20)
            with pytest.raises(StartFailedError, match="after-startup"):
                mendix.send(deploy.get_start_job("shop", "Test", job_id))

            restore = mendix.send(backups.create_restore(PROJECT, test.environment_id, snapshot.snapshot_id))
            deployer.pass_time(30)
            restore = mendix.send(backups.get_restore(PROJECT, test.environment_id, restore.restore_id))
            assert (restore.state, restore.finished_at is None) == ("completed", False)
            settings = mendix.send(deploy.get_settings("shop", "Test"))
            assert mendix.send(deploy.set_settings("shop", "Test", settings)) == settings
            with pytest.raises(EnvironmentNotFoundError):
                mendix.send(deploy.get_environment("shop", "test"))
    assert platform.environment("shop", "Test").data_version == "1.0.0.9f3ab2c1"
