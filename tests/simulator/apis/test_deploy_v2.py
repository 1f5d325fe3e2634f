"""Uploads: forms that are read, jobs that go on, and packages that come of them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest

from airflow_provider_mendix.simulator import BuildOutcome, Timeline
from airflow_provider_mendix.simulator.state.package_file import Metadata, read_metadata

from ..talking import AUTH, PROJECT, refusal

UPLOAD = "/api/v2/apps/shop/packages/upload"


NAME = "main-2.5.4.9f3ab2c1.mda"


def zipped(content: bytes = b"hello\r\n--there\r\n") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/model.mdp", content)
    return buffer.getvalue()


def form(
    content: bytes, *, field: str = "file", boundary: str = "x", before: bytes = b"", end: str = "--"
) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="a.mda"\r\n\r\n'
    return before + head.encode() + content + f"\r\n--{boundary}{end}\r\n".encode()


def post(talk, body: bytes, target: str = f"{UPLOAD}?name={NAME}", boundary: str | None = "x"):
    kind = f"multipart/form-data; boundary={boundary}" if boundary else "application/json"
    return talk.api("POST", target, body, {**AUTH, "content-type": kind})


def upload(talk, content: bytes | None = None, target: str = f"{UPLOAD}?name={NAME}") -> dict[str, str]:
    reply = post(talk, form(zipped() if content is None else content), target)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def job(talk, started: dict[str, str]) -> str:
    shown = talk.json("GET", f"/api/v2/apps/shop/jobs/{started['JobId']}")
    assert list(shown) == ["Status"]
    return shown["Status"]


def test_what_is_uploaded_can_be_downloaded_again(talk):
    content = zipped()
    started = upload(talk, content)
    assert sorted(started) == ["JobId", "PackageId"]
    talk.clock.sleep(60)
    package = talk.get(started["PackageId"])
    assert package == {
        "PackageId": started["PackageId"],
        "Name": NAME,
        "Description": "",
        "Version": "2.5.4.9f3ab2c1",
        "Creator": "Ana Dev",
        "CreationDate": 1_700_000_000_000,
        "Status": "Succeeded",
        "Size": len(content),
    }
    assert talk.json("GET", "/api/1/apps/shop/packages") == [package]
    assert talk.file(talk.link(started["PackageId"])).body == content
    assert talk.platform.packages.sha256(started["PackageId"]) == hashlib.sha256(content).hexdigest()


def test_states_of_a_job_and_of_its_package(talk):
    talk.platform.packages.timeline = Timeline(queued=20, building=60, uploading=10)
    started = upload(talk)
    seen = []
    for seconds in (0, 19, 1, 9, 1, 1000):
        talk.clock.sleep(seconds)
        seen.append((job(talk, started), talk.get(started["PackageId"])["Status"]))
    assert seen == [
        ("Queued", "Uploading"),
        ("Queued", "Uploading"),
        ("Running", "Uploading"),
        ("Running", "Uploading"),
        ("Completed", "Succeeded"),
        ("Completed", "Succeeded"),
    ]


@pytest.mark.parametrize(
    ("outcome", "states", "package"),
    [
        (BuildOutcome.FAILS_WHILE_QUEUED, ["Queued", "Failed", "Failed"], "Failed"),
        (BuildOutcome.FAILS_WHILE_BUILDING, ["Queued", "Running", "Failed"], "Failed"),
        (BuildOutcome.FAILS_WHILE_UPLOADING, ["Queued", "Running", "Failed"], "Failed"),
        (BuildOutcome.STUCK_QUEUED, ["Queued", "Queued", "Queued"], "Uploading"),
        (BuildOutcome.STUCK_BUILDING, ["Queued", "Running", "Running"], "Uploading"),
        (BuildOutcome.UNKNOWN_STATUS, ["Queued", "Optimizing", "Completed"], "Succeeded"),
    ],
)
def test_outcomes(talk, outcome, states, package):
    talk.platform.packages.next_outcomes.append(outcome)
    started = upload(talk)
    seen = []
    for seconds in (5, 6, 1000):
        talk.clock.sleep(seconds)
        seen.append(job(talk, started))
    assert seen == states
    assert talk.get(started["PackageId"])["Status"] == package


@pytest.mark.parametrize("content", [b"", b"no zip", zipped()[:-30]])
def test_the_job_of_a_file_that_is_no_zip_fails(talk, content):
    started = upload(talk, content)
    assert job(talk, started) == "Queued"
    talk.clock.sleep(60)
    assert job(talk, started) == "Failed"
    assert talk.get(started["PackageId"])["Status"] == "Failed"


def test_an_upload_can_be_stuck(talk):
    with talk.platform.faults.add("stuck_build"):
        started = upload(talk)
        talk.clock.sleep(1000)
        assert job(talk, started) == "Queued"
    assert job(talk, started) == "Completed"


@pytest.mark.parametrize("target", [UPLOAD, f"{UPLOAD}?name="])
def test_without_a_name_it_has_the_documented_one(talk, target):
    package = talk.get(upload(talk, target=target)["PackageId"])
    assert (package["Name"], package["Version"]) == ("default.mda", "")


def described(version: str | None, metadata: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/metadata.json", metadata or json.dumps({"ModelVersion": version}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "option", "version"),
    [
        ("main-2.5.4.63.mda", zipped(), "from_content", "2.5.4.63"),
        ("Main line_2.5.4.63.mda", zipped(), "from_content", "2.5.4.63"),
        ("Main line_2.5.4.63.mda", described("3.0.0.64"), "from_content", "3.0.0.64"),
        ("release.mda", described("3.0.0.64"), "from_content", "3.0.0.64"),
        ("release.mda", described(None), "from_content", ""),
        ("main_2.5.4.63.mda", described(None, b"{"), "from_content", "2.5.4.63"),
        ("main_2.5.4.63.mda", described(None, b'{"ModelVersion": 7}'), "from_content", "2.5.4.63"),
        ("main_2.5.4.63.mda", described("3.0.0.64"), "from_name", "2.5.4.63"),
        ("release.mda", described("3.0.0.64"), "from_name", ""),
        ("main_2.5.4.63.mda", described("3.0.0.64"), "absent", ""),
    ],
)
def test_the_version_of_an_uploaded_package(talk_with, name, content, option, version):
    talk = talk_with(uploaded_version=option)
    package = talk.get(upload(talk, content, f"{UPLOAD}?name={name}")["PackageId"])
    assert (package["Name"], package["Version"]) == (name, version)


def test_a_package_that_was_built_and_uploaded_again_keeps_its_version(talk):
    revision = talk.platform.repositories.push("shop", mendix_version="10.6.1.2")
    package_id = talk.start(Revision=revision)
    content = talk.platform.packages.content(package_id)
    version = talk.get(package_id)["Version"]
    assert read_metadata(content) == Metadata(
        runtime_version="10.6.1.2",
        model_version=version,
        java_version="21",
        project_id=PROJECT,
        project_name="Shop",
    )
    assert talk.get(upload(talk, content, UPLOAD)["PackageId"])["Version"] == version


V1 = "/api/1/apps/shop/packages/upload?name=main-1.0.0.63.mda"


def test_version_1_has_no_job(talk):
    talk.platform.packages.timeline = Timeline(0, 0, 0)
    reply = post(talk, form(zipped()), V1)
    assert (reply.status, list(json.loads(reply.body))) == (200, ["PackageId"])
    package = talk.get(json.loads(reply.body)["PackageId"])
    assert (package["Name"], package["Status"]) == ("main-1.0.0.63.mda", "Succeeded")


def test_version_1_refusals(talk):
    assert refusal(post(talk, form(b"no zip"), V1)) == (500, "INVALID_PACKAGE")
    assert refusal(post(talk, form(zipped()), V1.replace("shop", "nope"))) == (404, "APP_NOT_FOUND")
    assert refusal(post(talk, b"{}", V1)) == (400, "INVALID_PARAMETERS")
    talk.platform.packages.outcome = BuildOutcome.REFUSED
    assert refusal(post(talk, form(zipped()), V1)) == (500, "UPLOAD_COPY_FAILED")
    assert talk.platform.packages == {}


def test_the_longest_upload_is_an_option(talk_with):
    content = zipped()
    talk = talk_with(longest_upload=len(content))
    upload(talk, content)
    assert refusal(post(talk, form(zipped(b"longer" * 10)))) == (413, "PACKAGE_TOO_BIG")
    assert len(talk.platform.packages) == 1


def test_a_part_before_the_file_is_skipped(talk):
    content = zipped()
    other = b'--x\r\nContent-Disposition: form-data; name="comment"\r\n\r\nhello\r\n'
    assert post(talk, form(content, before=other)).status == 200
    (package,) = talk.platform.packages.values()
    assert package.file == content


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        (b"", "x"),
        (b"{}", None),
        (form(zipped()), None),
        (form(zipped()), "y"),
        (form(zipped(), field="package"), "x"),
        (form(zipped(), end=""), "x"),
        (form(zipped())[:-20], "x"),
    ],
)
def test_forms_without_a_file(talk, body, boundary):
    assert refusal(post(talk, body, boundary=boundary)) == (400, "INVALID_PARAMETERS")
    assert talk.platform.packages == {}


def test_other_refusals(talk):
    body = form(zipped())
    assert refusal(post(talk, body, "/api/v2/apps/nope/packages/upload")) == (404, "APP_NOT_FOUND")
    assert refusal(post(talk, body, "/api/v2/apps/no%20app/packages/upload")) == (400, "INVALID_APPID")
    talk.platform.packages.outcome = BuildOutcome.REFUSED
    assert refusal(post(talk, body)) == (500, "UPLOAD_COPY_FAILED")
    assert talk.platform.packages == {}


def test_refused_polls_of_a_job(talk):
    started = upload(talk)
    talk.platform.add_app("plan")
    path = f"jobs/{started['JobId']}"
    assert refusal(talk.api("GET", f"/api/v2/apps/plan/{path}")) == (404, "JOB_NOT_FOUND")
    assert refusal(talk.api("GET", "/api/v2/apps/shop/jobs/nope")) == (404, "JOB_NOT_FOUND")
    assert refusal(talk.api("GET", f"/api/v2/apps/nope/{path}")) == (404, "APP_NOT_FOUND")
    talk.platform.permissions.revoke("api", "shop")
    assert talk.api("GET", f"/api/v2/apps/shop/{path}").status == 403
    assert talk.api("GET", f"/api/v2/apps/shop/{path}", headers={}).status == 401


def test_the_journal_does_not_keep_the_file(talk):
    upload(talk)
    (entry,) = talk.platform.journal.requests("POST")
    assert (entry.path, entry.body) == (UPLOAD, None)
