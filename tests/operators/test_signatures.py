"""What a type checker says to an author: an output is accepted where text is, a misspelt argument is not."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_mendix.operators import signatures

ROOT = Path(__file__).parents[2]
RIGHT = """
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_mendix.operators.backup import MendixCreateBackupOperator, MendixRestoreBackupOperator
from airflow_provider_mendix.operators.environment import (
    MendixStartEnvironmentOperator,
    MendixStopEnvironmentOperator,
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.operators.package import (
    MendixDeletePackageOperator,
    MendixPrunePackagesOperator,
    MendixStartBuildOperator,
)
from airflow_provider_mendix.operators.revision import MendixLatestRevisionOperator
from airflow_provider_mendix.operators.settings import MendixUpdateSettingsOperator
from airflow_provider_mendix.sensors.environment import MendixEnvironmentSensor
from airflow_provider_mendix.sensors.package import MendixPackageSensor
from airflow_provider_mendix.sensors.revision import MendixRevisionSensor
from airflow_provider_mendix.transfers.mendix_backup_to_object_storage import MendixBackupToObjectStorageOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator
from airflow_provider_mendix.transfers.object_storage_to_mendix import ObjectStorageToMendixOperator

with DAG("release"):
    newest = MendixLatestRevisionOperator(task_id="newest", app_id="shop", retries=3)
    build = MendixStartBuildOperator(
        task_id="build",
        app_id=newest.output,
        revision=newest.output,
        branch=newest.output,
        version=newest.output,
        description=newest.output,
        mendix_conn_id=newest.output,
        poll_interval=timedelta(minutes=1),
        pool="builds",
    )
    MendixPackageSensor(task_id="a", app_id="shop", package_id=build.output, mode="reschedule", soft_fail=True)
    MendixRevisionSensor(task_id="b", app_id="shop", newer_than=build.output)
    MendixEnvironmentSensor(task_id="c", app_id="shop", environment=build.output, status=build.output)
    archive = MendixToObjectStorageOperator(
        task_id="d", app_id="shop", package_id=build.output, destination=build.output
    )
    ObjectStorageToMendixOperator(task_id="e", app_id="shop", source=archive.output, name=archive.output)
    MendixStopEnvironmentOperator(task_id="f", app_id=build.output, environment=build.output)
    MendixTransportPackageOperator(task_id="g", app_id="shop", environment="Test", package_id=build.output)
    MendixStartEnvironmentOperator(task_id="h", app_id="shop", environment="Test", allow_production=True)
    backup = MendixCreateBackupOperator(task_id="i", app_id="shop", environment="Test", comment=build.output)
    MendixRestoreBackupOperator(task_id="j", app_id="shop", environment="Test", snapshot_id=backup.output)
    MendixBackupToObjectStorageOperator(
        task_id="m", app_id="shop", environment="Test", snapshot_id=backup.output, destination=backup.output
    )
    MendixDeletePackageOperator(task_id="k", app_id="shop", package_id=build.output)
    MendixPrunePackagesOperator(task_id="l", app_id="shop", keep_last=3, only_if_archived=archive.output)
    MendixUpdateSettingsOperator(
        task_id="m",
        app_id="shop",
        environment=build.output,
        constants={
            "Shop.Url": "https://shop.example",
            "Shop.Days": 14,
            "Shop.On": True,
            "Shop.Key": {"variable": "shop_key"},
            "Shop.Mail": {"connection": "smtp", "field": "password"},
            "Shop.Version": build.output,
        },
        custom_settings=build.output,
        scheduled_events="{{ params.events | tojson }}",
    )
"""
WRONG = [
    ("MendixStartBuildOperator", 'app_id="shop", version="1.0.0", wait_for_completon=True'),
    ("MendixStartBuildOperator", 'app_id="shop", version="1.0.0", retry=3'),
    ("MendixStartBuildOperator", 'version="1.0.0"'),
    ("MendixStartBuildOperator", 'app_id="shop", version="1.0.0", check_revision="no"'),
    ("MendixStartBuildOperator", 'app_id="shop", version="1.0.0", poll_interval="30"'),
    ("MendixPackageSensor", 'app_id="shop", package_id="p", pokeinterval=30'),
    ("MendixStopEnvironmentOperator", 'app_id="shop", environment="Test", alow_production=True'),
    ("MendixStopEnvironmentOperator", 'app_id="shop"'),
    ("MendixCreateBackupOperator", 'app_id="shop", environment="Test", allow_production=True'),
    ("ObjectStorageToMendixOperator", 'app_id="shop", source="x", require_manifest="no"'),
    ("MendixBackupToObjectStorageOperator", 'app_id="shop", environment="Test", destination="/x"'),
    ("MendixPrunePackagesOperator", 'app_id="shop", keep_lasts=3, keep_last=3'),
    ("MendixUpdateSettingsOperator", 'app_id="shop", environment="Test", constants={"Shop.Key": {"var": "x"}}'),
    ("MendixUpdateSettingsOperator", 'app_id="shop", environment="Test", deferrable=True'),
]


def mypy(*paths):
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout


def test_mypy_accepts_what_is_right_and_finds_what_is_wrong(tmp_path):
    file = tmp_path / "release.py"
    wrong = [f'{kind}(task_id="{number}", {arguments})' for number, (kind, arguments) in enumerate(WRONG)]
    file.write_text("\n".join([RIGHT, *wrong]))
    found = {int(line) for line in re.findall(r"release\.py:(\d+): error", mypy(file))}
    first = len(RIGHT.splitlines()) + 2
    assert found == set(range(first, first + len(wrong)))


def test_mypy_accepts_the_examples():
    assert "Success" in mypy(ROOT / "example_dags")


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (BaseOperator, signatures.OperatorArguments),
        (BaseSensorOperator, signatures.SensorArguments),
    ],
)
def test_every_argument_of_airflow_is_known(kind, arguments):
    known = set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs", "args"}
    assert known <= set(arguments.__annotations__) | set(signatures.OperatorArguments.__annotations__)
