"""Snapshots and restores: their states by the clock, what becomes of the data, and every refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.simulator import DeploymentTimeline
from airflow_provider_mendix.simulator.state.backups import RESTORE_CODES, SNAPSHOT_CODES

from ..deploying import Deployer, read
from ..talking import PROJECT, UNKNOWN_ID, USER, refusal

SAMPLES = Path(__file__).parents[2] / "samples" / "backups"


BUSY = (400, "ENVIRONMENT_BUSY")


NOT_ALLOWED = (400, "ERROR_NOT_ALLOWED")


def snapshot_of(deployer: Deployer) -> str:
    """Make a snapshot, and let it be finished."""
    snapshot_id = deployer.back_up()["snapshot_id"]
    deployer.pass_time(30)
    return snapshot_id


def poll(deployer: Deployer, kind: str, one: str) -> dict[str, Any]:
    return deployer.talk.json("GET", f"{deployer.backups}/{kind}/{one}")


class TestSnapshots:
    def test_one_goes_through_its_states(self, deployer):
        deployer.put("1.4.2", running=True)
        asked = deployer.back_up(comment="before 1.5.0")
        assert asked == {
            "snapshot_id": asked["snapshot_id"],
            "comment": "before 1.5.0",
            "model_version": None,
            "expires_at": "2024-02-12T22:13:20.000Z",
            "state": "queued",
            "status_message": None,
            "created_at": "2023-11-14T22:13:20.000Z",
            "updated_at": None,
            "finished_at": None,
        }
        states = []
        for seconds in (5.9, 0.1, 23.9, 0.1):
            deployer.pass_time(seconds)
            states.append(poll(deployer, "snapshots", asked["snapshot_id"])["state"])
        assert states == ["queued", "running", "running", "completed"]
        finished = poll(deployer, "snapshots", asked["snapshot_id"])
        assert finished["status_message"]
        assert finished == asked | {
            "model_version": "1.4.2.9f3ab2c1",
            "state": "completed",
            "status_message": finished["status_message"],
            "updated_at": "2023-11-14T22:13:50.000Z",
            "finished_at": "2023-11-14T22:13:50.000Z",
        }
        assert deployer.status == "Running"

    def test_the_first_response_says_queued_even_if_no_time_passes(self, deployer):
        deployer.platform.environments.timeline = DeploymentTimeline.of(0)
        asked = deployer.back_up()
        assert (asked["state"], asked["comment"]) == ("queued", None)
        assert poll(deployer, "snapshots", asked["snapshot_id"])["state"] == "completed"

    def test_failures_on_request(self, deployer):
        deployer.platform.backups.next_snapshots.extend(["failed", "completed"])
        states = [poll(deployer, "snapshots", snapshot_of(deployer))["state"] for _ in range(3)]
        assert states == ["failed", "completed", "completed"]

    @pytest.mark.parametrize(("code", "status"), SNAPSHOT_CODES.items())
    def test_refusals_on_request(self, deployer, code, status):
        deployer.platform.backups.next_snapshots.append(code)
        assert refusal(deployer.talk.api("POST", f"{deployer.backups}/snapshots", {})) == (status, code)
        assert deployer.platform.backups.snapshots == {}
        assert deployer.back_up()["state"] == "queued"

    def test_one_at_a_time(self, deployer):
        deployer.back_up()
        assert refusal(deployer.talk.api("POST", f"{deployer.backups}/snapshots", {})) == BUSY
        assert Deployer(deployer.talk, "Acceptance").back_up()["state"] == "queued"
        deployer.pass_time(30)
        assert deployer.back_up()["state"] == "queued"

    def test_a_list_in_pages_and_in_no_order(self, deployer):
        made = [snapshot_of(deployer) for _ in range(5)]
        snapshot_of(Deployer(deployer.talk, "Acceptance"))
        whole = deployer.talk.json("GET", f"{deployer.backups}/snapshots")
        assert [one["snapshot_id"] for one in whole["snapshots"]] == sorted(made)
        assert (whole["total"], whole["offset"], whole["limit"]) == (5, 0, 100)
        page = deployer.talk.json("GET", f"{deployer.backups}/snapshots?offset=3&limit=4")
        assert page == {"snapshots": whole["snapshots"][3:], "total": 5, "offset": 3, "limit": 4}
        assert whole["snapshots"][0] == poll(deployer, "snapshots", sorted(made)[0])

    def test_no_page_is_longer_than_a_hundred(self, deployer):
        deployer.platform.environments.timeline = DeploymentTimeline.of(0)
        for _ in range(101):
            deployer.back_up()
        page = deployer.talk.json("GET", f"{deployer.backups}/snapshots?limit=500")
        assert (len(page["snapshots"]), page["total"]) == (100, 101)

    def test_they_expire(self, talk_with):
        deployer = Deployer(talk_with(snapshot_lifetime=60))
        snapshot_id = snapshot_of(deployer)
        deployer.pass_time(30)
        assert refusal(deployer.talk.api("GET", f"{deployer.backups}/snapshots/{snapshot_id}")) == (
            404,
            "NOT_FOUND",
        )
        assert refusal(deployer.restore(snapshot_id)) == (400, "NOT_FOUND")
        assert deployer.talk.json("GET", f"{deployer.backups}/snapshots")["total"] == 0

    def test_a_snapshot_of_another_environment(self, deployer):
        snapshot_id = snapshot_of(deployer)
        other = Deployer(deployer.talk, "Acceptance")
        reply = deployer.talk.api("GET", f"{other.backups}/snapshots/{snapshot_id}")
        assert refusal(reply) == (404, "NOT_FOUND")


class TestRestores:
    def test_the_data_comes_back(self, deployer):
        deployer.put("1.0.0")
        deployer.platform.environments["shop", "Test"].data = "precious"
        snapshot_id = snapshot_of(deployer)
        deployer.platform.environments["shop", "Test"].data = "spoiled"
        deployer.transport(deployer.package("2.0.0"))
        deployer.platform.environments.next_starts.append("DB_SYNC_FAILED")
        deployer.start()
        deployer.pass_time(20)
        assert deployer.platform.environments["shop", "Test"].data_version == "2.0.0.9f3ab2c1"

        asked = read(deployer.restore(snapshot_id))
        environment_id = deployer.platform.environments["shop", "Test"].environment_id
        assert asked == {
            "restore_id": asked["restore_id"],
            "source_snapshot_id": snapshot_id,
            "source_environment_id": environment_id,
            "target_environment_id": environment_id,
            "state": "queued",
            "status_message": None,
            "created_at": "2023-11-14T22:14:10.000Z",
            "updated_at": None,
            "finished_at": None,
        }
        states = []
        for seconds in (5.9, 0.1, 23.9):
            deployer.pass_time(seconds)
            states.append(poll(deployer, "restores", asked["restore_id"])["state"])
        assert states == ["queued", "running", "running"]
        assert deployer.platform.environments["shop", "Test"].data == "spoiled"
        deployer.pass_time(0.1)
        assert poll(deployer, "restores", asked["restore_id"])["finished_at"] == "2023-11-14T22:14:40.000Z"
        environment = deployer.platform.environments["shop", "Test"]
        assert (environment.data, environment.data_version) == ("precious", "1.0.0.9f3ab2c1")
        assert environment.status == "Stopped"

    def test_a_snapshot_has_the_data_of_when_it_was_asked_for(self, deployer):
        deployer.platform.environments["shop", "Test"].data = "at first"
        snapshot_id = deployer.back_up()["snapshot_id"]
        deployer.platform.environments["shop", "Test"].data = "later"
        deployer.pass_time(30)
        deployer.restore(snapshot_id, "&db_only=true")
        deployer.pass_time(30)
        assert deployer.platform.environments["shop", "Test"].data == "at first"

    def test_into_another_environment(self, deployer):
        deployer.platform.environments["shop", "Test"].data = "of Test"
        snapshot_id = snapshot_of(deployer)
        other = Deployer(deployer.talk, "Acceptance")
        asked = read(other.restore(snapshot_id))
        assert asked["source_environment_id"] != asked["target_environment_id"]
        deployer.pass_time(30)
        assert deployer.platform.environments["shop", "Acceptance"].data == "of Test"
        reply = deployer.talk.api("GET", f"{deployer.backups}/restores/{asked['restore_id']}")
        assert refusal(reply) == (400, "NOT_FOUND")

    def test_a_failure_on_request_leaves_the_data(self, deployer):
        snapshot_id = snapshot_of(deployer)
        deployer.platform.environments["shop", "Test"].data = "spoiled"
        deployer.platform.backups.next_restores.append("failed")
        restore_id = read(deployer.restore(snapshot_id))["restore_id"]
        deployer.pass_time(30)
        assert poll(deployer, "restores", restore_id)["state"] == "failed"
        assert deployer.platform.environments["shop", "Test"].data == "spoiled"

    @pytest.mark.parametrize(("code", "status"), RESTORE_CODES.items())
    def test_refusals_on_request(self, deployer, code, status):
        snapshot_id = snapshot_of(deployer)
        deployer.platform.backups.next_restores.append(code)
        assert refusal(deployer.restore(snapshot_id)) == (status, code)
        assert deployer.platform.backups.restores == {}
        assert deployer.restore(snapshot_id).status == 200

    def test_the_environment_must_be_stopped(self, talk_with):
        deployer = Deployer(talk_with(stop="asynchronous"))
        deployer.put(running=True)
        snapshot_id = snapshot_of(deployer)
        assert refusal(deployer.restore(snapshot_id)) == NOT_ALLOWED
        deployer.post("stop")
        assert refusal(deployer.restore(snapshot_id)) == NOT_ALLOWED
        deployer.pass_time(5)
        assert deployer.restore(snapshot_id).status == 200

    def test_while_something_else_is_under_way(self, deployer):
        deployer.put()
        snapshot_id = snapshot_of(deployer)
        unfinished = deployer.back_up()["snapshot_id"]
        assert refusal(deployer.restore(snapshot_id)) == BUSY
        other = Deployer(deployer.talk, "Acceptance")
        assert refusal(other.restore(unfinished)) == NOT_ALLOWED
        deployer.pass_time(30)
        deployer.restore(snapshot_id)
        assert refusal(deployer.restore(snapshot_id)) == BUSY
        assert refusal(deployer.talk.api("POST", f"{deployer.backups}/snapshots", {})) == BUSY
        job_id = deployer.start()
        assert refusal(deployer.restore(snapshot_id)) == BUSY
        deployer.pass_time(20)
        assert refusal(deployer.job(job_id)) == (500, "ALREADY_LOCKED")
        assert deployer.status == "Stopped"
        deployer.pass_time(10)
        deployer.start()
        assert refusal(deployer.restore(snapshot_id)) == BUSY

    def test_snapshots_that_cannot_be_restored(self, deployer):
        deployer.platform.backups.next_snapshots.append("failed")
        assert refusal(deployer.restore(snapshot_of(deployer))) == NOT_ALLOWED
        assert refusal(deployer.restore(UNKNOWN_ID)) == (400, "NOT_FOUND")
        deployer.platform.add_app("plan", project_id=UNKNOWN_ID)
        foreign = deployer.platform.environments["plan", "Test"].environment_id
        made = deployer.talk.json("POST", f"/api/v2/apps/{UNKNOWN_ID}/environments/{foreign}/snapshots", {})
        deployer.pass_time(30)
        assert refusal(deployer.restore(made["snapshot_id"])) == (400, "NOT_FOUND")

    @pytest.mark.parametrize(
        "query", ["", "?source_snapshot_id=", f"?source_snapshot_id={UNKNOWN_ID}&db_only=maybe"]
    )
    def test_bad_parameters(self, deployer, query):
        reply = deployer.talk.api("POST", f"{deployer.backups}/restores{query}")
        assert refusal(reply) == (400, "INVALID_PARAMETERS")


EVERY_CALL = [
    ("GET", "/snapshots"),
    ("POST", "/snapshots"),
    ("GET", f"/snapshots/{UNKNOWN_ID}"),
    ("POST", f"/restores?source_snapshot_id={UNKNOWN_ID}"),
    ("GET", f"/restores/{UNKNOWN_ID}"),
]


class TestRefusals:
    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_wrong_ids(self, deployer, method, rest):
        environment_id = deployer.platform.environments["shop", "Test"].environment_id
        for project, environment, refused in [
            (UNKNOWN_ID, environment_id, (404, "ENVIRONMENT_NOT_FOUND")),
            ("shop", environment_id, (404, "ENVIRONMENT_NOT_FOUND")),
            (PROJECT, UNKNOWN_ID, (404, "ENVIRONMENT_NOT_FOUND")),
            (PROJECT, "Test", (404, "ENVIRONMENT_NOT_FOUND")),
            ("", environment_id, (400, "INVALID_PARAMETERS")),
            (PROJECT, "", (400, "INVALID_PARAMETERS")),
        ]:
            target = f"/api/v2/apps/{project}/environments/{environment}{rest}"
            assert refusal(deployer.talk.api(method, target)) == refused

    @pytest.mark.parametrize(("method", "rest"), EVERY_CALL)
    def test_who_may_not(self, deployer, method, rest):
        platform, target = deployer.platform, f"{deployer.backups}{rest}"
        assert deployer.talk.api(method, target, headers={"mendix-username": USER}).status == 401
        for take, give in [
            (
                lambda: platform.permissions.revoke("api", "shop"),
                lambda: platform.permissions.grant("api", "shop"),
            ),
            (
                lambda: platform.permissions.revoke("api", "shop", "Test"),
                lambda: platform.permissions.grant("api", "shop", "Test"),
            ),
            (
                lambda: platform.permissions.revoke("backups", "shop", "Test"),
                lambda: platform.permissions.grant("backups", "shop", "Test"),
            ),
        ]:
            take()
            assert refusal(deployer.talk.api(method, target)) == (403, "NO_ACCESS")
            give()
        platform.permissions.revoke("backups", "shop", "Acceptance")
        platform.permissions.revoke("transport", "shop", "Test")
        assert deployer.talk.api(method, target).status != 403

    def test_without_rights_on_the_app_its_environments_stay_secret(self, deployer):
        deployer.platform.permissions.revoke("api", "shop")
        reply = deployer.talk.api("GET", f"/api/v2/apps/{PROJECT}/environments/{UNKNOWN_ID}/snapshots")
        assert refusal(reply) == (403, "NO_ACCESS")

    def test_access_to_the_source_is_needed_too(self, deployer):
        snapshot_id = snapshot_of(deployer)
        deployer.platform.permissions.revoke("backups", "shop", "Test")
        assert refusal(Deployer(deployer.talk, "Acceptance").restore(snapshot_id)) == NOT_ALLOWED

    @pytest.mark.parametrize("query", ["offset=-1", "limit=x", "offset=1.5", "offset=²"])
    def test_bad_pages(self, deployer, query):
        reply = deployer.talk.api("GET", f"{deployer.backups}/snapshots?{query}")
        assert refusal(reply) == (400, "INVALID_PARAMETERS")

    @pytest.mark.parametrize("body", [b"{", ["x"], {"comment": 7}])
    def test_bad_bodies(self, deployer, body):
        reply = deployer.talk.api("POST", f"{deployer.backups}/snapshots", body)
        assert refusal(reply) == (400, "INVALID_PARAMETERS")

    def test_what_is_not_there(self, deployer):
        assert refusal(deployer.talk.api("GET", f"{deployer.backups}/snapshots/{UNKNOWN_ID}")) == (
            404,
            "NOT_FOUND",
        )
        assert refusal(deployer.talk.api("GET", f"{deployer.backups}/restores/{UNKNOWN_ID}")) == (400, "NOT_FOUND")


def test_responses_have_the_keys_of_the_samples(deployer):
    def sample(name: str) -> dict[str, Any]:
        return json.loads((SAMPLES / name).read_text())

    snapshot_id = snapshot_of(deployer)
    listed = deployer.talk.json("GET", f"{deployer.backups}/snapshots")
    documented = sample("snapshots.json")
    assert set(listed) == set(documented)
    assert (
        set(listed["snapshots"][0])
        == set(documented["snapshots"][0])
        == set(poll(deployer, "snapshots", snapshot_id))
    )
    assert set(read(deployer.restore(snapshot_id))) == set(sample("restore_queued.json"))
