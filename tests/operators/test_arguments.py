"""What an author gives to the operators: checked at parse time, and again after rendering."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.sdk import DAG, Param, dag, task

from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.operators.arguments import as_written, checked
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

PACKAGE_ID = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
ENVIRONMENT = {"app_id": "shop", "environment": "Test"}
PUBLIC = {
    MendixStartBuildOperator: {"app_id": "shop", "version": "2.5.4"},
    MendixDeletePackageOperator: {"app_id": "shop", "package_id": PACKAGE_ID},
    MendixPrunePackagesOperator: {"app_id": "shop", "keep_last": 2},
    MendixLatestRevisionOperator: {"app_id": "shop"},
    MendixStopEnvironmentOperator: ENVIRONMENT,
    MendixTransportPackageOperator: {**ENVIRONMENT, "package_id": PACKAGE_ID},
    MendixStartEnvironmentOperator: ENVIRONMENT,
    MendixUpdateSettingsOperator: {**ENVIRONMENT, "constants": {"Shop.Url": "x"}},
    MendixCreateBackupOperator: ENVIRONMENT,
    MendixRestoreBackupOperator: {**ENVIRONMENT, "snapshot_id": PACKAGE_ID},
    MendixToObjectStorageOperator: {
        "app_id": "shop",
        "package_id": PACKAGE_ID,
        "destination": "file:///tmp/x.mda",
    },
    MendixBackupToObjectStorageOperator: {
        **ENVIRONMENT,
        "snapshot_id": PACKAGE_ID,
        "destination": "file:///tmp/x.tar.gz",
    },
    ObjectStorageToMendixOperator: {"app_id": "shop", "source": "file:///tmp/x.mda"},
    MendixPackageSensor: {"app_id": "shop", "package_id": PACKAGE_ID},
    MendixRevisionSensor: {"app_id": "shop"},
    MendixEnvironmentSensor: {**ENVIRONMENT, "status": "Running"},
}
"""Every public operator, sensor and transfer, with what it requires."""
WAITING = [kind for kind in PUBLIC if hasattr(kind, "wait_for")]
SENSORS = [MendixPackageSensor, MendixRevisionSensor, MendixEnvironmentSensor]
SWITCHES = [
    (MendixStartBuildOperator, "check_revision"),
    (MendixStartBuildOperator, "retry_failed_build"),
    (MendixDeletePackageOperator, "missing_ok"),
    (MendixPrunePackagesOperator, "per_branch"),
    (MendixPrunePackagesOperator, "dry_run"),
    (MendixLatestRevisionOperator, "skip_if_built"),
    (MendixStopEnvironmentOperator, "allow_production"),
    (MendixTransportPackageOperator, "allow_production"),
    (MendixStartEnvironmentOperator, "allow_production"),
    (MendixStartEnvironmentOperator, "auto_sync_db"),
    (MendixUpdateSettingsOperator, "allow_production"),
    (MendixUpdateSettingsOperator, "dry_run"),
    (MendixRestoreBackupOperator, "allow_production"),
    (MendixRestoreBackupOperator, "db_only"),
    (MendixToObjectStorageOperator, "fast_path"),
    (MendixBackupToObjectStorageOperator, "fast_path"),
    (ObjectStorageToMendixOperator, "require_manifest"),
    *((kind, "wait_for_completion") for kind in WAITING),
    *((kind, "deferrable") for kind in [*WAITING, *SENSORS]),
]
DURATIONS = [
    *((kind, name) for kind in WAITING for name in ("poll_interval", "timeout", "outage_tolerance")),
    *((kind, name) for kind in SENSORS for name in ("poke_interval", "timeout")),
    (MendixToObjectStorageOperator, "outage_tolerance"),
    (MendixUpdateSettingsOperator, "outage_tolerance"),
]
CHOICES = [
    *((MendixStartBuildOperator, name) for name in ("if_exists", "on_clear")),
    (MendixDeletePackageOperator, "in_use"),
    (MendixPrunePackagesOperator, "older_than"),
]
COUNTS = [(MendixStartBuildOperator, "max_parallel_builds"), (MendixPrunePackagesOperator, "keep_last")]


def make(kind, **changes):
    return kind(task_id="task", **{**PUBLIC[kind], **changes})


def name_of(value):
    return getattr(value, "__name__", None)


@task
def upstream():
    return None


class TestAtParseTime:
    @pytest.mark.parametrize(("kind", "name"), SWITCHES, ids=name_of)
    @pytest.mark.parametrize("value", ["False", "True", "", 0, 1, "{{ params.go }}"])
    def test_a_switch_is_true_or_false(self, kind, name, value):
        with pytest.raises(ValueError, match=f"{name} must be True or False"):
            make(kind, **{name: value})

    @pytest.mark.parametrize(("kind", "name"), [*SWITCHES, *DURATIONS, *COUNTS], ids=name_of)
    def test_the_output_of_a_task_is_refused_where_nothing_is_templated(self, kind, name):
        with DAG("dag"), pytest.raises(ValueError, match=f"{name} must be .*, not a PlainXComArg"):
            make(kind, **{name: upstream()})

    @pytest.mark.parametrize(("kind", "name"), DURATIONS, ids=name_of)
    @pytest.mark.parametrize(
        "value",
        ["30", None, True, [30], math.nan, math.inf, -1, timedelta(days=-1), 1e12, 10**400, Decimal(30)],
        ids=repr,
    )
    def test_a_duration_is_a_finite_number_of_seconds(self, kind, name, value):
        with pytest.raises(ValueError, match=f"{name} must be"):
            make(kind, **{name: value})

    @pytest.mark.parametrize(("kind", "name"), DURATIONS, ids=name_of)
    @pytest.mark.parametrize("value", [60, 60.5, timedelta(minutes=1)], ids=repr)
    def test_a_duration_is_given_in_either_form(self, kind, name, value):
        assert getattr(make(kind, **{name: value}), name) == (
            value.total_seconds() if isinstance(value, timedelta) else value
        )

    @pytest.mark.parametrize(("kind", "name"), COUNTS, ids=name_of)
    @pytest.mark.parametrize("value", ["2", 2.0, True, 0, -1, math.nan], ids=repr)
    def test_a_count_is_a_whole_number_from_1(self, kind, name, value):
        with pytest.raises(ValueError, match=f"{name} must be"):
            make(kind, **{name: value})

    @pytest.mark.parametrize("value", [30, "30 days", timedelta(days=-1)])
    def test_an_age_is_a_timedelta(self, value):
        with pytest.raises(ValueError, match="older_than must be a timedelta"):
            make(MendixPrunePackagesOperator, older_than=value)

    @pytest.mark.parametrize("value", ["no", "", True, ["skip"], None])
    def test_a_choice_is_one_of_a_few(self, value):
        with pytest.raises(ValueError, match="if_exists must be one of 'rebuild', 'reuse', 'skip', 'fail', not"):
            make(MendixStartBuildOperator, if_exists=value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("dry_run", True), ("keep_last", 3), ("outage_tolerance", 0), ("bump", None), ("if_exists", "skip")],
    )
    def test_a_right_value_is_returned(self, name, value):
        assert checked(name, value) == value

    @pytest.mark.parametrize(("kind", "name"), [*SWITCHES, *DURATIONS, *COUNTS, *CHOICES], ids=name_of)
    def test_a_mapped_task_is_checked_at_parse_time_too(self, kind, name):
        rest = {key: value for key, value in PUBLIC[kind].items() if key not in ("app_id", name)}
        with DAG("dag"), pytest.raises(ValueError, match=f"{name} must be"):
            kind.partial(task_id="task", **{**rest, name: "no"}).expand(app_id=["shop"])

    @pytest.mark.parametrize(("kind", "name"), [*SWITCHES, *DURATIONS, *COUNTS, *CHOICES], ids=name_of)
    def test_a_mapped_value_uses_no_retries(self, kind, name):
        rest = {key: value for key, value in PUBLIC[kind].items() if key != name}
        with DAG("dag"):
            mapped = kind.partial(task_id="task", **rest).expand_kwargs([{name: "no"}])
        with pytest.raises(AirflowFailException, match=f"{name} must be"):
            mapped.unmap({name: "no"})

    def test_a_mapped_task_with_right_arguments_is_accepted(self):
        with DAG("dag") as made:
            partial = MendixStartBuildOperator.partial(task_id="task", bump="patch", poll_interval=60, retries=2)
            mapped = partial.expand(app_id=["shop", "plan"])
        assert made.get_task("task") is mapped

    @pytest.mark.parametrize("mapped", [False, True])
    @pytest.mark.parametrize(
        ("kind", "name"), [(kind, name) for kind in PUBLIC for name in kind.template_fields], ids=name_of
    )
    def test_a_task_is_not_its_output(self, kind, name, mapped):
        with DAG("dag"):
            given = (
                MendixDeletePackageOperator.partial(task_id="given", app_id="shop").expand(package_id=[PACKAGE_ID])
                if mapped
                else MendixLatestRevisionOperator(task_id="given", app_id="shop")
            )
            with pytest.raises(ValueError, match=r"is the task given itself\. Give what it returns"):
                make(kind, **CHANGES.get((kind, name), {}), **{name: given})

    def test_a_subclass_is_checked_too(self):
        class Build(MendixStartBuildOperator):
            def __init__(self, *, app="shop", **kwargs):
                super().__init__(app_id=app, version="2.5.4", **kwargs)

        with pytest.raises(ValueError, match="wait_for_completion must be True or False"):
            Build(task_id="task", wait_for_completion="no")


OPTIONAL = [
    (kind, name)
    for kind in PUBLIC
    for name in kind.template_fields
    if name not in PUBLIC[kind] and name not in ("version", "package_id", "from_environment")
]
CHANGES = {
    (MendixStartBuildOperator, "version"): {},
    (MendixTransportPackageOperator, "from_environment"): {"package_id": None},
    (MendixEnvironmentSensor, "package_id"): {},
}


def execute(operator, context):
    with pytest.raises(AirflowFailException) as failed:
        operator.execute(context)
    return failed.value.__context__


@pytest.mark.usefixtures("server")
class TestAfterRendering:
    @pytest.mark.parametrize(("kind", "name"), [*OPTIONAL, *CHANGES], ids=name_of)
    @pytest.mark.parametrize("rendered", ["", "None", None, " "])
    def test_what_was_given_and_has_no_value_is_refused_before_any_request(
        self, kind, name, rendered, platform, context
    ):
        operator = make(kind, **CHANGES.get((kind, name), {}), **{name: "{{ value }}"})
        with DAG("dag", render_template_as_native_obj=rendered is None) as made:
            operator.dag = made
        operator.render_template_fields({**context, "value": rendered})
        error = execute(operator, context)
        assert isinstance(error, InvalidInputError)
        assert re.match(rf"{name} (is empty|cannot be|.* (names no folder|is none of))", str(error)), str(error)
        assert not platform.journal

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (MendixDeletePackageOperator, "package_id"),
            (MendixTransportPackageOperator, "package_id"),
            (MendixToObjectStorageOperator, "package_id"),
            (MendixPackageSensor, "package_id"),
            (MendixEnvironmentSensor, "package_id"),
            (MendixRestoreBackupOperator, "snapshot_id"),
        ],
        ids=name_of,
    )
    @pytest.mark.parametrize("rendered", ["not-a-uuid", "main-2.5.4.63.mda", f"{PACKAGE_ID}\n", PACKAGE_ID[:8]])
    def test_an_id_is_a_uuid(self, kind, name, rendered, platform, context):
        operator = make(kind, **{name: "{{ value }}"})
        operator.render_template_fields({**context, "value": rendered})
        assert f"{name} {rendered!r} is not a UUID. Use" in str(execute(operator, context))
        assert not platform.journal

    @pytest.mark.parametrize(("kind", "name"), OPTIONAL, ids=name_of)
    def test_a_subclass_that_sets_it_itself_is_checked_too(self, kind, name, platform, context):
        class Mine(kind):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                setattr(self, name, "{{ value }}")

        operator = Mine(task_id="task", **PUBLIC[kind])
        operator.render_template_fields({**context, "value": ""})
        assert re.match(f"{name} (is empty|cannot be|.* names no folder)", str(execute(operator, context)))
        assert not platform.journal

    @pytest.mark.parametrize(
        ("kind", "name", "values"),
        [
            (MendixStartBuildOperator, "revision", ["63", None]),
            (MendixStartBuildOperator, "branch", ["main", None]),
            (MendixStartBuildOperator, "description", ["Nightly", None]),
            (MendixCreateBackupOperator, "comment", ["Nightly", None]),
            (MendixPrunePackagesOperator, "only_if_archived", ["s3://releases", None]),
            (ObjectStorageToMendixOperator, "name", ["main.mda", None]),
            (MendixRevisionSensor, "newer_than", ["63", None]),
        ],
    )
    @pytest.mark.parametrize("way", ["expand", "expand_kwargs"])
    def test_a_mapped_task_is_checked_too(self, kind, name, values, way, platform, context):
        with DAG("dag") as made:
            partial = kind.partial(task_id="task", **PUBLIC[kind])
            mapped = (
                partial.expand(**{name: values})
                if way == "expand"
                else partial.expand_kwargs([{name: value} for value in values])
            )
        context["ti"].map_index = 1
        context["expanded_ti_count"] = 2
        operator = mapped.unmap({name: None})
        assert made.get_task("task") is mapped
        assert f"{name} is empty" in str(execute(operator, context))
        assert not platform.journal

    def test_a_mapped_task_that_leaves_it_out_uses_the_default(self, platform, context):
        with DAG("dag"):
            mapped = MendixStartBuildOperator.partial(
                task_id="task", version="2.5.4", wait_for_completion=False, revision="63"
            ).expand_kwargs([{"app_id": "shop", "branch": "main"}, {"app_id": "shop"}])
        context["ti"].map_index = 1
        assert mapped.unmap({"app_id": "shop"}).execute(context) in platform.packages

    def test_what_was_left_out_has_its_default(self, platform, context):
        operator = make(MendixStartBuildOperator, revision="63", wait_for_completion=False)
        operator.render_template_fields(context)
        assert operator.execute(context) in platform.packages

    @pytest.mark.parametrize(
        ("kind", "name"),
        [(kind, name) for kind, name in [*OPTIONAL, *CHANGES] if name not in ("comment", "description")],
        ids=name_of,
    )
    def test_an_empty_text_in_the_dag_is_no_value(self, kind, name, platform, context):
        operator = make(kind, **CHANGES.get((kind, name), {}), **{name: ""})
        assert re.match(f"{name} (is empty|cannot be|'' names no folder)", str(execute(operator, context)))
        assert not platform.journal

    @pytest.mark.parametrize(("value", "sent"), [(7, "7"), (2.5, "2.5"), ("seven", "seven"), (0, "0")])
    def test_a_number_as_free_text_is_sent_as_text(self, value, sent, platform, context):
        operator = make(MendixStartBuildOperator, revision="63", wait_for_completion=False, description=value)
        operator.execute(context)
        assert platform.journal.requests("POST")[0].body["Description"].startswith(f"{sent} [airflow ")

    @pytest.mark.parametrize(
        ("kind", "name"), [(MendixStartBuildOperator, "description"), (MendixCreateBackupOperator, "comment")]
    )
    def test_half_a_character_is_refused_before_any_request(self, kind, name, platform, context):
        assert "half a character" in str(execute(make(kind, **{name: "a\ud800"}), context))
        assert not platform.journal

    @pytest.mark.parametrize(
        ("kind", "name"),
        [(kind, name) for kind in PUBLIC for name in kind.template_fields if name.endswith("conn_id")],
        ids=name_of,
    )
    @pytest.mark.parametrize("value", [5, True, ["a"], {"a": 1}], ids=repr)
    def test_the_id_of_a_connection_is_text(self, kind, name, value, platform, context):
        assert f"{name} must be the id of a connection" in str(execute(make(kind, **{name: value}), context))
        assert not platform.journal

    @pytest.mark.parametrize("value", [["a"], {"a": 1}, True, b"text", object()])
    @pytest.mark.parametrize(
        ("kind", "name"), [(MendixStartBuildOperator, "description"), (MendixCreateBackupOperator, "comment")]
    )
    def test_other_values_as_free_text_are_refused_before_any_request(self, kind, name, value, platform, context):
        operator = make(kind)
        setattr(operator, name, value)
        message = str(execute(operator, context))
        assert f"{name} must be text" in message
        assert "render_template_as_native_obj" in message
        assert not platform.journal


DAG_FILE = """
import collections, dataclasses, datetime, functools, json, pathlib, types, uuid
from airflow.sdk import DAG, ObjectStoragePath, Param, dag, task, task_group
from airflow_provider_mendix.operators.backup import MendixCreateBackupOperator
from airflow_provider_mendix.operators.package import MendixStartBuildOperator

