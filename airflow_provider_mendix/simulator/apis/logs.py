"""The Deploy API, version 1: links to the logs of an environment.

The form of a log is invented. There is one for every day up to today.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.api.deploy import DEPLOY_API
from airflow_provider_mendix.simulator.apis.environments import ENVIRONMENT, find_environment
from airflow_provider_mendix.simulator.apis.files import signed_link
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply


@serves(Endpoint[None](DEPLOY_API, "GET", f"{ENVIRONMENT}/logs/{{date}}", returns=None, repeatable=True))
def get_log(cloud: Cloud, request: Request, app_id: str, environment: str, date: str) -> Reply:
    return _link(cloud, app_id, environment, date, "logs")


@serves(Endpoint[None](DEPLOY_API, "GET", f"{ENVIRONMENT}/access-logs/{{date}}", returns=None, repeatable=True))
def get_access_log(cloud: Cloud, request: Request, app_id: str, environment: str, date: str) -> Reply:
    return _link(cloud, app_id, environment, date, "access-logs")


def _link(cloud: Cloud, app_id: str, mode: str, date: str, kind: str) -> Reply:
    environment = find_environment(cloud, app_id, mode, forbidden="FORBIDDEN")
    try:
        day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        day = None
    if day is None or day > datetime.fromtimestamp(cloud.clock.now(), UTC):
        raise RefusedError(404, "NOT FOUND", f"{environment.mode} has no log of {date!r}.")
    link = signed_link(cloud, f"/{kind}/{environment.environment_id}/{date}.txt", cloud.options.ttl)
    shown = {"Environment": environment.mode, "Date": int(day.timestamp() * 1000), "DownloadUrl": link}
    return json_reply(shown)
