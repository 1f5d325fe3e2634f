"""The page for people at the root of a running simulator: it shows and changes what the control plane does."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from airflow_provider_mendix.simulator.faults.registry import KINDS
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.wire import Reply

_REQUESTS = 40


def page() -> Reply:
    """Return the page; its script reads :func:`overview` and other parts of the control plane."""
    body = files(__package__).joinpath("page.html").read_bytes()
    return Reply(200, {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}, body)


def apps(platform: Platform) -> list[dict[str, Any]]:
    """Return the apps, each with the newest revision of its main line."""
    found = []
    for app in list(platform.apps.values()):
        repository = platform.repositories[app.app_id]
        newest = repository.commits()[0]
        found.append(
            {
                "app_id": app.app_id,
                "name": app.name,
                "project_id": app.project_id,
                "repository": app.repository,
                "free": app.free,
                "main_line": repository.main_line,
                "newest_revision": newest.id,
                "message": newest.message,
            }
        )
    return found


def overview(platform: Platform) -> dict[str, Any]:
    """Return what the page shows beside packages and environments; the newest request comes first."""
    return {
        "apps": apps(platform),
        "requests": platform.journal[: -_REQUESTS - 1 : -1],
        "next_builds": list(platform.packages.next_outcomes),
        "faults": [active.fault.name for active in platform.faults],
        "known_faults": sorted(KINDS),
    }