found = {}


@dataclasses.dataclass
class Thing:
    names: set[str]


def written(name, value, **more):
    build = MendixStartBuildOperator(task_id=f"build_{name}", app_id=value, version="1.0.0", **more)
    backup = MendixCreateBackupOperator(task_id=f"back_up_{name}", app_id="shop", environment=value, comment=value)
    found[name] = [build._as_written, backup._as_written]


@task
def many(): ...


@task(multiple_outputs=True)
def keys(): ...


@dag(schedule=None)
def release(app: str = "shop"):
    output = many()
    written("dag_argument", app)
    written("output", output)
    written("key", keys()["app"])
    written("mapped", output.map(lambda value: value))
    written("zipped", output.zip(output, fillvalue=object()))
    written("concatenated", output.concat(output))
    written("in_a_dict", {"b": app, "a": [output, {"x", "y", "z"}]})
    written("function", lambda context, jinja_env: "shop")
    written("partial", functools.partial(print, object()))

    @task_group
    def group(value):
        written("group_argument", value)
        many()

    group.expand(value=output)


made = release()
with made:
    written("parameter", made.param("other", "shop"))
    written("jinja", "{{ params.app }}")
    written("text", "shop")
    written("number", 63)
    written("nothing", None)
    written("storage_path", ObjectStoragePath("file:///tmp/x"))
    written("path", pathlib.PurePosixPath("/tmp/x"))
    written("time", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    written("uuid", uuid.UUID(int=7))
    written("names", {"a", "b", "c", "d", "e"})
    written("dataclass", Thing({"a", "b", "c", "d", "e"}))
    written("dataclass_of_another_value", Thing({"a", "b", "c", "d", "f"}))
    written("read_only", types.MappingProxyType({"a": {"a", "b", "c", "d", "e"}}))
    written("queue", collections.deque([{"a", "b", "c", "d", "e"}]))
    written("keys", {"a": 1, "b": 2}.keys())
print(json.dumps(found))
"""


class TestAsWritten:
    def test_it_is_the_same_in_every_process_that_parses_the_file(self, tmp_path):
        file = tmp_path / "release.py"
        file.write_text(DAG_FILE)
        parsed = []
        for seed in ("1", "2"):
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
            done = subprocess.run(
                [sys.executable, str(file)], env=environment, capture_output=True, text=True, check=True
            )
            parsed.append(json.loads(done.stdout.splitlines()[-1]))
        assert parsed[0] == parsed[1]
        assert len({json.dumps(value) for value in parsed[0].values()}) == len(parsed[0])

    @pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"a": (value,)}])
    @pytest.mark.parametrize(
        "kind", [MendixStartBuildOperator, MendixCreateBackupOperator], ids=lambda kind: kind.__name__
    )
    def test_an_object_without_a_text_of_its_own_is_refused_at_parse_time(self, kind, wrap):
        class Thing:
            pass

        with pytest.raises(ValueError, match="app_id cannot be .*stays the same in every process"):
            make(kind, app_id=wrap(Thing()))

    def test_a_text_that_holds_an_address_is_refused(self):
        class Thing:
            def __repr__(self):
                return f"Thing({object()!r})"

        with pytest.raises(ValueError, match="stays the same"):
            as_written(app_id=Thing())

    @pytest.mark.parametrize("other", [{"app_id": "plan"}, {"branch": "x"}, {"version": None, "bump": "patch"}])
    def test_other_arguments_have_another_text(self, other):
        assert make(MendixStartBuildOperator)._as_written != make(MendixStartBuildOperator, **other)._as_written

    def test_parameters_of_a_dag_differ_by_name(self):
        with DAG("dag", params={"a": Param("shop"), "b": Param("shop")}) as made:
            assert as_written(app_id=made.param("a")) != as_written(app_id=made.param("b"))

    def test_an_argument_of_a_dag_is_named(self):
        @dag(schedule=None)
        def release(app: str = "shop"):
            assert as_written(app_id=app) == "[('app_id', 'DagParam(app)')]"

        release()

    def test_a_path_is_named_without_reaching_its_storage(self):
        assert "file:///tmp/x" in as_written(source=ObjectStoragePath("file:///tmp/x"))
