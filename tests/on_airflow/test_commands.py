from __future__ import annotations

import json

from ..conftest import USER


def test_airflow_lists_the_provider(airflow):
    assert "airflow-provider-mendix" in airflow.run("providers", "list", "-o", "plain").stdout


def test_airflow_lists_its_hook(airflow):
    listed = airflow.run("providers", "hooks", "-o", "json").stdout
    (hook,) = [row for row in json.loads(listed[listed.index("[{") :]) if row.get("connection_type") == "mendix"]
    assert hook["class"] == "airflow_provider_mendix.hooks.mendix.MendixHook"
    assert hook["conn_id_attribute_name"] == "mendix_conn_id"


def test_airflow_lists_the_fields_of_its_form(airflow):
    listed = airflow.run("providers", "widgets", "-o", "plain").stdout
    for field in ("personal_access_token", "repository_url", "webhooks_url", "timeout", "verify", "proxy"):
        assert f"extra__mendix__{field}" in listed


def test_airflow_lists_its_link(airflow):
    assert (
        "airflow_provider_mendix.links.portal.MendixEnvironmentsLink" in airflow.run("providers", "links").stdout
    )


def test_airflow_tests_a_connection_that_works(airflow, mendix, live):
    ran = airflow.run("connections", "test", "mendix_default")
    assert "Connection success!" in ran.stdout
    assert ran.returncode == 0
    project_id = live.apps["shop"].project_id
    assert [entry.path for entry in live.journal] == ["/api/1/apps", f"/v1/repositories/{project_id}/info"]


def test_airflow_tests_a_connection_with_a_wrong_key(airflow, mendix, live):
    live.permissions.set_api_key(USER, "another-key")
    ran = airflow.run("connections", "test", "mendix_default")
    assert "API key: refused by Mendix" in ran.stdout
    assert "API Rights" in ran.stdout
    assert ran.returncode != 0
