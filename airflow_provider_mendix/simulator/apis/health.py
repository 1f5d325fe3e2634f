"""Where the apps themselves are, for health probes: on the file host, one address for each environment.

Nothing of it is Mendix's: an app answers as it was built. That one that does not run answers 503 has been seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.apis.routes import Reply, Request
from airflow_provider_mendix.simulator.state.environments import StoredEnvironment

PREFIX = "/apps/"


def answer(request: Request, environments: Iterable[StoredEnvironment]) -> Reply:
    """Answer a request to an app: 200 with the version that runs, 503 if none does.

    :param environments: all there are.
    """
    wanted = unquote(request.path).removesuffix("/") + "/"
    environment = next((found for found in environments if unquote(found.path) == wanted), None)
    if environment is None:
        return _says(404, "There is no such app.")
    if request.method not in ("GET", "HEAD"):
        return _says(405, "Only GET and HEAD.")
    if environment.status is not EnvironmentStatus.RUNNING:
        return _says(503, "The app does not run.")
    return _says(200, f"{environment.app_id} {environment.model_version} runs on {environment.mode}.")


def _says(status: int, words: str) -> Reply:
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{words}\n".encode())
