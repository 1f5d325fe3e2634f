"""The plugin: nothing without configuration, nothing heavy in any process, a loud error for a wrong option."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import requests
from fastapi import FastAPI

from airflow_provider_mendix import settings
from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.plugin import MendixPlugin, _fastapi_apps

from .webhooks.conftest import Receivers, _tables, connections, metadata, served  # noqa: F401

OPTION = "AIRFLOW__MENDIX__WEBHOOKS"
IMPORT = """
import json, sys
import airflow.plugins_manager
from airflow.providers.common.compat.sdk import AirflowPlugin
before = set(sys.modules)
from airflow_provider_mendix.plugin import MendixPlugin
print(json.dumps([len(MendixPlugin.fastapi_apps), sorted(set(sys.modules) - before)]))
"""


def test_airflow_finds_the_plugin_by_its_entry_point():
    (found,) = [entry for entry in entry_points(group="airflow.plugins") if entry.name == "mendix"]
    assert found.load() is MendixPlugin


@pytest.mark.parametrize(("option", "apps"), [("", 0), ('{"shop": "mendix_webhook_shop"}', 1)])
def test_a_process_imports_next_to_nothing(monkeypatch, option, apps):
    monkeypatch.setenv(OPTION, option)
    ran = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
    count, added = json.loads(ran.stdout.splitlines()[-1])
    assert count == apps
    assert len(added) <= 12, added
    assert not {name for name in added if name.split(".")[0] in ("fastapi", "starlette", "sqlalchemy", "requests")}


@pytest.mark.parametrize("option", ["", " ", "{}"])
def test_off_by_default(monkeypatch, option):
    monkeypatch.setenv(OPTION, option)
    assert _fastapi_apps() == []
    assert settings.webhooks_enabled() is False


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("shop", "[mendix] webhooks is not a JSON object"),
        ('["shop"]', "[mendix] webhooks is not a JSON object"),
        ('{"shop": 1}', "[mendix] webhooks is not a JSON object"),
        ('{"shop": ""}', "names no connection"),
        ('{"7c1e0d5e-7d1f-4f4c-9f36-0a4c1d2e3f40": "x"}', "UUID"),
        ('{"a/b": "x"}', "not a subdomain"),
        ('{"": "x"}', "app_id is empty"),
    ],
)
def test_a_wrong_option_is_an_error_of_the_plugin(monkeypatch, option, says):
    monkeypatch.setenv(OPTION, option)
    with pytest.raises(InvalidInputError) as refused:
        _fastapi_apps()
    assert says in str(refused.value)


def test_a_wrong_option_does_not_stop_the_watchers(monkeypatch, caplog):
    monkeypatch.setenv(OPTION, "shop")
    assert settings.webhooks_enabled() is False
    assert "No webhook is received" in caplog.text


@pytest.mark.parametrize("prefix", ["", "/airflow"])
def test_the_receiver_is_served_also_behind_a_proxy_with_a_path(monkeypatch, clock, metadata, prefix):  # noqa: F811
    monkeypatch.setenv(OPTION, '{"Shop": "mendix_webhook_shop"}')
    (app,) = _fastapi_apps()
    api_server = FastAPI(root_path=prefix)
    api_server.mount(app["url_prefix"], app["app"])
    with served(api_server) as url:
        for path in {prefix, ""}:  # some proxies remove the path, some do not
            receivers = Receivers(f"{url}{path}/mendix/hooks", clock, metadata)
            headers = receivers.headers(message_id=f"msg{path.replace('/', '_')}")
            assert receivers.status(headers=headers) == 202
        assert requests.get(f"{url}/mendix/hooks/shop").status_code == 405
