"""The secrets of receivers, from Airflow connections; they are looked up again, so a new one needs no restart."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_mendix.api.webhooks import is_secret
from airflow_provider_mendix.clock import current_clock

_LIFETIME = 30.0

log = logging.getLogger(__name__)


class SecretStore:
    """The validation secrets of all receivers.

    All connections are looked up at the same time: how long a request takes does not tell which receiver exists.

    :param receivers: ids of connections by app.
    """

    def __init__(self, receivers: Mapping[str, str]) -> None:
        self._receivers = receivers
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._expires_at: float | None = None
        self._lock = asyncio.Lock()
        # Signing with it takes the time that a real one takes.
        self._never_shared = secrets.token_hex()

    async def secrets_of(self, app_id: str) -> tuple[str, ...]:
        """Return the secrets of an app; for one without secrets a random one, so that a refusal takes as long."""
        async with self._lock:
            now = current_clock().ticks()
            if self._expires_at is None or now >= self._expires_at:
                self._secrets = await asyncio.to_thread(self._look_up)
                self._expires_at = now + _LIFETIME
        return self._secrets.get(app_id) or (self._never_shared,)

    def _look_up(self) -> dict[str, tuple[str, ...]]:
        return {app_id: _secrets_in(app_id, conn_id) for app_id, conn_id in self._receivers.items()}


def _secrets_in(app_id: str, conn_id: str) -> tuple[str, ...]:
    try:
        words = (BaseHook.get_connection(conn_id).password or "").split()
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises, the other receivers go on
        why = f"cannot be read ({type(error).__name__})"
    else:
        good = tuple(word for word in words if is_secret(word))
        if words and len(good) == len(words):
            return good
        # None of them counts: a secret that is cut in two must not look like a rotation.
        why = "has no password" if not words else "has a password that is not one or more validation secrets"
    log.error(
        "Webhooks of app %s are refused: connection %s %s. Put the validation secret of the webhook in its"
        " password; during a rotation both, with a blank between them.",
        app_id,
        conn_id,
        why,
    )
    return ()
