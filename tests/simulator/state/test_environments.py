"""The environments of an app, and their states."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.simulator import (
    InvalidEnvironmentError,
)

from ..deploying import ENVIRONMENTS, Deployer
from ..talking import UNKNOWN_ID, Talk

SAMPLES = Path(__file__).parents[2] / "samples" / "deploy"


def keys_of(value: Any) -> Any:
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    return set(value)


class TestEnvironments:
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
        assert [one.mode for one in deployer.platform.environments.of("shop")] == ["Test"]
        assert deployer.status == "Empty"

    def test_one_environment(self, deployer):
        package_id = deployer.put("1.4.2", running=True)
        environment = deployer.platform.environments["shop", "Test"]
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
        assert Deployer(Talk()).platform.environments["shop", "Test"].environment_id == environment.environment_id

    def test_an_empty_one_has_no_versions(self, deployer, talk_with):
        assert "ModelVersion" not in deployer.talk.json("GET", deployer.path)
        shown = talk_with(not_ready="null").json("GET", deployer.path)
        assert (shown["ModelVersion"], shown["MendixVersion"]) == (None, None)

    def test_flexible_environments(self, talk):
        talk.platform.environments.add("shop", "My env 2.0", production=True)
        assert talk.json("GET", f"{ENVIRONMENTS}/My%20env%202.0")["Production"] is True

    def test_what_cannot_be_added(self, deployer):
        deployer.platform.add_app("plan")
        foreign = deployer.platform.packages.add("plan", version="1.0.0", revision="63")
        for package_id in (UNKNOWN_ID, foreign):
            with pytest.raises(KeyError):
                deployer.platform.environments.add("shop", "Test", package_id=package_id)
        with pytest.raises(KeyError):
            deployer.platform.environments.add("nope", "Test")
        with pytest.raises(InvalidEnvironmentError):
            deployer.platform.environments.add("shop", "Test", running=True)
        with pytest.raises(KeyError):
            deployer.platform.environments["shop", "test"]

    def test_responses_have_the_keys_of_the_samples(self, deployer):
        def sample(name: str) -> Any:
            return json.loads((SAMPLES / name).read_text())

        deployer.put(running=True)
        deployer.platform.environments["shop", "Test"].constants["Shop.Url"] = "x"
        deployer.platform.environments["shop", "Test"].scheduled_events["Shop.Nightly"] = "Enabled"
        talk = deployer.talk
        assert keys_of(talk.json("GET", deployer.path)) == keys_of(sample("environment.json"))
        assert keys_of(talk.json("GET", ENVIRONMENTS)) == keys_of(sample("environments.json"))
        package = talk.json("GET", f"{deployer.path}/package?url=true")
        assert keys_of(package) == keys_of(sample("environment_package.json")) | {"Url"}
        settings, documented = talk.json("GET", f"{deployer.path}/settings"), sample("settings.json")
        assert keys_of(settings) == keys_of(documented)
        for kind in ("Constants", "ScheduledEvents"):
            assert keys_of(settings[kind]) == keys_of(documented[kind])
