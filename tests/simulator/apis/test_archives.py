"""Archives of snapshots, and what else is done to snapshots."""

from __future__ import annotations

import io
import tarfile

import pytest

from airflow_provider_mendix.simulator.state.backups import ARCHIVE_CODES

from ..deploying import Deployer, read
from ..talking import UNKNOWN_ID, refusal


@pytest.fixture
def snapshot(deployer: Deployer) -> str:
    """A finished snapshot, as a path."""
    deployer.platform.environments["shop", "Test"].data = "precious"
    snapshot_id = deployer.back_up()["snapshot_id"]
    deployer.pass_time(30)
    return f"{deployer.backups}/snapshots/{snapshot_id}"


def names(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}


@pytest.mark.parametrize(
    ("query", "data_type"),
    [
        ("", "files_and_database"),
        ("?data_type=files_and_database", "files_and_database"),
        ("?data_type=database_only", "database_only"),
    ],
)
def test_an_archive_can_be_downloaded_once_it_is_finished(deployer, snapshot, query, data_type):
    talk = deployer.talk
    asked = talk.json("POST", f"{snapshot}/archives{query}")
    assert asked == {
        **talk.json("GET", snapshot),
        "archive_id": asked["archive_id"],
        "data_type": data_type,
        "url": None,
        "state": "queued",
        "status_message": None,
        "created_at": "2023-11-14T22:13:50.000Z",
        "updated_at": None,
        "finished_at": None,
    }
    path, states = f"{snapshot}/archives/{asked['archive_id']}", []
    for seconds in (1.9, 0.1, 7.9):
        deployer.pass_time(seconds)
        shown = talk.json("GET", path)
        states.append((shown["state"], shown["url"]))
    assert states == [("queued", None), ("running", None), ("running", None)]
    deployer.pass_time(0.1)
    link = talk.json("GET", path)["url"]
    content = talk.file(link).body
    if data_type == "database_only":
        assert content == b"PGDMPprecious"
    else:
        found = names(content)
        assert [name.partition("/")[0] for name in found] == [".metadata", "db", "tree"]
        assert found["db/db.backup"] == b"PGDMPprecious"
    assert talk.file(link, headers={"range": "bytes=0-9"}).status == 206
    assert talk.file(link.replace("database", "x").replace("signature=", "signature=0")).status == 403
    deployer.pass_time(8 * 3600)
    assert talk.file(link).status == 200
    deployer.pass_time(1)
    assert talk.file(link).status == 403


def test_how_long_a_link_is_good_is_an_option(talk_with):
    deployer = Deployer(talk_with(archive_ttl=10))
    made = deployer.back_up()
    deployer.pass_time(30)
    path = f"{deployer.backups}/snapshots/{made['snapshot_id']}/archives"
    archive_id = deployer.talk.json("POST", path)["archive_id"]
    deployer.pass_time(30)
    link = deployer.talk.json("GET", f"{path}/{archive_id}")["url"]
    deployer.pass_time(11)
    assert deployer.talk.file(link).status == 403


@pytest.mark.parametrize(("links", "status"), [("renewed", 200), ("once", 403)])
def test_whether_a_link_is_renewed_is_an_option(talk_with, links, status):
    deployer = Deployer(talk_with(archive_ttl=10, archive_links=links))
    made = deployer.back_up()
    deployer.pass_time(30)
    path = f"{deployer.backups}/snapshots/{made['snapshot_id']}/archives"
    archive_id = deployer.talk.json("POST", path)["archive_id"]
    deployer.pass_time(30)
    link = deployer.talk.json("GET", f"{path}/{archive_id}")["url"]
    assert deployer.talk.file(link).status == status


def test_planned_outcomes(deployer, snapshot):
    for code, status in ARCHIVE_CODES.items():
        deployer.platform.backups.next_archives.append(code)
        assert refusal(deployer.talk.api("POST", f"{snapshot}/archives")) == (status, code)
    deployer.platform.backups.next_archives.append("failed")
    archive_id = deployer.talk.json("POST", f"{snapshot}/archives")["archive_id"]
    deployer.pass_time(30)
    shown = deployer.talk.json("GET", f"{snapshot}/archives/{archive_id}")
    assert (shown["state"], shown["url"]) == ("failed", None)


def test_refusals(deployer, snapshot):
    talk = deployer.talk
    assert refusal(talk.api("POST", f"{snapshot}/archives?data_type=files")) == (400, "INVALID_PARAMETERS")
    assert refusal(talk.api("GET", f"{snapshot}/archives/{UNKNOWN_ID}")) == (404, "NOT_FOUND")
    unknown = f"{deployer.backups}/snapshots/{UNKNOWN_ID}"
    assert refusal(talk.api("POST", f"{unknown}/archives")) == (404, "NOT_FOUND")
    assert refusal(talk.api("GET", f"{unknown}/archives/{UNKNOWN_ID}")) == (404, "NOT_FOUND")
    running = deployer.back_up()["snapshot_id"]
    reply = talk.api("POST", f"{deployer.backups}/snapshots/{running}/archives")
    assert refusal(reply) == (400, "UNSUPPORTED")
    deployer.platform.permissions.revoke("backups", "shop", "Test")
    assert refusal(talk.api("POST", f"{snapshot}/archives")) == (403, "NO_ACCESS")


def test_an_archive_belongs_to_its_snapshot(deployer, snapshot):
    archive_id = deployer.talk.json("POST", f"{snapshot}/archives")["archive_id"]
    other = deployer.back_up()["snapshot_id"]
    reply = deployer.talk.api("GET", f"{deployer.backups}/snapshots/{other}/archives/{archive_id}")
    assert refusal(reply) == (404, "NOT_FOUND")


def test_a_comment_is_changed(deployer, snapshot):
    before = deployer.talk.json("GET", snapshot)
    changed = read(deployer.talk.api("PUT", snapshot, {"comment": "keep"}))
    assert changed == before | {"comment": "keep"} == deployer.talk.json("GET", snapshot)
    assert refusal(deployer.talk.api("PUT", f"{deployer.backups}/snapshots/{UNKNOWN_ID}", {}))[0] == 404


def test_a_snapshot_is_deleted(deployer, snapshot):
    reply = deployer.talk.api("DELETE", snapshot)
    assert (reply.status, reply.body) == (204, b"")
    assert refusal(deployer.talk.api("DELETE", snapshot)) == (404, "NOT_FOUND")
    assert deployer.talk.json("GET", f"{deployer.backups}/snapshots")["total"] == 0
