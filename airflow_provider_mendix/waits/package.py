"""Waits for packages: until one is built, and until another build may start."""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_mendix.api.build import (
    LazyPackageList,
    Package,
    PackageStatus,
    get_package_lazily,
    list_packages_lazily,
)
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.exceptions import PackageFailedError
from airflow_provider_mendix.waits.base import Outcome, Wait


class PackageWait(Wait, frozen=True, tag=True):
    """Wait until a package is ``Succeeded``."""

    has_single_call: ClassVar[bool] = True
    phases: ClassVar[tuple[str, ...]] = (PackageStatus.QUEUED, PackageStatus.BUILDING, PackageStatus.UPLOADING)

    app_id: str
    package_id: str

    @property
    def description(self) -> str:
        return f"Package {self.package_id} of app {self.app_id}"

    def call(self) -> Call[Package]:
        return get_package_lazily(self.app_id, self.package_id)

    def shared_call(self) -> Call[LazyPackageList]:
        return list_packages_lazily(self.app_id)

    def extract(self, response: LazyPackageList) -> Package | None:
        return response.get(self.package_id)

    def judge(self, response: Package) -> Outcome:
        if response.status == PackageStatus.FAILED:
            raise PackageFailedError(
                f"{self.description} (version {response.version or 'unknown'}) ended as Failed. The Build API"
                " gives no reason; open the app's Environments page in the portal for the build output."
            )
        if response.status != PackageStatus.SUCCEEDED:
            return Outcome(response.status)
        expiry = response.expiry_date
        until = f"; unless it is deployed, Mendix deletes it on {expiry:%Y-%m-%d %H:%M:%S} UTC" if expiry else ""
        return Outcome(f"{response.status}{until}", done=True, result=response.summary())


class BuildCapacityWait(Wait, frozen=True, tag=True):
    """Wait until fewer builds of an app are in progress than a limit."""

    app_id: str
    limit: int

    @property
    def description(self) -> str:
        return f"Capacity for a build of app {self.app_id}"

    def call(self) -> Call[LazyPackageList]:
        return list_packages_lazily(self.app_id)

    def judge(self, response: LazyPackageList) -> Outcome:
        running = sum(package.is_unfinished for package in response) + response.unreadable
        return Outcome(f"{running} builds in progress (limit: {self.limit})", done=running < self.limit)
