"""Types of the arguments that operators, sensors and transfers share; only type checkers import this module.

With ``**kwargs: Unpack[…]``, a type checker finds a misspelt argument and a missing one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NotRequired, Required, TypeAlias, TypedDict

from airflow.sdk import XComArg

Text: TypeAlias = str | XComArg
"""A templated argument: text, a template, or the output of a task."""


class FromVariable(TypedDict):
    """The value of a setting, in an Airflow variable."""

    variable: str


class FromConnection(TypedDict):
    """The value of a setting, in a field of an Airflow connection; by default its password."""

    connection: str
    field: NotRequired[str]


SettingValues: TypeAlias = Mapping[str, str | int | float | FromVariable | FromConnection | XComArg] | Text
"""Values of settings by name, or the text of a JSON object, or the output of a task."""


class OperatorArguments(TypedDict, total=False):
    """Arguments of Airflow's ``BaseOperator``."""

    task_id: Required[str]
    owner: str
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: Any
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: Any
    params: Any
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Any
    on_failure_callback: Any
    on_success_callback: Any
    on_retry_callback: Any
    on_skipped_callback: Any
    pre_execute: Callable[..., None] | None
    post_execute: Callable[..., None] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Collection[Any] | None
    outlets: Collection[Any] | None
    task_group: Any
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class WaitingArguments(OperatorArguments, total=False):
    """Arguments of the operators that may wait for the end of what they start."""

    mendix_conn_id: Text
    wait_for_completion: bool
    deferrable: bool | None
    poll_interval: float | timedelta
    timeout: float | timedelta
    outage_tolerance: float | timedelta


class EnvironmentArguments(WaitingArguments, total=False):
    """Arguments of the operators that do one thing with one environment."""

    app_id: Required[Text]
    environment: Required[Text]


class ChangingArguments(EnvironmentArguments, total=False):
    """Arguments of the operators that change an environment."""

    allow_production: bool


class AirflowSensorArguments(OperatorArguments, total=False):
    """Arguments of Airflow's ``BaseSensorOperator``, without those that our sensors check themselves."""

    soft_fail: bool
    mode: str
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool


class SensorArguments(AirflowSensorArguments, total=False):
    """Arguments of all sensors."""

    mendix_conn_id: Text
    deferrable: bool | None
    poke_interval: float | timedelta
    timeout: float | timedelta
