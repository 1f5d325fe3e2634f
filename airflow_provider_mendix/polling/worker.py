"""Polling on a worker, where one task waits for one thing: with the hook, once."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.waits.base import Outcome, Wait
from airflow_provider_mendix.waits.poll_state import PollState

log = logging.getLogger(__name__)


def poll_once(hook: MendixHook, wait: Wait, state: PollState) -> tuple[Wait, PollState, Outcome]:
    """Poll once and log what is new. Return the wait with what was looked up, its new state and the outcome.

    :raises MendixError: if the wait has failed.
    """
    response: Any
    try:
        wait = hook.run(wait.resolve())
        response = hook.send_once(wait.call())
    except MendixError as error:
        response = error
    state, outcome = state.record(wait, response, current_clock().now())
    if outcome.log_message:
        log.info(outcome.log_message)
    return wait, state, outcome


def report_phases(app_id: str, result: dict[str, Any]) -> None:
    """Send the phases of a build to Airflow's metrics, as timers."""
    try:
        from airflow.providers.common.compat.sdk import Stats

        for phase, seconds in result.get("phases", {}).items():
            Stats.timing(f"mendix.package.{phase}", timedelta(seconds=seconds), tags={"app_id": app_id})
    except Exception as error:  # noqa: BLE001 - metrics must not fail a release
        log.debug("No metrics: %s", error)
