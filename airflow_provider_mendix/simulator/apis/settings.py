"""The Deploy API, version 1: the settings of an environment.

Documented are the keys of constants and scheduled events. Every constant is a ``String`` here, one without a value
has ``null``, and what a custom setting looks like is invented. Nothing is changed if any of it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.simulator.apis.environments import find_environment, find_environment_to_change
from airflow_provider_mendix.simulator.apis.routes import (
    RefusedError,
    Reply,
    Request,
    json_reply,
    read_body,
    serves,
)
from airflow_provider_mendix.simulator.state.environments import StoredEnvironment

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform


class _Setting(msgspec.Struct, rename="pascal"):
    name: str
    value: str | None = None


class _Settings(msgspec.Struct, rename="pascal"):
    constants: list[_Setting] = []
    custom_settings: list[_Setting] = []
    scheduled_events: list[_Setting] = []


@serves(deploy.GET_SETTINGS)
def get_settings(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    return json_reply(_shown(find_environment(platform, app_id, environment)))


@serves(deploy.SET_SETTINGS)
def set_settings(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment_to_change(platform, app_id, environment)
    wish = read_body(request, _Settings)
    for settings, known, code in [
        (wish.constants, target.constants, "CONSTANT_NOT_FOUND"),
        (wish.custom_settings, target.custom_settings, "CUSTOM_SETTING_NOT_SUPPORTED"),
        (wish.scheduled_events, target.scheduled_events, "SCHEDULED_EVENT_NOT_FOUND"),
    ]:
        for setting in settings:
            if setting.name not in known:
                raise RefusedError(400, code, f"{target.mode} has no {setting.name!r}.")
    if any(event.value not in ("Enabled", "Disabled") for event in wish.scheduled_events):
        raise RefusedError(500, "INVALID_SCHEDULED_EVENT_PARAMETER", "An event is Enabled or Disabled.")
    target.constants.update({setting.name: setting.value for setting in wish.constants})
    target.custom_settings.update({setting.name: setting.value for setting in wish.custom_settings})
    target.scheduled_events.update({setting.name: setting.value for setting in wish.scheduled_events})
    return json_reply(_shown(target))


def _shown(environment: StoredEnvironment) -> dict[str, Any]:
    def both(name: str, value: str | None) -> dict[str, Any]:
        return {"Name": name, "Value": value, "DeployedValue": environment.deployed_values.get(name)}

    return {
        "Constants": [{**both(*found), "DataType": "String"} for found in environment.constants.items()],
        "CustomSettings": [{"Name": name, "Value": value} for name, value in environment.custom_settings.items()],
        "ScheduledEvents": [both(*found) for found in environment.scheduled_events.items()],
    }
