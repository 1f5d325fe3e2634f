"""Input from outside is read, or refused with an error of ours: generated inputs, and samples with changes.

Inputs that once broke something stay as `@example`.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_mendix import api
from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.call import Call, Endpoint
from airflow_provider_mendix.api.response import Response
from airflow_provider_mendix.archive.manifest import Manifest, read_manifest
from airflow_provider_mendix.archive.package_metadata import PackageMetadata, read_metadata
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.archive.zip_walk import ZipWalk
from airflow_provider_mendix.exceptions import (
    InvalidConnectionError,
    InvalidInputError,
    MendixError,
    error_from_json,
)
from airflow_provider_mendix.hooks.connection import account_of
from airflow_provider_mendix.waits.base import MODULES, Wait, wait_from_json
from airflow_provider_mendix.waits.event import result_of
from airflow_provider_mendix.waits.poll_state import PollState

SAMPLES = Path(__file__).with_name("samples")
SECRET = "canary-of-the-key"
often = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["", "0", "null", "2026"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def endpoints() -> Iterator[tuple[str, Endpoint[Any]]]:
    for found in pkgutil.iter_modules(api.__path__):
        module = importlib.import_module(f"{api.__name__}.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, Endpoint):
                yield f"{found.name}.{name.strip('_')}", value


ENDPOINTS = dict(endpoints())
BODIES = sorted(SAMPLES.rglob("*.json"))


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A copy of a JSON document in which one value is replaced, removed or repeated."""
    copy = json.loads(json.dumps(document))
    places = list(walk(copy))
    if not places:
        return draw(values)
    owner, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(["replace", "replace", "remove", "repeat"]))
    if how == "replace":
        owner[key] = draw(values)
    elif how == "remove":
        del owner[key]
    elif isinstance(owner, list):
        owner.append(owner[key])
    else:
        owner[draw(st.text(max_size=8))] = owner[key]
    return copy


def walk(document: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(document, dict | list):
        for key in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from walk(document[key])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    how = draw(st.sampled_from(["bytes", "json", "sample", "sample", "sample"]))
    if how == "bytes":
        return draw(st.binary(max_size=200))
    if how == "json":
        return json.dumps(draw(values)).encode()
    document = json.loads(draw(st.sampled_from(BODIES)).read_bytes())
    body = json.dumps(draw(changed(document))).encode()
    return body if draw(st.booleans()) else body[: draw(st.integers(0, len(body)))]


headers = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "location"]),
    st.sampled_from(["text/html", "application/json", "9" * 400, "-1", "Wed, 21 Oct 2099 07:28:00 GMT"])
    | st.text(max_size=20),
    max_size=3,
)


