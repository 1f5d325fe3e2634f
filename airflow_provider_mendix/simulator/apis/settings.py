"""The Deploy API, version 1: the settings of an environment.

The keys of constants and scheduled events are documented. A constant without a value has ``null`` here, and
the form of a custom setting is invented. If any change is refused, none is made.
"""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.simulator.apis.environments import find_environment, find_environment_to_change
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.environments import StoredEnvironment
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply, read_body


class _Setting(msgspec.Struct, rename="pascal"):
    name: str
    value: str | None = None


class _Settings(msgspec.Struct, rename="pascal"):
    constants: list[_Setting] = []
    custom_settings: list[_Setting] = []
    scheduled_events: list[_Setting] = []


@serves(deploy.GET_SETTINGS)
def get_settings(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    return json_reply(_shown(find_environment(cloud, app_id, environment)))


@serves(deploy.SET_SETTINGS)
def set_settings(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment_to_change(cloud, app_id, environment)
    payload = read_body(request, _Settings, cloud.options.request_json)
    changes = [
        (payload.constants, target.constants, "CONSTANT_NOT_FOUND"),
        (payload.custom_settings, target.custom_settings, "CUSTOM_SETTING_NOT_SUPPORTED"),
        (payload.scheduled_events, target.scheduled_events, "SCHEDULED_EVENT_NOT_FOUND"),
    ]
    for settings, known, code in changes:
        for setting in settings:
            if setting.name not in known:
                raise RefusedError(400, code, f"{target.mode} has no {setting.name!r}.")
    if any(event.value not in ("Enabled", "Disabled") for event in payload.scheduled_events):
        raise RefusedError(500, "INVALID_SCHEDULED_EVENT_PARAMETER", "An event is Enabled or Disabled.")
    for settings, known, _ in changes:
        known.update({setting.name: setting.value for setting in settings})
    return json_reply(_shown(target))


def _shown(environment: StoredEnvironment) -> dict[str, Any]:
    def both(name: str, value: str | None) -> dict[str, Any]:
        return {"Name": name, "Value": value, "DeployedValue": environment.deployed_values.get(name)}

    return {
        "Constants": [
            {**both(name, value), "DataType": environment.data_types.get(name, "String")}
            for name, value in environment.constants.items()
        ],
        "CustomSettings": [{"Name": name, "Value": value} for name, value in environment.custom_settings.items()],
        "ScheduledEvents": [both(*found) for found in environment.scheduled_events.items()],
    }
