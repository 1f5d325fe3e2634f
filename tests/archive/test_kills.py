"""Whatever moment a task is killed at: the right object with its manifest, or none; and the next try mends it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from .conftest import BOTH, MIB, SIZE, transfer
from .hosts import cut
from .kills import Children
from .wire import READING

pytestmark = pytest.mark.slow

BIG = 20 * MIB  # more than one part of an upload
OLD = b"the release of last week"


@pytest.fixture(scope="module")
def children():
    with Children() as children:
        yield children


@pytest.fixture
def package_id(platform, server, request):
    platform.packages.default_size = BIG if "s3" in request.node.name else SIZE
    return platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")


@pytest.fixture
def start(children, package_id):
    """Start a transfer in a process of its own."""

    def start(place, kill_before: int = 0, **changes) -> int:
        operator = {
            "app_id": "shop",
            "package_id": package_id,
            "destination": place.url,
            "destination_conn_id": place.conn_id,
            "fast_path": place.fast_path,
            **changes,
        }
        environment = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
        return children.start(operator, environment, kill_before)

    return start


def steps_of(place, start, children, **changes) -> int:
    start(place, **changes)
    done = children.wait()
    assert done["killed"] is False
    return done["steps"]


def test_killed_in_the_middle_of_the_upload(start, children, package_id, place, platform, host, context):
    """The host of the files kills the task, when that asks for the second half."""
    pids = []

    def kill(reply):
        os.kill(pids[0], signal.SIGKILL)
        return reply

    platform.packages[package_id].size = 24 * MIB
    host.then(cut(24 * MIB - 10), kill)
    pids.append(start(place))
    assert children.wait()["killed"] is True
    assert BOTH[0] not in place.objects()
    assert bool(place.uploads()) == (place.conn_id == "s3")

    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)


def test_killed_before_any_step(start, children, package_id, local, platform, context):
    steps = steps_of(local("healthy"), start, children)
    assert steps >= 5
    for step in range(1, steps + 1):
        place = local(f"killed-before-{step}")
        start(place, kill_before=step)
        assert children.wait()["killed"] is True
        if BOTH[0] in place.objects():
            assert place.content() == platform.packages.content(package_id)
            assert place.objects() != [BOTH[0]]
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id), f"killed before step {step}"


def test_killed_before_any_call_to_s3(start, children, package_id, wired, wire, platform, context):
    """The store itself kills the task, when that is about to change something."""
    transfer(package_id, wired("healthy")).execute(context)
    changes = [name for name in wire.calls if not name.startswith(READING)]
    assert len(changes) >= 6
    for step in range(1, len(changes) + 1):
        place = wired(f"killed-before-{step}")
        count, pids = [], []
        started = threading.Event()

        def kill(name, _, step=step, count=count, pids=pids, started=started):
            if name.startswith(READING):
                return None
            count.append(name)
            if len(count) == step:
                started.wait(10)
                os.kill(pids[0], signal.SIGKILL)
            return "cut" if len(count) >= step else None

        wire.before = kill
        pids.append(start(place))
        started.set()
        assert children.wait()["killed"] is True, step
        wire.forget()
        if BOTH[0] in place.objects():
            assert place.content() == platform.packages.content(package_id)
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id), f"killed before {count[-1]}, step {step}"


def test_killed_before_any_step_of_replacing(start, children, package_id, local, platform, context):
    def new_place(name):
        place = local(name)
        place.put(OLD, manifest=b"{}")
        return place

    steps = steps_of(new_place("healthy"), start, children, if_object_exists="replace")
    for step in range(1, steps + 1):
        place = new_place(f"killed-before-{step}")
        start(place, kill_before=step, if_object_exists="replace")
        assert children.wait()["killed"] is True
        assert place.content() in (OLD, platform.packages.content(package_id))
        transfer(package_id, place, if_object_exists="replace").execute(context)
        assert place.is_archived(platform, package_id), f"killed before step {step}"


def test_what_others_have_beside_the_object_stays(start, children, package_id, place, platform, context):
    """Only what is left of this object is swept, not what looks like it or is another task's."""
    others = [".2.5.4.mda.part", ".2.5.4.mdaX." + "0" * 32 + ".part", ".2.5.40.mda." + "0" * 32 + ".part"]
    for name in others:
        place.put(b"")
        (place.path.parent / name).write_bytes(b"not ours")
    place.path.unlink()
    ours = [f".{name}.{'0' * 32}.part" for name in BOTH] if place.conn_id is None else []
    for name in ours:
        (place.path.parent / name).write_bytes(b"ours")
    bucket, key, _ = place.path.fs.split_path(place.path.path) if place.conn_id else (None, None, None)
    if place.conn_id:
        for unfinished in (key, key + ".sig", key + "x"):
            place.path.fs.call_s3("create_multipart_upload", Bucket=bucket, Key=unfinished)

    transfer(package_id, place).execute(context)

    assert place.objects() == sorted([*BOTH, *others])
    if place.conn_id:
        assert sorted(place.uploads()) == [key + ".sig", key + "x"]
        for upload in place.path.fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]:
            place.path.fs.call_s3(
                "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
