"""Pruning: what the operator lists, checks in the archive, and deletes."""

from __future__ import annotations

import logging
import math
import shutil
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_mendix.archive.stores.local import LocalStore
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.operators.package import MendixPrunePackagesOperator
from airflow_provider_mendix.simulator.wire import Reply
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from ..conftest import USER

DAY = 24 * 60 * 60.0


def prune(**arguments):
    return MendixPrunePackagesOperator(task_id="prune", **{"app_id": "shop", "keep_last": 2, **arguments})


@pytest.fixture
def packages(server, platform):
    """Put five packages there, the oldest first, a day apart."""
    return [
        platform.packages.add("shop", version=f"2.5.{5 - days}", revision="0badc0de", age=days * DAY)
        for days in (5, 4, 3, 2, 1)
    ]


class TestOperator:
    def test_it_deletes_what_is_old_the_oldest_first(self, packages, platform, context):
        assert prune().execute(context) == {
            "deleted": packages[:3],
            "in_use": [],
            "missing": [],
            "kept": 2,
            "dry_run": False,
        }
        assert list(platform.packages) == packages[3:]
        sent = [entry.path.rpartition("/")[2] for entry in platform.journal.requests("DELETE")]
        assert sent == packages[:3]

    def test_the_plan_is_logged_before_anything_is_deleted(self, packages, platform, context, caplog):
        answer, before = platform.handle, []

        def handle(request):
            if request.method == "DELETE" and not before:
                before.append((context["ti"].xcoms["plan"], [record.getMessage() for record in caplog.records]))
            return answer(request)

        platform.handle = handle
        with caplog.at_level(logging.INFO):
            prune().execute(context)
        ((planned, told),) = before
        assert [entry["package_id"] for entry in planned["delete"]] == packages[:3]
        assert [entry["package_id"] for entry in planned["keep"]] == packages[:2:-1]
        assert told[-4:] == [
            f"To be deleted: package {packages[0]} of app shop, version 2.5.0.0badc0de, 5 days old, Succeeded",
            f"To be deleted: package {packages[1]} of app shop, version 2.5.1.0badc0de, 4 days old, Succeeded",
            f"To be deleted: package {packages[2]} of app shop, version 2.5.2.0badc0de, 3 days old, Succeeded",
            "App shop: 3 package(s) to delete, 2 to keep",
        ]

    def test_a_dry_run_logs_and_deletes_nothing(self, packages, platform, context):
        done = prune(dry_run=True).execute(context)
        assert done == {"deleted": [], "in_use": [], "missing": [], "kept": 2, "dry_run": True}
        assert [entry["package_id"] for entry in context["ti"].xcoms["plan"]["delete"]] == packages[:3]
        assert not platform.journal.requests("DELETE")

    @pytest.mark.skipif(not hasattr(BaseOperator, "dry_run"), reason="Airflow 3.0 has no such method")
    def test_airflows_own_dry_run_still_works(self):
        prune(dry_run=True).dry_run()

    def test_one_in_use_is_kept_and_reported(self, packages, platform, context):
        platform.packages[packages[1]].in_use = True
        done = prune().execute(context)
        assert (done["deleted"], done["in_use"]) == ([packages[0], packages[2]], [packages[1]])
        assert packages[1] in platform.packages

    def test_one_that_is_gone_already_is_accepted(self, packages, platform, context):
        answer = platform.handle

        def handle(request):
            if request.method == "DELETE":
                platform.packages.pop(packages[1], None)
            return answer(request)

        platform.handle = handle
        done = prune().execute(context)
        assert (done["deleted"], done["missing"]) == ([packages[0], packages[2]], [packages[1]])

    def test_one_that_is_being_built_is_kept(self, packages, platform, context):
        platform.packages[packages[0]].steps = [("Building", math.inf)]
        done = prune().execute(context)
        assert (done["deleted"], done["kept"]) == (packages[1:3], 3)

    def test_it_keeps_as_many_of_each_branch(self, packages, platform, context):
        other = [
            platform.packages.add(
                "shop", version=f"3.0.{days}", revision="0badc0de", branch="next", age=days * DAY
            )
            for days in (9, 8)
        ]
        assert prune(keep_last=1, per_branch=True).execute(context)["deleted"] == [other[0], *packages[:4]]

    def test_it_deletes_only_what_is_older(self, packages, context):
        older_than = timedelta(days=3, hours=12)
        assert prune(older_than=older_than).execute(context)["deleted"] == packages[:2]

    def test_an_app_without_packages_is_fine(self, server, context):
        assert prune().execute(context)["kept"] == 0

    def test_everything_a_user_would_template_is_templated(self, packages, context):
        operator = prune(app_id="{{ app }}", mendix_conn_id="{{ conn }}")
        operator.render_template_fields({"app": "shop", "conn": "mendix_default"})
        assert operator.execute(context)["deleted"] == packages[:3]

    @pytest.mark.parametrize("app_id", ["", None, "Web Shop", "{{ app }}"])
    def test_a_bad_app_is_refused_before_any_request(self, app_id, server, platform, context):
        with pytest.raises(AirflowFailException):
            prune(app_id=app_id).execute(context)
        assert not platform.journal

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ({"keep_last": 0}, "keep_last must be at least 1, not 0"),
            ({"older_than": timedelta(days=-1)}, "older_than must be a timedelta that is not negative"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, bad, said):
        with pytest.raises(ValueError, match=said):
            prune(**bad)

    def test_how_many_to_keep_is_required(self):
        with pytest.raises(TypeError, match="keep_last"):
            MendixPrunePackagesOperator(task_id="prune", app_id="shop")


