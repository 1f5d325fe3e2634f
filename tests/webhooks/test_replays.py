"""The ids of received webhooks, in the metadata database."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_mendix.webhooks.replays import claim, release

KEY = "mendix_webhooks_received_shop"


@pytest.fixture
def now(clock) -> int:
    return int(clock.now())


def test_an_id_is_new_once(metadata, now):
    assert claim("shop", "a", now)
    assert not claim("shop", "a", now)
    assert not claim("shop", "a", now + 1)
    assert claim("shop", "b", now)
    assert claim("plan", "a", now)
    assert json.loads(metadata(KEY)) == {"a": now, "b": now}


def test_old_ids_are_forgotten_when_they_are_too_old_to_come_again(metadata, clock, now):
    claim("shop", "late", now - 300)
    claim("shop", "early", now + 300)
    clock.sleep(301)
    assert not claim("shop", "late", now - 300)
    claim("shop", "b", now + 301)
    assert set(json.loads(metadata(KEY))) == {"early", "b"}
    clock.sleep(600)
    claim("shop", "c", now + 901)
    assert set(json.loads(metadata(KEY))) == {"b", "c"}


def test_a_released_id_is_new_again(metadata, now):
    claim("shop", "a", now)
    claim("shop", "b", now)
    release("shop", "a")
    release("shop", "never claimed")
    release("plan", "a")
    assert claim("shop", "a", now)
    assert not claim("shop", "b", now)


def test_many_at_the_same_time(metadata, now):
    ids = [f"msg_{number % 10}" for number in range(40)]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda message_id: claim("shop", message_id, now), ids))
    assert sum(claimed) == 10
    assert len(json.loads(metadata(KEY))) == 10
