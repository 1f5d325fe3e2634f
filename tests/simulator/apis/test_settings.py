"""The settings of an environment."""

from __future__ import annotations

from typing import Any

import pytest

from ..deploying import read
from ..talking import refusal


class TestSettings:
    @pytest.fixture
    def settings(self, deployer) -> dict[str, Any]:
        environment = deployer.platform.environments["shop", "Test"]
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
        payload = {"Constants": [{"Name": "Shop.Url", "Value": "https://b.example"}]}
        payload.setdefault(kind, []).append({"Name": name, "Value": value})
        assert refusal(deployer.post("settings", payload)) == refused
        assert deployer.talk.json("GET", f"{deployer.path}/settings") == settings

    def test_a_constant_without_a_value(self, deployer):
        deployer.put()
        deployer.platform.environments["shop", "Test"].constants["Shop.Url"] = None
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
