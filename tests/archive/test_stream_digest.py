"""What the bytes alone tell of a file."""

from __future__ import annotations

import hashlib
import random

import pytest

from airflow_provider_mendix.archive.stream_digest import KEPT, StreamDigest

from .conftest import MIB


@pytest.mark.parametrize("size", [1, 1000, MIB, 7 * MIB])
def test_the_ends_are_kept_in_bounded_memory(size):
    content = random.Random(1).randbytes(9 * MIB if size > 1 else 5000)
    digest = StreamDigest()
    for start in range(0, len(content), size):
        digest.add(content[start : start + size])
    assert digest.size == len(content)
    assert digest.sha256 == hashlib.sha256(content).hexdigest()
    assert digest.head == content[:4]
    assert content.endswith(digest.tail)
    assert min(len(content), KEPT) <= len(digest.tail) < KEPT + size
