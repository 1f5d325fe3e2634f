"""Deploying in tests: packages on environments, and tries that are killed after one of their requests."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.simulator.platform import Platform

MODES = [
    pytest.param({"wait_for_completion": False}, id="fire-and-forget"),
    pytest.param({"deferrable": False}, id="on-the-worker"),
    pytest.param({"deferrable": True}, id="deferred"),
]
WAITING_MODES = MODES[1:]


class KilledError(BaseException):
    """The worker was killed."""


def put(platform: Platform, mode: str = "Test", version: str | None = "1.0.0", **more: Any) -> str | None:
    """Put a package on an environment; none without a version."""
    package_id = None if version is None else platform.packages.add("shop", version=version, revision="9f3ab2c1")
    platform.environments.add("shop", mode, package_id=package_id, **more)
    return package_id


def posts(platform: Platform) -> list[str]:
    """Return the last part of the path of each POST, in order."""
    return [request.path.rpartition("/")[2] for request in platform.journal.requests("POST")]


def die_after(patch: pytest.MonkeyPatch, requests: int) -> None:
    """Kill the sender after this many requests were processed, before it reads the response."""
    send = MendixClient.send
    left = [requests]

    def killed(self: MendixClient, call: Any) -> Any:
        answer = send(self, call)
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        return answer

    patch.setattr(MendixClient, "send", killed)


def retry(context: dict[str, Any]) -> None:
    """Begin the next try; Airflow forgets the XComs of the one before."""
    context["ti"].try_number += 1
    context["ti"].xcoms.clear()
