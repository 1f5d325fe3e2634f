"""From a request to the handler of its endpoint, and to the response."""

from __future__ import annotations

from airflow_provider_mendix.simulator import routes
from airflow_provider_mendix.simulator.apis import (
    app_repository,
    archives,
    backups,
    build,
    deploy,
    deploy_v2,
    environments,
    files,
    logs,
    settings,
    team_server,
    webhooks,
)
from airflow_provider_mendix.simulator.apis.credentials import check_credentials
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import RepliedError, Reply, Request, json_reply

FAMILIES = (
    app_repository,
    archives,
    backups,
    build,
    deploy,
    deploy_v2,
    environments,
    logs,
    settings,
    team_server,
    webhooks,
)
"""The modules that register handlers of endpoints."""


def respond(cloud: Cloud, request: Request) -> Reply:
    """Return the response to a request."""
    cloud.delete_expired()
    if request.host == "files":
        return files.respond(cloud, request)
    found = routes.find(request)
    if found is None:
        # Not an error of Mendix: the client uses something that is not simulated.
        asked = f"{request.method} {request.path} on its {request.host} host"
        message = f"The simulator does not know {asked}. This is not Mendix's response."
        return json_reply({"errorMessage": message, "errorCode": "SIMULATOR_DOES_NOT_KNOW_THIS_ROUTE"}, 501)
    route, values = found
    try:
        check_credentials(cloud, route.endpoint.api.host, request, values)
        return route.handler(cloud, request, **values)
    except RepliedError as replied:
        return replied.reply
