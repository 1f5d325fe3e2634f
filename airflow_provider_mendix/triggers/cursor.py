"""Where a watcher keeps what it has seen: with its asset on Airflow 3.3 and later, in a Variable before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.clock import current_clock

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

_KEY = "mendix_seen"
_LOOKUPS = 3
_LOOKUP_PAUSE = 5.0


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
        for lookup in range(_LOOKUPS):
            if lookup:
                await current_clock().pause(_LOOKUP_PAUSE)
            text = await _get_variable(self._variable)
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
            await _set_variable(self._variable, json.dumps(value))


def _asset(name: str) -> Any:
    from airflow.sdk import Asset

    return Asset.ref(name=name)


async def _get_variable(key: str) -> str | None:
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    value: str | None = await sync_to_async(Variable.get)(key, default=None)
    return value


async def _set_variable(key: str, value: str) -> None:
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    await sync_to_async(Variable.set)(key, value, description="What a Mendix watcher has seen. Do not edit.")
