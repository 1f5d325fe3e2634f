"""The cost of parsing a DAG that imports a provider's operators, on top of Airflow itself: ours and others'.

    python -m benchmarks.parsing

Each import runs in a new process, in turn; the table has medians of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

OURS = "airflow_provider_mendix"
IMPORTS = {
    "ours: the start operator and the sensor": (f"{OURS}.operators.package", f"{OURS}.sensors.package"),
    "ours: all operators, sensors and transfers": (
        f"{OURS}.operators.package",
        f"{OURS}.operators.revision",
        f"{OURS}.operators.environment",
        f"{OURS}.operators.backup",
        f"{OURS}.sensors.package",
        f"{OURS}.sensors.revision",
        f"{OURS}.sensors.environment",
        f"{OURS}.transfers.mendix_to_object_storage",
        f"{OURS}.transfers.object_storage_to_mendix",
    ),
    "Airbyte: its operator": ("airflow.providers.airbyte.operators.airbyte",),
    "dbt Cloud: its operators": ("airflow.providers.dbt.cloud.operators.dbt",),
    "Databricks: its operators": ("airflow.providers.databricks.operators.databricks",),
}
MEASURE = """
import importlib, json, sys, time
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, ObjectStoragePath
before, began, cpu = set(sys.modules), time.perf_counter(), time.process_time()
for module in sys.argv[1:]:
    importlib.import_module(module)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
print("measured", json.dumps([len(set(sys.modules) - before), 1000 * seconds, 1000 * cpu]))
"""


def measured(modules: tuple[str, ...], home: str) -> tuple[int, float, float]:
    """Import modules, and return how many were loaded, the milliseconds and the CPU milliseconds."""
    environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-c", MEASURE, *modules]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
    count, wall, cpu = json.loads(line.removeprefix("measured "))
    return count, wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", choices=("ours",))
    asked = parser.parse_args()
    imports = {name: what for name, what in IMPORTS.items() if not asked.only or name.startswith(asked.only)}
    seen: dict[str, list[tuple[int, float, float]]] = {name: [] for name in imports}
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        for modules in imports.values():
            measured(modules, home)  # compiles the modules
        for _ in range(asked.repetitions):
            for name, modules in imports.items():
                seen[name].append(measured(modules, home))
    print("| what a DAG imports | modules over `airflow.sdk` | ms | CPU ms |\n|---|---|---|---|")
    for name, runs in seen.items():
        counts, wall, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"| {name} | {counts:.0f} | {wall:.0f} | {cpu:.0f} |")


if __name__ == "__main__":
    main()
