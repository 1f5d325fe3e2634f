"""Measure transfers to S3 next to other ways, and print a Markdown table: ``make bench-transfer``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import transfer_hosts
import ways

MIB = 1024 * 1024
ROOT = Path(__file__).parent.parent
AWS = ROOT / ".bench" / "aws" / "bin" / "aws"
PIPE = "curl \\| aws s3 cp -"
TITLES = {
    "fast": "**ours, fast path**",
    "plain": "ours, plain path",
    "fast, structure": 'ours, fast path, `verify="structure"`',
    "stock": 'requests → `ObjectStoragePath.open("wb")`',
    "http_to_s3": "`HttpToS3Operator`",
    PIPE: "`curl \\| aws s3 cp -`",
}


TINY = 64 * 1024


class Run(NamedTuple):
    """One transfer.

    :param seconds: of the task in a worker that has loaded its libraries, or of the command.
    :param cold: of a whole process.
    :param memory: how much it grew; for a command, its peak.
    """

    seconds: float
    cold: float
    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="256,1024", help="MiB of each package")
    parser.add_argument("--servers", default="rclone,sink")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--ways", default=",".join(["fast", "structure", "plain", "stock", "http_to_s3", "aws"]))
    options = parser.parse_args()
    names = {"structure": "fast, structure", "aws": PIPE}
    chosen = [names.get(way, way) for way in options.ways.split(",")]
    if PIPE in chosen:
        install_aws()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
    print(f"{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} before.\n", flush=True)
    for server in options.servers.split(","):
        # A tiny file takes what each way takes for anything at all.
        tiny = measure(server, TINY, chosen, options.repetitions)
        for size in map(int, options.sizes.split(",")):
            runs = measure(server, size * MIB, chosen, options.repetitions)
            print(table(f"{server}, {size} MiB", size, tiny, runs), flush=True)
    print(f"Load {os.getloadavg()[0]:.1f} after.")


def measure(server: str, length: int, chosen: list[str], repetitions: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {way: [] for way in chosen}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, transfer_hosts.S3[server]() as s3:
        file = Path(folder) / "shop.mda"
        transfer_hosts.make_zip(file, length)
        with transfer_hosts.served(file) as about:
            # In turns, so that a busy moment of the machine hits all ways alike.
            for _ in range(repetitions):
                for way in chosen:
                    run = pipe(about, s3) if way == PIPE else in_python(way, about, s3)
                    check(s3, file.stat().st_size)
                    runs[way].append(run)
                    print(f"{server}, {length} bytes, {way}: {run.seconds:.2f} s", file=sys.stderr)
    return runs


def in_python(way: str, about: dict[str, str], s3: str) -> Run:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, ways.__file__, way, json.dumps(about)],
        env=environment(about, s3),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    whole = time.perf_counter() - began
    found = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
    if done.returncode or not found:
        raise SystemExit(f"{way} has failed:\n{done.stdout}")
    measured: dict[str, Any] = json.loads(found[0].removeprefix("measured "))
    return Run(measured["seconds"], whole, measured["cpu"], measured["growth"])


def pipe(about: dict[str, str], s3: str) -> Run:
    keys = {"AWS_ACCESS_KEY_ID": transfer_hosts.LOGIN, "AWS_SECRET_ACCESS_KEY": transfer_hosts.PASSWORD}
    target = ["s3", "cp", "-", f"s3://{ways.BUCKET}/{ways.KEY}", "--endpoint-url", s3, "--region", "us-east-1"]
    began = time.perf_counter()
    with subprocess.Popen(["curl", "-sSf", about["url"]], stdout=subprocess.PIPE) as reading:
        writing = subprocess.Popen([AWS, *target], stdin=reading.stdout, env={**os.environ, **keys})
        reading.stdout.close()
        _, status, used = os.wait4(writing.pid, 0)
        _, _, read = os.wait4(reading.pid, 0)
        reading.returncode = writing.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if writing.returncode:
        raise SystemExit(f"aws has ended with {writing.returncode}.")
    cpu = used.ru_utime + used.ru_stime + read.ru_utime + read.ru_stime
    return Run(seconds, seconds, cpu, used.ru_maxrss * 1024)


def environment(about: dict[str, str], s3: str) -> dict[str, str]:
    aws = {"login": transfer_hosts.LOGIN, "password": transfer_hosts.PASSWORD, "conn_type": "aws"}
    host = about["url"].removesuffix("/file")
    connections = {
        "MENDIX": {
            "conn_type": "mendix",
            "host": about["api"],
            "login": "bench",
            "password": transfer_hosts.PASSWORD,
        },
        "S3": {**aws, "extra": {"endpoint_url": s3, "region_name": "us-east-1"}},
        "HTTP": {"conn_type": "http", "host": host},
    }
    home = Path(tempfile.gettempdir()) / "bench-airflow"
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **{f"AIRFLOW_CONN_BENCH_{name}": json.dumps(values) for name, values in connections.items()},
    }


def check(s3: str, size: int) -> None:
    """Check that the object is whole, and remove it."""
    import boto3

    keys = {"aws_access_key_id": transfer_hosts.LOGIN, "aws_secret_access_key": transfer_hosts.PASSWORD}
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **keys)
    found = client.head_object(Bucket=ways.BUCKET, Key=ways.KEY)["ContentLength"]
    if found != size:
        raise SystemExit(f"There are {found} bytes instead of {size}.")
    for key in (ways.KEY, f"{ways.KEY}.manifest.json"):
        client.delete_object(Bucket=ways.BUCKET, Key=key)


def table(title: str, size: int, tiny: dict[str, list[Run]], runs: dict[str, list[Run]]) -> str:
    lines = [
        f"| {title} | seconds (min–max) | MiB/s | × `aws` | bytes alone, s | × `aws` | cold, s | MiB "
        "| CPU s/GiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def median(way: str, what: str, of: dict[str, list[Run]] = runs) -> float:
        return statistics.median(getattr(run, what) for run in of[way])

    def alone(way: str, what: str) -> float:
        return median(way, what) - median(way, what, tiny)

    for way, found in runs.items():
        seconds = [run.seconds for run in found]
        base = median(way, "memory", tiny) if way == PIPE else 0
        cells = [
            TITLES[way],
            f"{median(way, 'seconds'):.2f} ({min(seconds):.2f}–{max(seconds):.2f})",
            f"{size / median(way, 'seconds'):.0f}",
            f"{median(PIPE, 'seconds') / median(way, 'seconds'):.2f}" if PIPE in runs else "",
            f"{alone(way, 'seconds'):.2f}",
            f"{alone(PIPE, 'seconds') / alone(way, 'seconds'):.2f}" if PIPE in runs else "",
            f"{median(way, 'cold'):.1f}",
            f"{(max(run.memory for run in found) - base) / MIB:.0f}",
            f"{alone(way, 'cpu') * 1024 / size:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def install_aws() -> None:
    if AWS.exists():
        return
    uv = Path(sys.executable).with_name("uv")
    python = AWS.with_name("python")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, python.parent.parent], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "awscli"], check=True)


if __name__ == "__main__":
    main()