@pytest.fixture
def archive(tmp_path, packages, context):
    """Archive the three oldest packages, and return the folder."""
    for package_id in packages[:3]:
        MendixToObjectStorageOperator(
            task_id="archive",
            app_id="shop",
            package_id=package_id,
            destination=f"file://{tmp_path}/releases/{{app_id}}/{{package_id}}.mda",
        ).execute(context)
    return tmp_path / "releases"


def why(context):
    """Return why the packages stay, by the plan."""
    return {kept["package_id"]: kept["reason"] for kept in context["ti"].xcoms["plan"]["keep"]}


class TestOnlyIfArchived:
    def guarded(self, archive, **arguments):
        return prune(only_if_archived=f"file://{archive}", **arguments)

    def damage(self, archive, package_id):
        file = archive / "shop" / f"{package_id}.mda"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        return file

    def test_what_is_archived_is_deleted(self, archive, packages, platform, context):
        assert self.guarded(archive).execute(context)["deleted"] == packages[:3]
        assert list(platform.packages) == packages[3:]

    def test_what_is_not_archived_stays(self, archive, packages, platform, context):
        (archive / "shop" / f"{packages[1]}.mda").unlink()
        done = self.guarded(archive).execute(context)
        assert (done["deleted"], done["kept"]) == ([packages[0], packages[2]], 3)
        assert why(context)[packages[1]] == f"it is not archived in file://{archive}"
        assert list(platform.packages) == packages[1:2] + packages[3:]

    @pytest.mark.parametrize("ending", ["", ".manifest.json"])
    def test_of_half_a_pair_nothing_is_deleted(self, ending, archive, packages, platform, context):
        for package_id in packages[:3]:
            (archive / "shop" / f"{package_id}.mda{ending}").unlink()
        assert self.guarded(archive).execute(context)["deleted"] == []
        assert list(platform.packages) == packages

    def test_an_unfinished_manifest_is_none(self, archive, packages, platform, context):
        manifest = archive / "shop" / f"{packages[0]}.mda.manifest.json"
        manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
        assert self.guarded(archive).execute(context)["deleted"] == packages[1:3]
        assert why(context)[packages[0]].startswith("it is not archived in ")

    def test_what_is_damaged_in_the_archive_stays(self, archive, packages, platform, context, caplog):
        file = self.damage(archive, packages[0])
        assert self.guarded(archive).execute(context)["deleted"] == packages[1:3]
        assert why(context)[packages[0]] == f"its archived object is damaged (file://{file})"
        assert "its SHA-256 is" in caplog.text

    def test_one_undamaged_copy_is_enough(self, archive, packages, platform, context):
        shutil.copytree(archive / "shop", archive / "copies")
        self.damage(archive, packages[0])
        assert self.guarded(archive).execute(context)["deleted"] == packages[:3]

    def test_the_archive_of_another_app_does_not_count(self, archive, packages, platform, context):
        for manifest in (archive / "shop").glob("*.json"):
            manifest.write_text(manifest.read_text().replace('"app_id": "shop"', '"app_id": "plan"'))
        assert self.guarded(archive).execute(context)["deleted"] == []

    def test_a_folder_that_is_not_there_holds_nothing(self, archive, packages, platform, context):
        assert self.guarded(archive / "elsewhere").execute(context)["deleted"] == []
        assert list(platform.packages) == packages

    def test_what_failed_needs_no_archive(self, archive, packages, platform, context):
        (archive / "shop" / f"{packages[0]}.mda").unlink()
        platform.packages[packages[0]].steps = [("Failed", math.inf)]
        assert self.guarded(archive).execute(context)["deleted"] == packages[:3]

    def test_all_is_checked_before_anything_is_deleted(self, archive, packages, platform, context, monkeypatch):
        def read(store, path):
            if packages[2] in path and path.endswith(".mda"):
                raise OSError(5, "the disk is gone")
            return whole(store, path)

        whole = LocalStore.read
        monkeypatch.setattr(LocalStore, "read", read)
        with pytest.raises(OSError, match="the disk is gone"):
            self.guarded(archive).execute(context)
        assert list(platform.packages) == packages

    def test_only_what_would_be_deleted_is_read(self, archive, packages, platform, context, monkeypatch):
        def read(store, path):
            if path.endswith(".mda"):
                files.append(path)
            return whole(store, path)

        files, whole = [], LocalStore.read
        monkeypatch.setattr(LocalStore, "read", read)
        self.guarded(archive, keep_last=4).execute(context)
        assert files == [str(archive / "shop" / f"{packages[0]}.mda")]

    def test_a_dry_run_plans_the_same(self, archive, packages, platform, context):
        self.damage(archive, packages[0])
        assert self.guarded(archive, dry_run=True).execute(context)["kept"] == 3
        assert "damaged" in why(context)[packages[0]]
        assert list(platform.packages) == packages

    @pytest.mark.parametrize("rendered", ["", "none", None])
    def test_a_folder_that_renders_to_nothing_is_refused(self, rendered, packages, platform, context):
        operator = prune(only_if_archived="{{ folder }}")
        operator.only_if_archived = rendered
        with pytest.raises(AirflowFailException, match="names no folder"):
            operator.execute(context)
        assert not platform.journal

    def test_it_is_templated(self, archive, packages, context):
        operator = prune(only_if_archived="file://{{ folder }}", archive_conn_id="{{ conn }}")
        operator.render_template_fields({"folder": str(archive), "conn": "fs_default"})
        assert operator.execute(context)["deleted"] == packages[:3]


