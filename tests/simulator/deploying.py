"""Deploying by hand: what goes over the wire to the environments of the app `shop`."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_mendix.simulator import Reply

from .talking import PROJECT, Talk

ENVIRONMENTS = "/api/1/apps/shop/environments"


class Deployer:
    """Sends requests about one environment."""

    def __init__(self, talk: Talk, mode: str = "Test") -> None:
        self.talk = talk
        self.platform = talk.platform
        self.mode = mode
        self.path = f"{ENVIRONMENTS}/{mode}"

    @property
    def backups(self) -> str:
        environment_id = self.platform.environments["shop", self.mode].environment_id
        return f"/api/v2/apps/{PROJECT}/environments/{environment_id}"

    @property
    def status(self) -> str:
        return self.talk.json("GET", self.path)["Status"]

    def package(self, version: str = "1.0.0", **more: Any) -> str:
        return self.platform.packages.add("shop", version=version, revision="9f3ab2c1", **more)

    def put(self, version: str = "1.0.0", *, running: bool = False) -> str:
        package_id = self.package(version)
        self.platform.environments.add("shop", self.mode, package_id=package_id, running=running)
        return package_id

    def post(self, action: str, body: Any = None) -> Reply:
        return self.talk.api("POST", f"{self.path}/{action}", body)

    def transport(self, package_id: str) -> Reply:
        return self.post("transport", {"PackageId": package_id})

    def start(self, *, auto_sync_db: bool = True) -> str:
        return self.talk.json("POST", f"{self.path}/start", {"AutoSyncDb": auto_sync_db})["JobId"]

    def job(self, job_id: str) -> Reply:
        return self.talk.api("GET", f"{self.path}/start/{job_id}")

    def back_up(self, **body: Any) -> dict[str, Any]:
        return self.talk.json("POST", f"{self.backups}/snapshots", body)

    def restore(self, snapshot_id: str, more: str = "") -> Reply:
        return self.talk.api("POST", f"{self.backups}/restores?source_snapshot_id={snapshot_id}{more}")

    def pass_time(self, seconds: float) -> None:
        self.talk.clock.sleep(seconds)


def read(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)
