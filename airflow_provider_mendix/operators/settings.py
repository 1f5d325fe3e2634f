"""Operator for the settings of an environment: constants, custom settings, scheduled events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.exceptions import (
    EnvironmentStateError,
    InvalidInputError,
    MendixResponseError,
    OutageError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators._environment import EnvironmentTask
from airflow_provider_mendix.operators.arguments import NO_VALUE, InvalidArgumentError, RenderedArguments, checked
from airflow_provider_mendix.settings import DEFAULT_OUTAGE_TOLERANCE, DEFAULT_POLL_INTERVAL

# Modules that only a running task needs are imported in functions, so that parsing a DAG file stays cheap.
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.api.deploy import Settings
    from airflow_provider_mendix.operators._settings import Change, Kind, Value, Wanted
    from airflow_provider_mendix.operators.signatures import OperatorArguments, SettingValues, Text

__all__ = ["MendixUpdateSettingsOperator"]

KINDS: tuple[Kind, ...] = ("constants", "custom_settings", "scheduled_events")
_SECRET_TEMPLATE = re.compile(r"\{[{%][^}]*\b(var|conn)\s*[.\[]")


class MendixUpdateSettingsOperator(EnvironmentTask, RenderedArguments, BaseOperator):
    """Set constants, custom settings and scheduled events of an environment; all others stay as they are.

    The task reads the settings, replaces the values of the given names, and sends them back if a value has
    changed. Mendix uses them from the next start on. A constant of the model without a value makes a start fail
    with ``MISSING_CONSTANT``: run this task between the transport and the start.

    A value is text, a number or a bool, or says where the task finds it when it runs:

    - ``{"variable": "shop_api_key"}``: an Airflow variable;
    - ``{"connection": "smtp"}``: the password of an Airflow connection. ``"field"`` names another field:
      ``login``, ``host``, ``port``, ``schema``, or a name in the extra.

    A value that was found like this is in no log, XCom or rendered template. The log shows the difference of all
    others, unless the name looks like that of a secret (``key``, ``password``, ``token`` and the like).

    The task returns ``{"environment", "status", "changed": {"constants": [names], "custom_settings": [names],
    "scheduled_events": [names]}, "restart_needed", "dry_run"}``. ``restart_needed`` says whether the app runs
    with other values than the given ones.

    After a lost response, the task reads the settings again. A retry and a Clear do the same. Two tasks that
    change the same environment at the same time may undo each other's changes: Mendix has no lock.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#set-environment-settings

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param constants: values by the constants' full names, such as ``Shop.ApiUrl``. Like the next two, a dict or,
        from a template, the text of a JSON object. Templates are rendered in the values.
    :param custom_settings: values by name.
    :param scheduled_events: ``"Enabled"`` or ``"Disabled"`` by the events' full names.
    :param dry_run: log the difference, and change nothing. It is allowed on production too.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param outage_tolerance: how long requests may keep failing before the task gives up, in seconds.
    :raises AirflowFailException: if Mendix refuses a name or a value, a value is missing, the environment does not
        exist, it is production and not allowed, or the key is refused. The reason is its ``__context__``.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment", *KINDS)
    template_fields_renderers: ClassVar[dict[str, str]] = dict.fromkeys(KINDS, "json")
    action = "change the settings of"

    def __init__(
        self,
        *,
        app_id: Text,
        environment: Text,
        constants: SettingValues | None = None,
        custom_settings: SettingValues | None = None,
        scheduled_events: SettingValues | None = None,
        dry_run: bool = False,
        allow_production: bool = False,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        outage_tolerance: float | timedelta = DEFAULT_OUTAGE_TOLERANCE,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.environment: Any = environment
        self.constants: Any = constants
        self.custom_settings: Any = custom_settings
        self.scheduled_events: Any = scheduled_events
        # `dry_run` itself is a method of every operator.
        self.is_dry_run: bool = checked("dry_run", dry_run)
        self.allow_production: bool = checked("allow_production", allow_production)
        self.mendix_conn_id: Any = mendix_conn_id
        self.outage_tolerance: float = checked("outage_tolerance", outage_tolerance)
        if constants is None and custom_settings is None and scheduled_events is None:
            raise InvalidArgumentError("Give constants, custom_settings or scheduled_events.")
        self._written_empty = frozenset(_check_as_written(constants, custom_settings, scheduled_events))

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the settings, and change those that have another value."""
        from airflow_provider_mendix.client.retry import retry_until_timeout

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            wanted = {kind: self._wanted(kind) for kind in KINDS}
            return retry_until_timeout(
                partial(self._update, hook, wanted, set()),
                timeout=self.outage_tolerance,
                poll_interval=DEFAULT_POLL_INTERVAL,
                action=f"{self.action} {self.target}",
                timeout_error=OutageError,
            )

    def _update(self, hook: MendixHook, wanted: Wanted, changed: set[tuple[Kind, str]]) -> dict[str, Any]:
        """Make one attempt.

        :param changed: what the attempts so far have changed: a response may have been lost.
        """
        from airflow_provider_mendix.operators._settings import difference, merge, needs_restart

        if self.is_dry_run:
            environment = hook.find_environment(self.app_id, self.environment)
        else:
            environment = self.check_allowed(hook)
        settings = hook.get_settings(self.app_id, self.environment)
        changes = difference(settings, wanted)
        if not changes:
            self.log.info("Nothing to change: %s has these settings.", self.target)
        for change in changes:
            self.log.info("%s %s", "Would change" if self.is_dry_run else "Changing", change)
        changed |= {(change.kind, change.name) for change in changes}
        settings = merge(settings, changes)
        if changes and not self.is_dry_run:
            self._send(hook, settings, changes)
            settings = hook.get_settings(self.app_id, self.environment)
            if left := difference(settings, wanted):
                raise EnvironmentStateError(
                    f"Mendix accepted the settings of {self.target}, but shows other values of {_names(left)}."
                    " Check them in the portal."
                )
        if settings.missing_constants:
            self.log.warning(
                "Constants without a value: %s. A start fails until they have one.",
                ", ".join(settings.missing_constants),
            )
        runs = environment.status == EnvironmentStatus.RUNNING
        return {
            "environment": environment.mode,
            "status": environment.status,
            "changed": {kind: sorted(name for of, name in changed if of == kind) for kind in KINDS},
            "restart_needed": runs and needs_restart(settings, wanted, changed),
            "dry_run": self.is_dry_run,
        }

    def _send(self, hook: MendixHook, settings: Settings, changes: list[Change]) -> None:
        try:
            hook.set_settings(self.app_id, self.environment, settings)
        except MendixResponseError as error:
            new = [change for change in changes if change.entry is None]
            if error.transient or not new:
                raise
            raise error.with_hint(f"Not among the settings that Mendix shows: {_names(new)}.") from error

    def _wanted(self, kind: Kind) -> dict[str, Value]:
        """Return the values of one argument, looked up where they are."""
        from airflow_provider_mendix.operators._settings import find, label

        given = getattr(self, kind)
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:  # not chained: it holds the text
                raise InvalidInputError(
                    f"{kind} cannot be text, unless it is that of a JSON object. Give a dict, or write names and"
                    " values in double quotes."
                ) from None
        if given is None:
            return {}
        if not isinstance(given, Mapping) or not all(isinstance(name, str) and name.strip() for name in given):
            raise InvalidInputError(f"{kind} must be values by name, such as {{'Shop.ApiUrl': 'https://…'}}.")
        return {
            name: find(f"{label(kind)} {name}", value, may_be_empty=(kind, name) in self._written_empty)
            for name, value in given.items()
        }


def _names(changes: list[Change]) -> str:
    return ", ".join(change.setting for change in changes)


def _check_as_written(*arguments: Any) -> Iterable[tuple[str, str]]:
    """Yield the settings whose value is written as empty or ``none`` in the DAG, so that it is not a lost one.

    :raises InvalidArgumentError: if a template reads a variable or a connection: Airflow stores what it renders.
    """
    for kind, values in zip(KINDS, arguments, strict=True):
        for name, value in (values if isinstance(values, Mapping) else {"all": values}).items():
            if not isinstance(value, str):
                continue
            if _SECRET_TEMPLATE.search(value):
                raise InvalidArgumentError(
                    f"{kind}: the template of {name} reads a variable or connection, and Airflow stores what it"
                    " renders. Give {'variable': key} or {'connection': conn_id} instead."
                )
            if value.strip().lower() in NO_VALUE:
                yield kind, name
