from __future__ import annotations

import asyncio

from airflow_provider_mendix.webhooks.secret_store import SecretStore

from ..conftest import set_connection
from .conftest import CONN_ID, OTHER_SECRET, RECEIVERS, SECRET


def secrets_of(store: SecretStore, *apps: str) -> list[tuple[str, ...]]:
    async def all_of_them() -> list[tuple[str, ...]]:
        return await asyncio.gather(*(store.secrets_of(app) for app in apps))

    return asyncio.run(all_of_them())


def test_the_secrets_of_each_app(clock):
    assert secrets_of(SecretStore(RECEIVERS), "shop", "plan") == [(SECRET,), (OTHER_SECRET,)]


def test_an_unknown_app_has_a_secret_that_was_never_given_away(clock):
    first, again, other = secrets_of(SecretStore(RECEIVERS), "nope", "nope", "x")
    assert first == again == other
    assert len(first[0]) >= 32
    assert secrets_of(SecretStore(RECEIVERS), "nope") != [first]


def test_a_connection_that_comes_later_is_found(clock, monkeypatch):
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    store = SecretStore(RECEIVERS)
    assert SECRET not in secrets_of(store, "shop")[0]
    set_connection(monkeypatch, CONN_ID, conn_type="generic", password=SECRET)
    clock.sleep(29)
    assert SECRET not in secrets_of(store, "shop")[0]
    clock.sleep(1)
    assert secrets_of(store, "shop") == [(SECRET,)]
