"""Transport, stop and start of environments, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.simulator import (
    BuildOutcome,
    DeploymentTimeline,
    InvalidOutcomeError,
)
from airflow_provider_mendix.simulator.state.environments import START_CODES, TRANSPORT_CODES

from ..deploying import ENVIRONMENTS, Deployer, read
from ..talking import UNKNOWN_ID, USER, refusal

SAMPLES = Path(__file__).parents[2] / "samples" / "deploy"


def keys_of(value: Any) -> Any:
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    return set(value)


class TestTransport:
    def test_it_shows_after_its_time_and_runs_from_the_next_start_on(self, deployer):
        old = deployer.put("1.0.0", running=True)
        deployer.platform.environments.timeline = DeploymentTimeline(stopping=5, transporting=10, starting=20)
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
        deployer.platform.environments.timeline = DeploymentTimeline(transporting=10, starting=20)
        new = deployer.package("1.1.0")
        deployer.transport(new)
        deployer.start()
        deployer.pass_time(20)
        environment = deployer.platform.environments["shop", "Test"]
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
        assert deployer.status == deployer.platform.environments["shop", "Test"].status == "Stopped"
        shown = deployer.talk.json("GET", f"{deployer.path}/package")
        assert (shown["PackageId"], shown["ExpiryDate"]) == (package_id, None)
        link = deployer.talk.json("GET", f"{deployer.path}/package?url=true")["Url"]["Location"]
        assert deployer.talk.file(link).body == deployer.platform.packages.content(package_id)

    @pytest.mark.parametrize(
        ("outcome", "seconds", "refused"),
        [
            (BuildOutcome.SUCCEEDS, 44.9, (503, "SERVICE UNAVAILABLE")),
            (BuildOutcome.STUCK_QUEUED, 999, (503, "SERVICE UNAVAILABLE")),
            (BuildOutcome.FAILS_WHILE_BUILDING, 45, (403, "NOT ALLOWED")),
        ],
    )
    def test_packages_that_are_not_ready(self, deployer, outcome, seconds, refused):
        deployer.platform.packages.outcome = outcome
        package_id = deployer.talk.start()
        deployer.pass_time(seconds)
        assert refusal(deployer.transport(package_id)) == refused
        assert deployer.status == "Empty"

    def test_packages_that_are_not_there(self, deployer):
        deployer.platform.add_app("plan")
        foreign = deployer.platform.packages.add("plan", version="1.0.0", revision="63")
        for package_id in (UNKNOWN_ID, foreign):
            assert refusal(deployer.transport(package_id)) == (404, "PACKAGE_NOT_FOUND")
        for body in ({}, {"PackageId": 7}, b"", b"x"):
            assert refusal(deployer.post("transport", body)) == (400, "INVALID_PARAMETERS")

    @pytest.mark.parametrize(("code", "status"), TRANSPORT_CODES.items())
    def test_refusals_on_request(self, deployer, code, status):
        old, new = deployer.put("1.0.0"), deployer.package("1.1.0")
        deployer.platform.environments.next_transports.append(code)
        assert refusal(deployer.transport(UNKNOWN_ID)) == (404, "PACKAGE_NOT_FOUND")
        assert refusal(deployer.transport(new)) == (status, code)
        assert deployer.platform.environments["shop", "Test"].package_id == old
        assert deployer.transport(new).status == 200

    def test_a_code_with_a_space_and_an_unknown_one_are_planned(self, deployer):
        package_id = deployer.package()
        with pytest.raises(InvalidOutcomeError, match="'OUT_OF_LUCK'.*SERVICE UNAVAILABLE"):
            deployer.platform.environments.next_transports.extend(["SERVICE_UNAVAILABLE", "OUT_OF_LUCK"])
        assert refusal(deployer.transport(package_id)) == (503, "SERVICE UNAVAILABLE")
        assert deployer.transport(package_id).status == 200

    def test_it_may_want_the_app_stopped(self, talk_with):
        deployer = Deployer(talk_with(transport_while_running=False, stop="asynchronous"))
        deployer.put(running=True)
        new = deployer.package("1.1.0")
        assert refusal(deployer.transport(new)) == (403, "APP_IS_RUNNING")
        deployer.post("stop", {})
        assert refusal(deployer.transport(new)) == (403, "APP_IS_RUNNING")
        deployer.pass_time(5)
        assert deployer.transport(new).status == 200

    def test_a_package_hidden_from_lists_still_shows_on_the_environment(self, deployer):
        package_id = deployer.put()
        deployer.platform.faults.add("hidden_from_list")
        assert deployer.talk.json("GET", "/api/1/apps/shop/packages") == []
        assert deployer.talk.json("GET", f"{deployer.path}/package")["PackageId"] == package_id


class TestStop:
    @pytest.mark.parametrize("body", [None, {}, b"", b"{}"])
    def test_a_start_may_follow_at_once(self, deployer, body):
        deployer.put("1.0.0", running=True)
        assert deployer.post("stop", body).status == 200
        assert deployer.status == "Stopped"
        new = deployer.package("1.1.0")
        deployer.transport(new)
        job_id = deployer.start()
        deployer.pass_time(1000)
        assert read(deployer.job(job_id)) == {"Status": "Started"}
        assert deployer.platform.environments["shop", "Test"].running_package_id == new

    @pytest.mark.parametrize("body", [None, {}])
    def test_it_may_read_running_for_a_while(self, talk_with, body):
        deployer = Deployer(talk_with(stop="asynchronous"))
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
        assert deployer.platform.environments["shop", "Test"].running_package_id is None

    @pytest.mark.parametrize("stop", ["synchronous", "asynchronous"])
    def test_a_second_stop_does_not_stop_what_was_started_since(self, talk_with, stop):
        deployer = Deployer(talk_with(stop=stop))
        deployer.platform.environments.timeline = DeploymentTimeline(stopping=5, starting=1)
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
        deployer.platform.environments.next_stops.extend(["STOP_FAILED", "succeeds"])
        assert refusal(deployer.post("stop")) == (500, "STOP_FAILED")
        deployer.pass_time(60)
        assert deployer.status == "Running"
        assert deployer.post("stop").status == 200
        assert not deployer.platform.environments.next_stops

    def test_in_the_middle_of_a_start(self, deployer):
        deployer.put()
        deployer.start()
        assert refusal(deployer.post("stop")) == (500, "STOP_FAILED")
        deployer.pass_time(20)
        assert deployer.status == "Running"


class TestActionBody:
    @pytest.mark.parametrize(
        ("action_body", "headers", "body"),
        [
            ("empty", {}, b""),
            ("text", {"Content-Type": "text/plain; charset=utf-8"}, b"OK\n"),
            ("json", {"Content-Type": "application/json"}, b"{}"),
        ],
    )
    def test_stop_and_transport(self, talk_with, action_body, headers, body):
        deployer = Deployer(talk_with(action_body=action_body))
        deployer.put(running=True)
        for reply in (deployer.post("stop"), deployer.transport(deployer.package("1.1.0"))):
            assert (reply.status, reply.headers, reply.body) == (200, headers, body)


class TestClean:
    def test_it_erases_the_data_and_keeps_the_package(self, deployer):
        package_id = deployer.put()
        deployer.platform.environments["shop", "Test"].data = "precious"
        (shown,) = read(deployer.post("clean"))
        assert (shown["Status"], shown["Mode"], sorted(shown)) == ("Stopped", "Test", ["Mode", "Status", "Url"])
        environment = deployer.platform.environments["shop", "Test"]
        assert (environment.package_id, environment.data_version) == (package_id, None)
        assert environment.data != "precious"

    def test_refusals(self, deployer):
        assert refusal(deployer.post("clean")) == (422, "ENVIRONMENT_NOT_DEPLOYED")
        deployer.put(running=True)
        assert refusal(deployer.post("clean")) == (403, "ENVIRONMENT_NOT_STOPPED")
        deployer.platform.environments["shop", "Test"].data = "precious"
        assert deployer.platform.environments["shop", "Test"].data == "precious"
        deployer.platform.permissions.revoke("transport", "shop", "Test")
        assert refusal(deployer.post("clean")) == (403, "NO_ACCESS")
        assert refusal(deployer.talk.api("POST", f"{ENVIRONMENTS}/Nope/clean"))[1] == "ENVIRONMENT_NOT_FOUND"


class TestStart:
    def test_it_takes_its_time(self, deployer):
        deployer.put("1.4.2")
        response = deployer.talk.json("POST", f"{deployer.path}/start", {"AutoSyncDb": True})
        assert list(response) == ["JobId"]
        assert read(deployer.job(response["JobId"])) == {"Status": "Starting"}
        deployer.pass_time(19.9)
        assert (read(deployer.job(response["JobId"]))["Status"], deployer.status) == ("Starting", "Stopped")
        deployer.pass_time(0.1)
        assert (read(deployer.job(response["JobId"]))["Status"], deployer.status) == ("Started", "Running")
        assert deployer.platform.environments["shop", "Test"].data_version == "1.4.2.9f3ab2c1"

    def test_what_runs_already(self, deployer, talk_with):
        deployer.put(running=True)
        response = deployer.talk.json("POST", f"{deployer.path}/start", {"AutoSyncDb": True})
        assert sorted(response) == ["errorCode", "errorMessage"]
        assert response["errorCode"] == "ALREADY_STARTED"
        asynchronous = Deployer(talk_with(stop="asynchronous"))
        asynchronous.put(running=True)
        asynchronous.post("stop")
        assert refusal(asynchronous.post("start", {})) == (200, "ALREADY_STARTED")

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
        assert len(deployer.platform.environments.start_jobs) == 2

    @pytest.mark.parametrize("code", [code for code in START_CODES if code != "ALREADY_STARTED"])
    def test_failures_on_request(self, deployer, code):
        deployer.put()
        deployer.platform.environments.next_starts.append(code)
        job_id = deployer.start()
        assert read(deployer.job(job_id)) == {"Status": "Starting"}
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, code)
        assert refusal(deployer.job(job_id)) == (500, code)
        assert deployer.status == "Stopped"
        again = deployer.start()
        deployer.pass_time(20)
        assert (read(deployer.job(again))["Status"], deployer.status) == ("Started", "Running")

    def test_a_failure_that_means_success(self, deployer):
        deployer.put()
        deployer.platform.environments.next_starts.append("ALREADY_STARTED")
        job_id = deployer.start()
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, "ALREADY_STARTED")
        assert deployer.status == "Running"

    def test_only_accepted_starts_use_up_a_failure(self, deployer):
        deployer.platform.environments.next_starts.append("START_FAILED")
        deployer.post("start", {})
        deployer.put(running=True)
        deployer.post("start", {})
        assert list(deployer.platform.environments.next_starts) == ["START_FAILED"]

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
        deployer.platform.environments.next_starts.append(code)
        deployer.start(auto_sync_db=auto_sync_db)
        deployer.pass_time(19)
        assert deployer.platform.environments["shop", "Test"].data_version == "1.0.0.9f3ab2c1"
        deployer.pass_time(1)
        assert deployer.platform.environments["shop", "Test"].data_version == version

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
        assert refusal(deployer.job(UNKNOWN_ID)) == refusal(elsewhere) == (404, "NO_SUCH_STARTJOB")

        forgetful = Deployer(talk_with(start_job_lifetime=60))
        forgetful.put()
        job_id = forgetful.start()
        forgetful.pass_time(79.9)
        assert read(forgetful.job(job_id)) == {"Status": "Started"}
        forgetful.pass_time(0.1)
        assert refusal(forgetful.job(job_id)) == (404, "NO_SUCH_STARTJOB")
        assert forgetful.status == "Running"

    def test_no_time_at_all(self, deployer):
        deployer.platform.environments.timeline = DeploymentTimeline.of(0)
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
    ("POST", "/clean"),
    ("POST", "/start"),
    ("GET", f"/start/{UNKNOWN_ID}"),
]


CHANGES = [call for call in EVERY_CALL if call[0] == "POST"]


class TestRefusals:
    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    @pytest.mark.parametrize(
        ("mode", "refused"),
        [
            ("test", (404, "ENVIRONMENT_NOT_FOUND")),
            ("Nope", (404, "ENVIRONMENT_NOT_FOUND")),
            (UNKNOWN_ID, (404, "ENVIRONMENT_NOT_FOUND")),
            ("a%2Fb", (400, "INVALID_ENVIRONMENT")),
            ("Test%3F", (400, "INVALID_ENVIRONMENT")),
        ],
    )
    def test_wrong_names(self, talk, method, rest, mode, refused):
        assert refusal(talk.api(method, f"{ENVIRONMENTS}/{mode}{rest}")) == refused

    def test_the_id_of_an_environment_is_not_its_name(self, deployer):
        environment_id = deployer.platform.environments["shop", "Test"].environment_id
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
        deployer.platform.environments.add("shop", "Test", package_id=deployer.package())
        assert deployer.talk.json("GET", deployer.path)["Mode"] == "Test"
        deployer.start()
        deployer.pass_time(20)
        assert deployer.platform.environments["shop", "Test"].status == "Running"
        deployer.platform.permissions.revoke("transport", "shop", "Test")
        assert refusal(deployer.post("stop")) == (403, "NO_ACCESS")

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_credentials_or_rights_on_the_app(self, talk, method, rest):
        target = f"{ENVIRONMENTS}/Test{rest}"
        assert talk.api(method, target, headers={"mendix-username": USER}).status == 401
        talk.platform.permissions.revoke("api", "shop")
        assert refusal(talk.api(method, target)) == (403, "NO_ACCESS")

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_rights_on_one_environment(self, deployer, method, rest):
        deployer.put()
        platform = deployer.platform
        platform.permissions.revoke("api", "shop", "Test")
        assert refusal(deployer.talk.api(method, f"{deployer.path}{rest}")) == (403, "NO_ACCESS")
        assert deployer.talk.api("GET", f"{ENVIRONMENTS}/Acceptance").status == 200
        assert deployer.talk.api("GET", "/api/1/apps/shop/packages").status == 200
        assert [one["Mode"] for one in deployer.talk.json("GET", ENVIRONMENTS)] == ["Acceptance", "Production"]
        platform.permissions.grant("api", "shop", "Test")
        assert b"NO_ACCESS" not in deployer.talk.api(method, f"{deployer.path}{rest}").body

    def test_the_list_may_have_those_without_rights(self, talk_with):
        talk = talk_with(list_environments_without_rights=True)
        talk.platform.permissions.revoke("api", "shop", "Test")
        assert len(talk.json("GET", ENVIRONMENTS)) == 3

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_without_transport_rights(self, deployer, method, rest):
        deployer.put()
        deployer.platform.permissions.revoke("transport", "shop", "Test")
        reply = deployer.talk.api(method, f"{deployer.path}{rest}", {"PackageId": UNKNOWN_ID})
        if rest == "/transport":
            assert refusal(reply) == (403, "TRANSPORT_NOT_ALLOWED")
        elif method == "POST":
            assert refusal(reply) == (403, "NO_ACCESS")
        else:
            assert reply.status in (200, 404)
        elsewhere = deployer.talk.api(method, f"{ENVIRONMENTS}/Acceptance{rest}", {"PackageId": UNKNOWN_ID})
        assert elsewhere.status != 403
        deployer.platform.permissions.grant("transport", "shop", "Test")
        assert deployer.talk.api(method, f"{deployer.path}{rest}", {"PackageId": UNKNOWN_ID}).status != 403
