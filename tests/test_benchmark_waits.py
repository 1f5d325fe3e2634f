"""The benchmark of waiting runs, in a small form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="only in the repository")
def test_a_few_waits_behave_as_expected():
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.waits", "--small"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Every wait behaved as expected." in ran.stdout
    row = next(line for line in ran.stdout.splitlines() if line.startswith("| 40 waits, 4 apps"))
    requests = float(row.split("|")[4])
    assert requests <= 8
