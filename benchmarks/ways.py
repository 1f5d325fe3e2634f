"""Ways to copy a file from HTTP to S3, each run in a fresh process: ``python benchmarks/ways.py fast``.

The time to import Airflow and the libraries is not part of the measurement.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MIB = 1024 * 1024
BUCKET, KEY = "releases", "bench/shop.mda"
ALWAYS_LOADED = ("airflow.providers.common.compat.sdk", "airflow.sdk.execution_time.supervisor")
PRELOADED = {
    "ours": (
        *("airflow.providers.amazon.aws.hooks.s3", "boto3.s3.transfer"),
        *(
            "airflow_provider_mendix.archive.writer",
            "airflow_provider_mendix.archive.stores.s3",
            "obstore.auth.boto3",
            "obstore.store",
        ),
        *("airflow_provider_mendix.transfers.mendix_to_object_storage", "requests"),
    ),
    "stock": ("airflow.providers.amazon.aws.fs.s3", "airflow.sdk.io.path", "requests", "s3fs"),
    "http_to_s3": ("airflow.providers.amazon.aws.transfers.http_to_s3", "airflow.providers.http.hooks.http"),
}


def ours(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Our operator."""

    def run(about: dict[str, Any]) -> None:
        from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

        task = SimpleNamespace(dag_id="bench", run_id="run", task_id="bench", map_index=-1, try_number=1)
        MendixToObjectStorageOperator(
            task_id="bench",
            app_id="shop",
            package_id=about["package_id"],
            destination=f"s3://{BUCKET}/{KEY}",
            destination_conn_id="bench_s3",
            if_object_exists="replace",
            mendix_conn_id="bench_mendix",
            **changes,
        ).execute({"ti": task})

    return run


def stock(about: dict[str, Any]) -> None:
    """What one would write with Airflow's `ObjectStoragePath`."""
    import requests
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    with requests.get(about["url"], stream=True, timeout=60) as answer:
        answer.raise_for_status()
        with ObjectStoragePath(f"s3://{BUCKET}/{KEY}", conn_id="bench_s3").open("wb") as file:
            for chunk in answer.iter_content(MIB):
                file.write(chunk)


def http_to_s3(about: dict[str, Any]) -> None:
    """The operator that the amazon provider has for this."""
    from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

    HttpToS3Operator(
        task_id="bench",
        http_conn_id="bench_http",
        endpoint="file",
        s3_bucket=BUCKET,
        s3_key=KEY,
        aws_conn_id="bench_s3",
        replace=True,
    ).execute({})


WAYS: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "fast": ("ours", ours()),
    "plain": ("ours", ours(fast_path=False)),
    "fast, structure": ("ours", ours(verify="structure")),
    "stock": ("stock", stock),
    "http_to_s3": ("http_to_s3", http_to_s3),
}


def main(way: str, about: dict[str, Any]) -> None:
    libraries, run = WAYS[way]
    for module in (*ALWAYS_LOADED, *PRELOADED[libraries]):
        importlib.import_module(module)
    before = memory("VmRSS")
    # From here on the peak is that of the transfer alone.
    Path("/proc/self/clear_refs").write_text("5")
    began, cpu = time.perf_counter(), time.process_time()
    run(about)
    measured = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "growth": memory("VmHWM") - before,
    }
    print("measured " + json.dumps(measured), flush=True)
    os._exit(0)


def memory(name: str) -> int:
    """Return bytes that Linux counts for this process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
