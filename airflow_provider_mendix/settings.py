"""Every ``[mendix]`` option of Airflow's configuration, and every duration that more than one module uses.

All durations are in seconds. Airflow is imported when its configuration is read: waits and clients need only the
durations.
"""

from __future__ import annotations

import logging

import msgspec

from airflow_provider_mendix.exceptions import InvalidInputError

DEFAULT_POLL_INTERVAL = 30.0
MIN_POLL_INTERVAL = 5.0
DEFAULT_TIMEOUT = 2 * 60 * 60.0
DEFAULT_OUTAGE_TOLERANCE = 15 * 60.0
"""How long polling may keep failing before a wait gives up."""
MAX_RETRY_AFTER = 15 * 60.0
"""The longest pause that a server can ask for."""
DEFAULT_WATCH_INTERVAL = 60.0
"""Seconds between two polls of a watcher."""
VISIBILITY_TIMEOUT = 60.0
"""How long Mendix may take to list what it was asked to make."""
VISIBILITY_POLL_INTERVAL = 5.0
MAX_CLOCK_SKEW = 10 * 60.0
"""How far Mendix's clock may be from Airflow's."""
LOOKUPS = 3
"""How often a missing connection or Variable is looked up: to Airflow, a secrets backend that fails has none."""
LOOKUP_PAUSE = 5.0
"""Seconds between two of these lookups."""
DEFAULT_REQUESTS_PER_MINUTE = 60

log = logging.getLogger(__name__)


def instance_name() -> str:
    """Return ``[mendix] instance_name``, by default the URL of the API server: it tells installations apart."""
    from airflow.providers.common.compat.sdk import conf

    name = conf.get("mendix", "instance_name", fallback="") or conf.get("api", "base_url", fallback="")
    return str(name or "")


def requests_per_minute() -> int:
    """Return ``[mendix] requests_per_minute``; a value that is no number counts as not set."""
    from airflow.providers.common.compat.sdk import conf

    value = conf.get("mendix", "requests_per_minute", fallback=str(DEFAULT_REQUESTS_PER_MINUTE)) or ""
    if value.strip().isdecimal():
        return int(value)
    log.warning("[mendix] requests_per_minute is not a number; using %d.", DEFAULT_REQUESTS_PER_MINUTE)
    return DEFAULT_REQUESTS_PER_MINUTE


def webhook_receivers() -> dict[str, str]:
    """Return the ids of the connections that hold the secrets of webhooks, by app: ``[mendix] webhooks``.

    :raises InvalidInputError: if the option is no JSON object of texts.
    """
    from airflow.providers.common.compat.sdk import conf

    text = str(conf.get("mendix", "webhooks", fallback="") or "").strip()
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise InvalidInputError(
            f"[mendix] webhooks is not a JSON object of connection ids by app: {error}. No webhook is received."
            ' Write it as {"shop": "mendix_webhook_shop"}.'
        ) from None
    return {app_id.lower(): conn_id for app_id, conn_id in found.items()}


def webhooks_enabled() -> bool:
    """Return whether ``[mendix] webhooks`` names a receiver, so that watchers may be woken up."""
    try:
        return bool(webhook_receivers())
    except InvalidInputError as error:
        log.error("%s", error)
        return False


def default_deferrable() -> bool:
    """Return ``[operators] default_deferrable``."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