class TestTrouble:
    @pytest.mark.parametrize("fault", ["connection_reset", "reply_lost", "bad_gateway", "rate_limited"])
    def test_the_others_are_deleted_and_a_retry_finishes_it(self, fault, packages, platform, context):
        platform.faults.add(fault, on="delete_package", after=1)
        with pytest.raises(MendixError, match=rf"Left: {packages[1]}\. Deleted: {packages[0]}, {packages[2]}\."):
            prune().execute(context)
        assert set(platform.packages) >= set(packages[3:])
        done = prune().execute(context)
        # A lost reply hides that it was carried out.
        assert done["deleted"] == ([] if fault == "reply_lost" else [packages[1]])
        assert list(platform.packages) == packages[3:]

    def test_an_unknown_error_does_not_stop_the_others(self, packages, platform, context):
        platform.faults.add("server_error", status=500, code="DISK_FULL", on="delete_package")
        with pytest.raises(MendixError, match=f"Left: {packages[0]}"):
            prune().execute(context)
        assert list(platform.packages) == [packages[0], *packages[3:]]

    def test_it_gives_up_after_failures_in_a_row(self, server, platform, context):
        ids = [
            platform.packages.add("shop", version="2.5.0", revision="0badc0de", age=days * DAY)
            for days in range(40, 0, -1)
        ]
        platform.faults.add("bad_gateway", on="delete_package", times=None, after=1)
        with pytest.raises(
            MendixError, match=rf"Left: {ids[1]}, .* and 17 more\. Deleted: {ids[0]}\. In use: none"
        ):
            prune().execute(context)
        assert len(platform.journal.requests("DELETE")) == 6
        assert list(platform.packages) == ids[1:]

    def test_a_transient_error_of_the_list_is_survived(self, packages, platform, context):
        platform.faults.add("bad_gateway", on="list_packages", times=3)
        assert prune().execute(context)["deleted"] == packages[:3]

    def test_nothing_is_deleted_if_the_list_cannot_be_read(self, packages, platform, context):
        platform.handle = lambda request: Reply(200, {}, b'[{"PackageId": "p-1"')
        with pytest.raises(MendixError):
            prune().execute(context)
        assert list(platform.packages) == packages

    def test_a_refused_key_ends_the_task_at_once(self, packages, platform, context):
        answer = platform.handle

        def handle(request):
            if len(platform.packages) == 4:
                platform.permissions.set_api_key(USER, "another-key")
            return answer(request)

        platform.handle = handle
        with pytest.raises(AirflowFailException, match="API Rights"):
            prune().execute(context)
        assert list(platform.packages) == packages[1:]
        assert len(platform.journal.requests("DELETE")) == 2
