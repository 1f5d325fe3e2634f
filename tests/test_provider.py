"""Airflow's view of the package. An invalid description would break `import airflow` for all its users."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest

from airflow_provider_mendix import __version__, get_provider_info

AIRFLOW = Path(airflow.__file__).parent
ROOT = Path(__file__).parent.parent


def test_the_entry_point_gives_the_provider_info():
    (found,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.value.startswith("airflow_provider_mendix")
    ]
    assert found.load()() == get_provider_info()


@pytest.mark.parametrize("schema", ["provider_info.schema.json", "provider.yaml.schema.json"])
def test_the_provider_info_is_valid_by_airflows_own_schemas(schema):
    document = json.loads((AIRFLOW / schema).read_text())
    info = get_provider_info()
    if schema.startswith("provider.yaml"):
        # The other keys are needed only to release providers from Airflow's own repository.
        document["required"] = [key for key in document["required"] if key in info]
    jsonschema.validate(info, document)


def test_a_wrong_provider_info_would_be_found():
    info = {**get_provider_info(), "connection-types": [{"connection-type": "mendix"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(info, json.loads((AIRFLOW / "provider_info.schema.json").read_text()))


def test_everything_the_provider_info_names_exists():
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for group in info[kind]
        for module in group["python-modules"]
    ]
    modules += [transfer["python-module"] for transfer in info["transfers"]]
    for module in modules:
        importlib.import_module(module)
    for path in [*info["extra-links"], *(kind["hook-class-name"] for kind in info["connection-types"])]:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)


def test_the_form_asks_for_secrets_as_passwords_and_for_a_port_in_short_words():
    (kind,) = get_provider_info()["connection-types"]
    fields = kind["conn-fields"]
    assert fields["personal_access_token"]["schema"]["format"] == "password"
    assert fields["proxy"]["schema"]["format"] == "password"
    # Airflow's own button that tests a connection fails where the port is hidden.
    behaviour = kind["ui-field-behaviour"]
    assert behaviour["hidden-fields"] == ["schema"]
    assert behaviour["placeholders"]["port"].startswith("443")
    labels = [*behaviour["relabeling"].values(), *(field["label"] for field in fields.values())]
    assert max(map(len, labels)) <= len("Personal access token")  # longer ones wrap


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel as users get it."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.iterdir()
    return zipfile.ZipFile(found)


def test_the_wheel_is_typed_and_carries_its_entry_point_and_licence(wheel):
    names = wheel.namelist()
    assert "airflow_provider_mendix/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "airflow_provider_mendix",
        f"airflow_provider_mendix-{__version__}.dist-info",
    }
    info = f"airflow_provider_mendix-{__version__}.dist-info"
    assert "apache_airflow_provider" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in names


COUNT = """
import json, sys
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)
import airflow_provider_mendix.operators.backup
import airflow_provider_mendix.operators.environment
import airflow_provider_mendix.operators.package
import airflow_provider_mendix.operators.revision
import airflow_provider_mendix.operators.settings
import airflow_provider_mendix.sensors.environment
import airflow_provider_mendix.sensors.package
import airflow_provider_mendix.sensors.revision
import airflow_provider_mendix.transfers.mendix_backup_to_object_storage
import airflow_provider_mendix.transfers.mendix_to_object_storage
import airflow_provider_mendix.transfers.object_storage_to_mendix
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_parsing_a_dag_loads_few_modules_and_no_http_library():
    counted = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    added = json.loads(counted.stdout.splitlines()[-1])
    assert len(added) <= 43, added  # a module of a new public operator may raise this by one
    assert not {"requests", "aiohttp"} & set(added)
