"""Where a watcher keeps what it has seen: with its asset on Airflow 3.3 and later, in a Variable before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.polling.variables import read_variable, write_variable
from airflow_provider_mendix.settings import LOOKUP_PAUSE, LOOKUPS

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

_KEY = "mendix_seen"


class Cursor:
    """A small JSON value that outlives the process.

    :param trigger: the watcher.
    :param asset_name: the asset that it watches for.
    """

    def __init__(self, trigger: BaseEventTrigger, asset_name: str) -> None:
        # Airflow raises on the plain accessor if one trigger serves several assets.
        stores = getattr(trigger, "asset_state_store", None)
        self._store: Any = None if stores is None else stores[_asset(asset_name)]
        self._variable = f"{_KEY}_{asset_name}"

    async def load(self) -> Any:
        """Return what was saved last; ``None`` for nothing, on the first start of the watcher."""
        if self._store is not None:
            saved = await self._store.aget(_KEY)
            if saved is not None:
                return saved
        # Also after an upgrade to Airflow 3.3. To Airflow, a lookup that failed looks like a missing Variable, and
        # a watcher that starts afresh would lose what came since.
        for lookup in range(LOOKUPS):
            if lookup:
                await current_clock().pause(LOOKUP_PAUSE)
            text = await read_variable(self._variable)
            if text is not None:
                return json.loads(text)
            if self._store is not None:
                break
        return None

    async def save(self, value: Any) -> None:
        """Save what was seen."""
        if self._store is not None:
            await self._store.aset(_KEY, value)
        else:
            await write_variable(self._variable, json.dumps(value), "What a Mendix watcher has seen. Do not edit.")


def _asset(name: str) -> Any:
    from airflow.sdk import Asset

    return Asset.ref(name=name)
