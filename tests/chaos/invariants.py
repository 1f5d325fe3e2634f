"""What must hold whatever happens: one intent, one build."""

from __future__ import annotations

from airflow_provider_mendix.builds.marker import Marker
from airflow_provider_mendix.exceptions import PackageFailedError
from airflow_provider_mendix.settings import MAX_CLOCK_SKEW

from .world import World


def check(world: World) -> list[str]:
    """Return what is wrong with the end of a schedule; the world itself has recorded what went wrong before.

    It ends with one try more, in which nothing goes wrong any more.
    """
    wrong = list(world.wrong)
    for intent, ended in world.ends:
        alike = _indistinguishable(world, intent)
        own = {each.package_id for each in world.made if each.intent == intent}
        if ended.well and ended.package_id not in own | alike:
            wrong.append(f"A try of intent {intent} gave {ended.package_id}, which is none of its packages.")
        if ended.well and world.schedule.waits != "not at all":
            status = world.platform.packages.status(ended.package_id or "")
            if status != "Succeeded":
                wrong.append(f"A try of intent {intent} waited for {ended.package_id}, but it is {status}.")
        alone = world.schedule.kind == "one task"
        if alone and not set(ended.extra) <= (own | alike if alike else alike):
            wrong.append(
                f"A try of intent {intent} reported {ended.extra}, although there was one worker at a time."
            )
    return wrong + _check_two(world) + _check_one_more_try(world)


def _check_one_more_try(world: World) -> list[str]:
    """Check that it finds the existing build, and starts one only if there is none."""
    world.calm_down()
    alike = _indistinguishable(world, world.intent, stored_only=True)
    world.retry()
    world.time.sleep(3600 if world.schedule.seed % 2 else 0)
    alive, before = world.alive(), len(world.made)
    marked = [package_id for package_id in alive if _has_marker(world, package_id)]
    guessed = {package_id for package_id in alive if not _is_before_the_run(world, package_id)}
    ended = world.run_try(world.ti, wait_for_completion=False)
    started = [each.package_id for each in world.made[before:]]
    told = f"One more try ended as {ended} and started {started}, and there was {alive}"
    if isinstance(ended.error and ended.error.__context__, PackageFailedError):
        may_fail = not world.schedule.retry_failed_build and not started and not marked
        return [] if may_fail else [f"{told}."]
    if not ended.well:
        return [f"{told}; nothing was in its way."]
    if marked:
        right = ended.package_id == marked[0] and not started and list(ended.extra) == marked[1:]
    elif ended.package_id in guessed | alike:
        right = not started
    else:
        right = not guessed and started == [ended.package_id]
    return [] if right else [f"{told}."]


def _check_two(world: World) -> list[str]:
    """Two workers start at most one build each, and where they can see each other's, both take the earliest."""
    if world.schedule.kind != "two workers":
        return []
    first, second = world.two
    made = [each.package_id for each in world.made if each.by in (1, 2)]
    wrong = []
    if len(made) > 2:
        wrong.append(f"Two workers started {made}.")
    if world.schedule.visible_after or world.schedule.endings or not (first.well and second.well):
        return wrong
    if {first.package_id, second.package_id} != {made[0]}:
        wrong.append(f"Of {made}, the first worker took {first.package_id}, the second {second.package_id}.")
    if len(made) == 2 and (made[1],) not in (first.extra, second.extra):
        wrong.append(f"No worker reported {made[1]}: {first.extra}, {second.extra}.")
    return wrong


def _indistinguishable(world: World, intent: int, *, stored_only: bool = False) -> set[str]:
    """Return the packages that look like those of an intent, because Mendix kept or showed no marker.

    They are those of the same task from before a Clear. Where the list itself comes without descriptions, also
    those of others who build the same revision as the same version.
    """
    before = {each.package_id for each in world.made if each.intent < intent}
    if not stored_only and any(
        active.call_count
        for trouble, active in world.troubles
        if trouble.name.endswith("_description") and trouble.parameters["on"] != "start_build"
    ):
        return before | world.foreign
    return {package_id for package_id in before if not _has_marker(world, package_id)}


def _has_marker(world: World, package_id: str) -> bool:
    return Marker.of(world.platform.packages[package_id].description) is not None


def _is_before_the_run(world: World, package_id: str) -> bool:
    """Return whether a package looks older than the DAG run, as it does after a Clear that moved its start."""
    return world.platform.packages[package_id].created_at < world.began_at - MAX_CLOCK_SKEW
