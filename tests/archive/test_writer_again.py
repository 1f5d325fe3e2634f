"""Run again, a task finds what is there, and never writes over what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_mendix.simulator.state.package_file import mda

from .conftest import SIZE, transfer
from .hosts import cut

OLD = b"the release of last week"


@pytest.fixture
def archived(package_id, place, host, context):
    """The package is there, and nothing is in the journal any more."""
    result = transfer(package_id, place).execute(context)
    host.forget()
    return result


def make_pending(place) -> None:
    """Leave what a run leaves that is killed between the commit of the object and its manifest."""
    place.pending_path.write_bytes(json.dumps({**place.manifest(), "complete": False}).encode())
    place.manifest_path.unlink()


def test_the_same_object_is_left_alone(archived, package_id, place, host, context, caplog):
    caplog.set_level("INFO")
    before = place.manifest()
    assert transfer(package_id, place).execute(context) == {**archived, "stored": False}
    assert host.requests == []
    assert host.links == 0
    assert place.manifest() == before
    assert f"is already package {package_id}" in caplog.text


@pytest.mark.parametrize("if_object_exists", ["skip", "replace"])
def test_the_same_object_is_left_alone_whatever_is_to_happen_to_others(
    if_object_exists, archived, package_id, place, host, context
):
    result = transfer(package_id, place, if_object_exists=if_object_exists).execute(context)
    assert result["stored"] is False
    assert host.requests == []


class TestAnotherObject:
    def test_it_fails_the_task(self, package_id, place, host, context):
        place.put(OLD)
        with pytest.raises(AirflowFailException, match=r"ObjectExistsError.*there is no manifest beside it"):
            transfer(package_id, place).execute(context)
        assert place.content() == OLD
        assert host.requests == []

    def test_it_skips_the_task(self, package_id, place, host, context):
        place.put(OLD)
        with pytest.raises(AirflowSkipException, match="no manifest"):
            transfer(package_id, place, if_object_exists="skip").execute(context)
        assert place.content() == OLD
        assert host.requests == []

    def test_it_is_replaced(self, package_id, place, platform, context):
        place.put(OLD, manifest=b"{}")
        result = transfer(package_id, place, if_object_exists="replace").execute(context)
        assert result["stored"] is True
        assert place.is_archived(platform, package_id)

    def test_another_package_is_known_by_its_manifest(self, archived, place, platform, context):
        other = platform.packages.add("shop", version="2.5.5", revision="aaaa1111")
        with pytest.raises(AirflowFailException, match=f"it is package {archived['package_id']} of app shop"):
            transfer(other, place).execute(context)
        transfer(other, place, if_object_exists="replace").execute(context)
        assert place.is_archived(platform, other)

    @pytest.mark.parametrize(
        "change",
        [
            {"schema": 2},
            {"schema": None},
            {"sha256": "ABC"},
            {"size": -1},
            {"size": "3145728"},
            {"complete": "yes"},
            {"verification": {}},
            {"task": None},
        ],
        ids=str,
    )
    def test_a_manifest_that_is_not_ours_says_nothing(self, change, package_id, local, context):
        place = local()
        transfer(package_id, place).execute(context)
        place.put_manifest({**place.manifest(), **change})
        with pytest.raises(AirflowFailException, match="its manifest cannot be read"):
            transfer(package_id, place).execute(context)

    @pytest.mark.parametrize("manifest", [b"", b"{", b"\xff", b"null", b"[" * 100_000, b" " * 2_000_000])
    def test_a_manifest_that_does_not_parse_says_nothing(self, manifest, package_id, platform, place, context):
        place.put(platform.packages.content(package_id), manifest=manifest)
        with pytest.raises(AirflowFailException, match="manifest"):
            transfer(package_id, place).execute(context)

    def test_an_object_that_was_written_over(self, archived, package_id, place, host, context):
        place.put(OLD)
        with pytest.raises(AirflowFailException, match=f"{len(OLD)} bytes, but its manifest says {SIZE}"):
            transfer(package_id, place).execute(context)
        assert host.requests == []


class TestPendingManifest:
    def test_the_object_is_read_back_and_gets_its_manifest(
        self, archived, package_id, place, platform, host, context
    ):
        complete = place.manifest()
        make_pending(place)
        assert transfer(package_id, place).execute(context) == {**archived, "stored": False}
        assert place.manifest() == complete
        assert place.is_archived(platform, package_id)
        assert host.requests == []

    @pytest.mark.parametrize("if_object_exists", ["fail", "skip", "replace"])
    def test_an_object_that_is_not_what_it_says(
        self, if_object_exists, archived, package_id, place, platform, context
    ):
        other = mda("another-package", SIZE)
        make_pending(place)
        place.put(other)
        operator = transfer(package_id, place, if_object_exists=if_object_exists)
        if if_object_exists == "replace":
            operator.execute(context)
            assert place.is_archived(platform, package_id)
            return
        with pytest.raises((AirflowFailException, AirflowSkipException), match="its content is not what"):
            operator.execute(context)
        assert place.content() == other

    def test_without_an_object_the_file_is_stored(self, archived, package_id, place, platform, context):
        make_pending(place)
        place.path.unlink()
        assert transfer(package_id, place).execute(context)["stored"] is True
        assert place.is_archived(platform, package_id)

    def test_of_another_package_it_is_another_object(self, archived, place, platform, context):
        make_pending(place)
        other = platform.packages.add("shop", version="2.5.5", revision="aaaa1111")
        with pytest.raises(AirflowFailException, match="there is no manifest beside it"):
            transfer(other, place).execute(context)

    def test_it_is_removed_if_the_manifest_is_there(self, archived, package_id, place, platform, context):
        place.pending_path.write_bytes(b"left by a killed run")
        assert transfer(package_id, place).execute(context) == {**archived, "stored": False}
        assert place.is_archived(platform, package_id)

    def test_a_manifest_that_is_not_complete_says_nothing(self, archived, package_id, place, context):
        place.put_manifest({**place.manifest(), "complete": False})
        with pytest.raises(AirflowFailException, match="its manifest is not complete"):
            transfer(package_id, place).execute(context)


def test_the_result_is_small_and_plain(archived):
    assert len(json.dumps(archived)) < 1000


def test_another_try_that_is_faster_is_no_failure(package_id, place, platform, host, context):
    """Two workers bring the same package; the slow one finds its upload swept away, and the object there."""
    done = []
    faster = {**context, "ti": replace(context["ti"], try_number=2)}

    def overtaken(reply):
        if not done:
            done.append(True)
            done.append(transfer(package_id, place).execute(faster))
        return reply

    host.then(cut(SIZE - 10), overtaken)
    result = transfer(package_id, place).execute(context)
    assert done[1]["stored"] is True
    assert result["sha256"] == platform.packages.sha256(package_id)
    assert place.is_archived(platform, package_id)
