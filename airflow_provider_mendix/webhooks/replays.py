"""The ids of the webhooks that were received: each is accepted once, by whichever API server gets it first.

The ids are in a Variable of the metadata database, which all processes share and which survives restarts. A
process replaces it only if it still is what the process has read, so that no id gets lost between two of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_mendix.clock import current_clock

if TYPE_CHECKING:
    from sqlalchemy import CursorResult

TOLERANCE = 5 * 60.0
"""How far the timestamp of a webhook may be from the clock of the API server, in seconds."""
_KEPT_FOR = 2 * TOLERANCE
_ATTEMPTS = 20


def claim(app_id: str, message_id: str, timestamp: int) -> bool:
    """Remember a webhook, and return whether it is new. It blocks.

    :param timestamp: of the webhook; it is forgotten when it is too old to be accepted.
    :raises RuntimeError: if other processes always come first.
    :raises Exception: what the database raises.
    """
    oldest = current_clock().now() - _KEPT_FOR
    for _ in range(_ATTEMPTS):
        stored = _read(app_id)
        known: Mapping[str, int] = json.loads(stored) if stored else {}
        if message_id in known:
            return False
        kept = {old_id: at for old_id, at in known.items() if at >= oldest}
        if _replace(app_id, stored, json.dumps({**kept, message_id: timestamp})):
            return True
    raise RuntimeError(f"The Variable {_key(app_id)} was changed by others {_ATTEMPTS} times in a row.")


def release(app_id: str, message_id: str) -> None:
    """Forget a webhook that was claimed but not dealt with, so that it is accepted when it is sent again."""
    for _ in range(_ATTEMPTS):
        stored = _read(app_id)
        known = json.loads(stored) if stored else {}
        if known.pop(message_id, None) is None or _replace(app_id, stored, json.dumps(known)):
            return


def _key(app_id: str) -> str:
    return f"mendix_webhooks_received_{app_id}"


def _read(app_id: str) -> str | None:
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    table = Variable.__table__
    with create_session() as session:
        found = session.execute(select(table.c.val).where(table.c.key == _key(app_id))).scalar_one_or_none()
    return None if found is None else str(found)


def _replace(app_id: str, before: str | None, after: str) -> bool:
    """Store a value, and return whether it was stored: not if another process has changed the Variable."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import insert, update
    from sqlalchemy.exc import IntegrityError

    table = Variable.__table__
    key = _key(app_id)
    try:
        with create_session() as session:
            if before is None:
                session.execute(insert(table).values(key=key, val=after, is_encrypted=False))
                return True
            unchanged = (table.c.key == key, table.c.val == before)
            changed = session.execute(update(table).where(*unchanged).values(val=after, is_encrypted=False))
            return bool(cast("CursorResult[Any]", changed).rowcount)
    except IntegrityError:
        return False
