"""The measurement of transfers still works; what it measures here means nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "transfer.py"


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason="only in the repository")
def test_a_small_measurement():
    options = ["--sizes", "8", "--repetitions", "1", "--ways", "fast", "--servers", "sink"]
    done = subprocess.run([sys.executable, BENCHMARK, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| sink, 8 MiB |" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| **ours, fast path** |")]
    seconds, rate, _, alone, _, cold, memory, cpu = (
        cell.split()[0] if cell.strip() else "" for cell in row.split("|")[2:10]
    )
    assert 0 < float(seconds) < float(cold)
    assert float(rate) > 0
    assert float(memory) < 64
    assert alone
    assert cpu
