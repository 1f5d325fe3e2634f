"""Every ``[mendix]`` option of Airflow's configuration, and every duration that more than one module uses.

All durations are in seconds. Airflow is imported when its configuration is read: waits and clients need only the
durations.
"""

from __future__ import annotations

import logging

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


def webhooks_enabled() -> bool:
    """Return whether ``[mendix] webhooks`` configures a receiver, so that watchers may be woken up."""
    from airflow.providers.common.compat.sdk import conf

    return bool((conf.get("mendix", "webhooks", fallback="") or "").strip())


def default_deferrable() -> bool:
    """Return ``[operators] default_deferrable``."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
