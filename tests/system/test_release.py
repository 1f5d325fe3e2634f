"""The release and the rollback on real Airflow: the requests to Mendix, their order, and the final state."""

from __future__ import annotations

import pytest

from .conftest import RELEASE_WITHIN

STEPS = ("snapshots", "stop", "transport", "settings", "start")
ROLLBACK = ("stop", "transport", "restores", "start")


def on(mode, *steps):
    return [f"{mode}: {step}" for step in steps]


def states(scenario, *tasks):
    return {scenario.tasks[f"acceptance.{task}"] for task in tasks}


def is_untouched(scenario, mode):
    """Return whether an environment runs its old package and no change of it was requested."""
    environment = scenario.environment(mode)
    return (
        environment.running_package_id == environment.package_id == scenario.old[mode]
        and environment.data == f"of {mode}"
        and not [change for change in scenario.changes() + scenario.refused() if change.startswith(mode)]
    )


@pytest.fixture
def end(releases):
    """Wait for the end of a run and return it; meanwhile all runs go on."""
    return lambda name: releases.wait_for_end(name, within=RELEASE_WITHIN)


def test_a_release_goes_to_acceptance_and_production_in_order(end, archive):
    release = end("approved")
    assert release.run_state == "success", release.tasks
    before_acceptance = ["packages"]
    before_production = [*before_acceptance, *on("Acceptance", *STEPS)]
    assert release.changes() == [*before_production, *on("Production", *STEPS)]
    assert release.refused() == []
    assert release.changes_at_approval == {
        "approve_acceptance": before_acceptance,
        "approve_production": before_production,
    }
    for mode in ("Acceptance", "Production"):
        environment = release.environment(mode)
        assert environment.running_package_id == release.new
        assert environment.data == f"of {mode}"
        assert environment.deployed_values == {"Shop.Name": f"Shop of {mode}"}
        (snapshot,) = (
            one
            for one in release.platform.backups.snapshots.values()
            if one.environment_id == environment.environment_id
        )
        assert snapshot.data_version.startswith({"Acceptance": "2.5.3", "Production": "2.5.2"}[mode])
        assert [seen.status for seen in release.requests if seen.path == environment.path][-1] == 200
    stored = archive / "approved" / "shop" / release.platform.packages[release.new].name
    assert stored.read_bytes() == release.platform.packages.content(release.new)
    assert release.tasks["production.roll_back.is_needed"] == "skipped"
    assert states(release, "roll_back.stop", "roll_back.start") == {"skipped"}


def test_the_rollback_dag_brings_back_an_archived_package_and_its_data(end, releases, archive):
    release = end("approved")
    older, platform = release.new, release.platform
    newer = platform.packages.add("shop", version="2.6.0", revision="0badc0de")
    kept = release.environment("Acceptance")
    environment = platform.environments.add("shop", "Acceptance", package_id=newer, running=True)
    environment.data = "written since"
    (snapshot_id,) = (
        one.snapshot_id for one in platform.backups.snapshots.values() if one.environment_id == kept.environment_id
    )
    known = set(platform.packages)
    archived = archive / "approved" / "shop" / platform.packages[older].name

    back = releases["back"] = release.another_run("back", "example_mendix_rollback", "start")
    back.start(archived=archived.as_uri(), snapshot_id=snapshot_id)
    end("back")
    assert back.run_state == "success", back.tasks
    assert back.changes() == ["upload", *on("Acceptance", "stop", "transport", "restores", "start")]
    assert back.refused() == []
    (uploaded,) = set(platform.packages) - known
    assert platform.packages.content(uploaded) == archived.read_bytes()
    environment = back.environment("Acceptance")
    assert (environment.running_package_id, environment.data) == (uploaded, "of Acceptance")
    assert [seen.status for seen in back.requests if seen.path == environment.path][-1] == 200


def test_a_rejected_acceptance_ends_the_release(end):
    release = end("rejected")
    assert release.changes() == ["packages"]
    assert release.refused() == []
    assert is_untouched(release, "Acceptance")
    assert is_untouched(release, "Production")
    assert release.tasks["approve_production"] == "skipped"
    assert states(release, "remember_package", "start", "roll_back.is_needed", "deployed") == {"skipped"}
    assert release.tasks["production.deployed"] == "skipped"


@pytest.mark.parametrize("name", ["start_fails", "probe_fails"])
def test_an_app_that_does_not_start_is_rolled_back_and_the_run_fails(name, end):
    release = end(name)
    assert release.run_state == "failed"
    again = ROLLBACK if name == "probe_fails" else ROLLBACK[1:]
    assert release.changes() == ["packages", *on("Acceptance", *STEPS, *again)]
    environment = release.environment("Acceptance")
    assert environment.running_package_id == environment.package_id == release.old["Acceptance"]
    assert environment.data == "of Acceptance"
    assert states(release, "roll_back.stop", "roll_back.restore", "roll_back.start") == {"success"}
    assert states(release, "deployed") == {"upstream_failed"}
    assert release.tasks["approve_production"] == "upstream_failed"
    assert is_untouched(release, "Production")
    assert not [seen for seen in release.requests if "/Production/" in seen.path]
    if name == "start_fails":
        assert states(release, "start") == {"failed"}
        assert "DB_SYNC_FAILED" in release.log()
    else:
        assert states(release, "start") == {"success"}
        assert states(release, "probe") == {"failed"}


def test_a_run_killed_after_every_call_makes_each_change_once(end):
    release = end("killed")
    assert release.killing == []
    killed = ("backup", "stop", "transport", "settings", "start")
    assert all(release.tries[f"acceptance.{task}"] >= 2 for task in killed)
    assert release.changes() == ["packages", *on("Acceptance", *STEPS)]
    # Only the start is requested again while the first one goes on: Mendix refuses that, and the task waits.
    assert set(release.refused()) == {"Acceptance: start"}
    environment = release.environment("Acceptance")
    assert environment.running_package_id == release.new
    assert environment.data == "of Acceptance"
    assert states(release, "deployed") == {"success"}
    assert release.run_state == "success", release.tasks
    # Production was rejected.
    assert is_untouched(release, "Production")
    assert release.tasks["production.deployed"] == "skipped"
