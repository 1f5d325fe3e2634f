"""The apps themselves, for health probes: on the file host, with one address for each environment.

None of this is Mendix's: an app responds as it was built. 503 from an app that does not run has been seen.
"""

from __future__ import annotations

from urllib.parse import unquote

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import Reply, Request, text_reply

PREFIX = "/apps/"


def respond(cloud: Cloud, request: Request) -> Reply:
    """Return the response of an app: 200 with the version that runs, or 503 if it does not run."""
    wanted = unquote(request.path).removesuffix("/") + "/"
    environment = next((found for found in cloud.environments if unquote(found.path) == wanted), None)
    if environment is None:
        return text_reply(404, "There is no such app.")
    if request.method not in ("GET", "HEAD"):
        return text_reply(405, "Only GET and HEAD.")
    if environment.status is not EnvironmentStatus.RUNNING:
        return text_reply(503, "The app does not run.")
    return text_reply(200, f"{environment.app_id} {environment.model_version} runs on {environment.mode}.")
