from __future__ import annotations


def test_all_processes_listen_on_loopback_only(airflow):
    assert airflow.listening() == {f"127.0.0.1:{airflow.port}"}


def test_a_release_waits_deferred_archives_and_deletes(scenarios, archive):
    release = scenarios.wait_for("release", "deferred")
    scenarios.wait_for_end("release")
    assert release.run_state == "success"
    assert release.package.version == f"2.5.4.{release.revision[:8]}"
    stored = archive / "shop" / release.package.name
    assert stored.read_bytes() == release.platform.packages.content(release.package.package_id)
    assert release.count("DELETE", 204) == 1


def test_a_build_waits_deferred_and_returns_the_package_id(scenarios):
    build = scenarios.wait_for("build", "deferred")
    project_id = build.platform.apps["shop"].project_id
    link = {"Mendix Environments": f"https://cloud.home.mendix.com/link/deploy/{project_id}"}
    assert build.links() == link
    build.finish_build()
    scenarios.wait_for_end("build")
    assert build.run_state == "success"
    assert build.return_value() == build.package.package_id
    assert build.links() == link
    assert build.count("POST", 200) == 1


def test_a_cleared_sensor_waits_again(scenarios):
    cleared = scenarios.wait_for("cleared", "deferred")
    # A task is deferred before its trigger has started.
    scenarios.wait_until(lambda: cleared.count("GET", 200) >= 2, "the triggerer to poll")
    cleared.clear()
    scenarios.wait_for("cleared", "deferred", attempt=2)
    before = cleared.count("GET", 200)
    # Airflow fails a try whose wait ends before the scheduler has seen its deferral.
    scenarios.wait_until(lambda: cleared.count("GET", 200) >= before + 2, "another poll of the triggerer")
    cleared.finish_build()
    scenarios.wait_for_end("cleared")
    assert cleared.run_state == "success"
    assert cleared.seen[-1] == (2, "success")
    assert "Trigger cancelled" in cleared.log()
    assert cleared.return_value()["package_id"] == cleared.package.package_id


def test_a_wait_goes_on_after_the_key_was_changed(scenarios, airflow):
    new_key = scenarios.wait_for("new_key", "deferred")
    scenarios.wait_until(lambda: new_key.count("GET", 200) >= 2, "a poll with the first key")
    new_key.rotate_key()
    before = new_key.count("GET", 200)
    scenarios.wait_until(lambda: new_key.count("GET", 200) > before, "a poll with the new key")
    new_key.finish_build()
    scenarios.wait_for_end("new_key")
    assert new_key.run_state == "success"
    assert new_key.count("GET", 401) == 1
    # All waits of a connection share its credentials, so the message is in no task's log.
    log = (airflow.process_logs / "triggerer.log").read_text()
    assert "Connection mendix_new_key: its credentials have changed; polling continues." in log


def test_a_build_that_fails_fails_the_task(scenarios):
    failed = scenarios.wait_for_end("failed_build")
    assert failed.run_state == "failed"
    assert failed.seen[-1] == (1, "failed")
    assert "PackageFailedError" in failed.log()
    assert (
        f"Package {failed.package.package_id} of app shop (version 1.0.0.{failed.revision[:8]}) ended as Failed."
        " The Build API gives no reason" in failed.log()
    )


def test_a_sensor_that_times_out_fails_and_says_the_last_state(scenarios):
    time_out = scenarios.wait_for_end("time_out")
    assert time_out.seen[-1] == (1, "failed")
    assert (1, "deferred") in time_out.seen
    assert "AirflowSensorTimeout" in time_out.log()
    assert f"Package {time_out.package.package_id} of app shop: timed out. Last state: Building" in time_out.log()


def test_a_sensor_that_times_out_with_soft_fail_is_skipped(scenarios):
    soft_fail = scenarios.wait_for_end("soft_fail")
    assert soft_fail.seen[-1] == (1, "skipped")
    assert (1, "deferred") in soft_fail.seen


def test_a_skipped_sensor_says_why(scenarios):
    assert "Skipped, because soft_fail is set: Package" in scenarios.wait_for_end("soft_fail").log()