@pytest.mark.parametrize("name", ENDPOINTS)
@given(
    body=bodies(), status=st.sampled_from([200, 201, 204, 302, 400, 404, 409, 429, 500, 503, 599]), head=headers
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example(body=b"[" * 100_000, status=200, head={})
@example(body=b'{"errorCode": "\\ud800"}', status=500, head={"retry-after": "9" * 400})
def test_responses(name, body, status, head):
    call = Call(endpoint=ENDPOINTS[name], path="/x", query={})
    try:
        result = call.parse(Response(status, head, body))
    except MendixError as refusal:
        error = refusal
    else:
        repr(result)
        if hasattr(result, "summary"):
            json.dumps(result.summary())
        if hasattr(result, "__iter__"):
            list(result)
        return
    stored = json.loads(json.dumps(error.to_json()))
    assert error_from_json(stored).to_json() == error.to_json()


MANIFEST = {
    "schema": 1,
    "complete": True,
    "object": "a.mda",
    "package_id": "p",
    "app_id": "shop",
    "name": "a.mda",
    "version": "1.2.3.4",
    "revision": "4",
    "branch": "trunk",
    "mendix_version": "10.1",
    "runtime_version": None,
    "model_version": None,
    "java_version": None,
    "project": {"id": None, "name": "Shop"},
    "metadata": "read",
    "commit": {"revision": "4", "author": None, "date": None, "message": None},
    "size": 10,
    "sha256": "0" * 64,
    "verification": {
        "size_of_host": True,
        "size_of_mendix": True,
        "sha256_of_host": False,
        "zip_entries": 1,
        "zip_directory": True,
        "zip_contents": False,
    },
    "stored_at": "2026-01-01T00:00:00+00:00",
    "task": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try": 1},
}


def test_the_manifest_that_is_changed_below_is_one():
    assert isinstance(read_manifest(json.dumps(MANIFEST).encode()), Manifest)


@often
@given(st.binary(max_size=300) | changed(MANIFEST).map(json.dumps).map(str.encode))
@example(b"[" * 100_000)
def test_manifests(content):
    assert isinstance(read_manifest(content), Manifest | None)


@often
@given(st.binary(max_size=300) | values.map(json.dumps).map(str.encode))
@example(b'{"RuntimeVersion": 1e999, "ProjectID": [], "ModelVersion": ""}')
def test_package_metadata(content):
    found = read_metadata(content)
    assert isinstance(found, PackageMetadata | None)
    if found:
        found.contradicts("1.2.3.4")


def a_zip(files: list[tuple[str, bytes, int]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data, method in files:
            archive.writestr(name, data, method)
    return content.getvalue()


ZIP = a_zip([("model/metadata.json", b"{}" * 300, zipfile.ZIP_DEFLATED), ("a", b"abc" * 50, zipfile.ZIP_STORED)])


def checked_deeply(content: bytes, chunk: int) -> bool:
    """Return whether the deep check passes."""
    pass_through = ZipWalk(deep=True)
    chunks = (content[at : at + chunk] for at in range(0, len(content), chunk))
    try:
        passed = b"".join(pass_through.passing(chunks))
        pass_through.found.compare(read_directory(content[:4], pass_through.end, len(content)))
    except (MendixError, NoZipError):
        return False
    assert passed == content
    return True


def read_by_zipfile(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def test_the_zip_that_is_changed_below_is_right():
    assert checked_deeply(ZIP, 7)


@settings(max_examples=1500, deadline=None)
@given(
    at=st.integers(0, len(ZIP) - 1),
    new=st.binary(min_size=0, max_size=3),
    cut=st.integers(0, 3),
    chunk=st.integers(1, 400),
)
def test_changed_zips(at, new, cut, chunk):
    """What the deep check accepts, another reader reads, with the same content."""
    content = ZIP[:at] + new + ZIP[at + cut :]
    if checked_deeply(content, chunk):
        names = [data for _, data in read_by_zipfile(content)]
        assert names == [data for _, data in read_by_zipfile(ZIP)]


@often
@given(head=st.binary(max_size=4), tail=st.binary(max_size=200), more=st.integers(0, 2**70))
def test_ends_of_zips(head, tail, more):
    with suppress(NoZipError):
        read_directory(head, tail, len(tail) + more)


CHECKS = [
    *(inputs.app_id, inputs.project_id, inputs.package_id, inputs.environment, inputs.revision, inputs.version),
    *(inputs.branch, inputs.spelled_branch),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(value=values | st.text(alphabet=st.characters(), max_size=30) | st.from_regex(r"\A[\w./-]{0,20}\Z"))
@settings(max_examples=150, deadline=None)
@example(value="²")
@example(value="١٢")
@example(value="a\n")
@example(value="1.2.3\n")
@example(value="9" * 5000)
def test_values_of_users(check, value):
    try:
        text = check(value)
    except InvalidInputError:
        return
    assert text
    text.encode()
    # Those two are compared with Mendix's own spelling.
    assert text == text.strip() or check in (inputs.environment, inputs.spelled_branch)


EXTRAS = ("personal_access_token", "repository_url", "timeout", "verify", "proxy", "Timeout", "other")


@often
@given(
    extra=values | st.fixed_dictionaries({}, optional=dict.fromkeys(EXTRAS, values)),
    host=st.none() | st.text(max_size=30) | st.sampled_from(["https://[", "http://u:p@h", "h:99999", "//", "h:0"]),
    port=st.none() | st.integers(-1, 70000),
    login=st.none() | st.text(max_size=10),
    key=st.sampled_from([None, "", SECRET, f"{SECRET}\n", f"{SECRET}é"]),
)
@example(extra={"timeout": 1e999}, host=None, port=None, login="a", key=SECRET)
@example(extra={"proxy": "http://u:\ud800@h"}, host=None, port=None, login="a", key=SECRET)
def test_connections(extra, host, port, login, key):
    connection = Connection(
        conn_id="c", conn_type="mendix", host=host, port=port, login=login, password=key, extra=json.dumps(extra)
    )
    try:
        shown = repr(account_of(connection, extra))
    except InvalidConnectionError as error:
        shown = str(error)
    assert SECRET not in shown


WAITS = [
    {"type": "PackageWait", "app_id": "shop", "package_id": "p"},
    {"type": "EnvironmentWait", "app_id": "shop", "environment": "Test", "status": "Running"},
    {"type": "RevisionWait", "app_id": "shop", "branch": "main", "has_token": True},
]
STATE = {
    "poll_interval": 30.0,
    "outage_tolerance": 900.0,
    "deadline": 10.0,
    "next_poll_at": 1.0,
    "state_since": 0.0,
    "last_response_at": 0.0,
    "logged_at": 0.0,
    "phase_seconds": {"Queued": 1.0},
}
EVENTS = [
    {"ended": "success", "result": {"package_id": "p"}},
    {"ended": "failure", "error": {"type": "PackageFailedError", "message": "m"}},
]


@often
@given(
    values
    | st.sampled_from(WAITS).flatmap(changed)
    | st.fixed_dictionaries({"type": st.sampled_from(sorted(MODULES))})
)
@example({"type": []})
@example({"type": "os"})
def test_waits_of_trigger_rows(row):
    try:
        wait = wait_from_json(row)
    except MendixError:
        return
    assert isinstance(wait, Wait)
    assert wait.description


@often
@given(values | changed(STATE))
def test_poll_states_of_trigger_rows(row):
    try:
        state = PollState.from_json(row)
    except MendixError:
        return
    assert isinstance(state, PollState)


@often
@given(values | st.sampled_from(EVENTS).flatmap(changed))
@example({"ended": "failure", "error": {"type": [], "message": "m"}})
def test_events(event):
    try:
        result = result_of(event)
    except MendixError:
        return
    assert isinstance(result, dict)
