"""A fault schedule is data, made of one integer seed: what fails, who dies, which clock jumps, what users do."""

from __future__ import annotations

import random
from typing import Literal

import msgspec

from airflow_provider_mendix.settings import MAX_CLOCK_SKEW, VISIBILITY_TIMEOUT
from airflow_provider_mendix.simulator.state.packages import BuildOutcome

READS = ("list_packages", "get_package")

Kind = Literal["one task", "two workers"]
Mode = Literal["on the worker", "deferred", "not at all"]
Where = Literal["sending", "handled", "sleeping", "deferring", "resuming", "returning"]


class Crash(msgspec.Struct, frozen=True):
    """The process of the task, or of its trigger, is gone.

    :param where: before a request is sent; after it is handled and before its reply is read; while it sleeps;
        before Airflow has the deferral; when the event is there; when it is done and Airflow has not heard of it.
    :param nth: the nth time that this happens in the schedule.
    :param on: for requests: of this endpoint only.
    """

    where: Where
    nth: int = 1
    on: str = ""

    def __str__(self) -> str:
        return f"{self.where}, time {self.nth}" + (f" of {self.on}" if self.on else "")


class Jump(msgspec.Struct, frozen=True):
    """Airflow's clock is set; Mendix's is not.

    :param nth: before the nth request or sleep of the schedule.
    """

    nth: int
    seconds: float

    def __str__(self) -> str:
        return f"by {self.seconds:+.0f} s before step {self.nth}"


class Trouble(msgspec.Struct, frozen=True):
    """A fault of the simulator, there from the start."""

    name: str
    parameters: dict[str, object]

    def __str__(self) -> str:
        return f"{self.name} " + " ".join(f"{name}={value}" for name, value in self.parameters.items())


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What one task run meets.

    :param waits: how the task waits for its build.
    :param visible_after: seconds until a package shows; ``visible_on`` says where.
    :param scheduler_ahead: seconds that the clock that stamps the DAG run is ahead of Mendix's.
    :param pauses: seconds from the end of each try to the next one, over and over.
    :param clears: after these tries, counted through, a user clears the task instead of a retry.
    :param clears_finished_runs: a Clear moves the start of the DAG run, as it does if the run was finished.
    :param second_joins: for two workers: after so many steps of the first.
    :param retry_failed_build: whether a retry may replace a build that has failed.
    :param first_stalls: for two workers: and then the first stands still for so many steps of the second.
    """

    seed: int
    kind: Kind = "one task"
    waits: Mode = "on the worker"
    retries: int = 3
    description: str = ""
    on_clear: Literal["rebuild", "reattach"] = "rebuild"
    visible_after: float = 0.0
    visible_on: str = "list_packages"
    scheduler_ahead: float = 0.0
    pauses: tuple[float, ...] = (300.0,)
    clears: tuple[int, ...] = ()
    clears_finished_runs: bool = False
    endings: tuple[BuildOutcome, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    crashes: tuple[Crash, ...] = ()
    jumps: tuple[Jump, ...] = ()
    second_joins: int = 0
    first_stalls: int = 0
    retry_failed_build: bool = True

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.kind}, waits {self.waits}, retries {self.retries}"]
        for name in self.__struct_fields__[4:]:
            value = getattr(self, name)
            if isinstance(value, tuple) and value:
                lines.append(f"  {name}:")
                lines += [f"    {each}" for each in value]
            elif value not in ((), ""):
                lines.append(f"  {name}: {value}")
        return "\n".join(lines)


def schedule(seed: int) -> Schedule:
    """Make the schedule of a seed."""
    chance = random.Random(seed)
    if chance.random() < 0.12:
        return _two_workers(seed, chance)
    retries = chance.choice((0, 1, 2, 3, 3, 5))
    clears = _some(chance, (1, 1, 2, 2, 3, 4), at_most=2) if chance.random() < 0.3 else ()
    return Schedule(
        seed=seed,
        waits=chance.choices(("on the worker", "deferred", "not at all"), (5, 5, 1))[0],
        retries=retries,
        description=_description(chance),
        on_clear="reattach" if chance.random() < 0.3 else "rebuild",
        visible_after=chance.choice((0.0, 0.0, 0.0, 5.0, 20.0, 40.0, VISIBILITY_TIMEOUT)),
        visible_on=chance.choice(("list_packages", "list_packages", "GET")),
        scheduler_ahead=chance.choice((0.0, 0.0, -MAX_CLOCK_SKEW, MAX_CLOCK_SKEW, chance.uniform(-600, 600))),
        pauses=_some(chance, (0.0, 1.0, 30.0, 300.0, 400.0, 1500.0), at_most=3) or (300.0,),
        clears=clears,
        clears_finished_runs=chance.random() < 0.7,
        endings=_endings(chance),
        troubles=tuple(_troubles(chance)),
        crashes=_crashes(chance),
        jumps=_jumps(chance),
        retry_failed_build=chance.random() < 0.6,
    )


def _two_workers(seed: int, chance: random.Random) -> Schedule:
    return Schedule(
        seed=seed,
        kind="two workers",
        waits=chance.choices(("on the worker", "deferred", "not at all"), (3, 2, 3))[0],
        retries=chance.choice((1, 2, 3)),
        description=_description(chance),
        visible_after=chance.choice((0.0, 0.0, 0.0, 20.0, VISIBILITY_TIMEOUT)),
        scheduler_ahead=chance.uniform(-MAX_CLOCK_SKEW, MAX_CLOCK_SKEW),
        endings=_endings(chance) if chance.random() < 0.3 else (),
        troubles=tuple(_on_start(chance) for _ in range(chance.choice((0, 0, 1, 2)))),
        jumps=_jumps(chance),
        second_joins=chance.choice((0, 1, 2, 2, 2, 2, 3, 4, 6)),
        # The second is a retry: without a build to be found, it looks for a minute before its start call.
        first_stalls=chance.choice((0, 10, 38, 39, 40, chance.randint(36, 50))),
    )


def _description(chance: random.Random) -> str:
    return chance.choice(("", "Nightly build", "Release ü 2.5.4 [hotfix]", "long " * 60))


def _endings(chance: random.Random) -> tuple[BuildOutcome, ...]:
    bad = (
        BuildOutcome.FAILS_WHILE_QUEUED,
        BuildOutcome.FAILS_WHILE_BUILDING,
        BuildOutcome.FAILS_WHILE_UPLOADING,
        BuildOutcome.REFUSED,
        BuildOutcome.STUCK_QUEUED,
        BuildOutcome.STUCK_BUILDING,
        BuildOutcome.UNKNOWN_STATUS,
        BuildOutcome.SUCCEEDS,
    )
    return tuple(chance.choices(bad, (3, 3, 2, 2, 1, 1, 2, 3), k=chance.choice((0, 0, 0, 1, 2, 3))))


def _troubles(chance: random.Random) -> list[Trouble]:
    troubles = []
    if chance.random() < 0.6:
        troubles.append(_on_start(chance))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        after, times = chance.choice((0, 0, 1, 2, 3, 5)), chance.choice((1, 1, 2, 3, 4, 8))
        troubles.append(_failure(chance, chance.choice((*READS, "GET", "get_app", "")), after, times))
    if chance.random() < 0.2:
        on = chance.choices(("start_build", *READS), (6, 2, 1))[0]
        times, after = chance.choice((1, 1, 2, 9)), chance.choice((0, 0, 1, 2))
        cut = {"length": chance.choice((0, 8, 12, 30, 34, 36, 38, 40, 42, 48, 50, 190, 199))}
        name, more = chance.choice((("dropped_description", {}), ("truncated_description", cut)))
        troubles.append(Trouble(name, {"on": on, "after": after, "times": times, **more}))
    return troubles


def _on_start(chance: random.Random) -> Trouble:
    return _failure(chance, "start_build", chance.choice((0, 0, 0, 1)), chance.choice((1, 1, 1, 2)))


def _failure(chance: random.Random, on: str, after: int, times: int) -> Trouble:
    handled = chance.random() < 0.6
    statuses = (500, 500, 501, 503, 503, 400, 403)
    codes = (None, None, "BUILD_FAILED", "INTERNAL_ERROR", "SERVICE UNAVAILABLE")
    failures: list[tuple[str, dict[str, object]]] = [
        ("reply_lost", {}),
        ("connection_reset", {}),
        ("hang", {"handled": handled}),
        ("latency", {"seconds": chance.choice((5, 59, 61))}),
        ("rate_limited", {"retry_after": chance.choice((None, 0, 7, 60, 300))}),
        (
            "server_error",
            {"status": chance.choice(statuses), "code": chance.choice(codes), "handled": handled},
        ),
        ("bad_gateway", {"status": chance.choice((502, 503, 504)), "handled": handled}),
        ("truncated_json", {}),
        ("empty_body", {}),
    ]
    name, parameters = chance.choice(failures)
    return Trouble(name, {"on": on, "after": after, "times": times, **parameters})


def _crashes(chance: random.Random) -> tuple[Crash, ...]:
    crashes = []
    if chance.random() < 0.35:
        crashes.append(Crash("handled", chance.choice((1, 1, 1, 2)), "start_build"))
    if chance.random() < 0.1:
        crashes.append(Crash("sending", 1, "start_build"))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 5))):
        where = chance.choices(
            ("sending", "handled", "sleeping", "deferring", "resuming", "returning"), (4, 4, 4, 1, 1, 1)
        )[0]
        requests = where in ("sending", "handled", "sleeping")
        crashes.append(Crash(where, chance.randint(1, 30) if requests else chance.choice((1, 1, 2))))
    return tuple(crashes)


def _jumps(chance: random.Random) -> tuple[Jump, ...]:
    jumps = []
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        ahead = chance.random() < 0.6
        seconds = chance.uniform(60, 900) if ahead else -chance.uniform(1, MAX_CLOCK_SKEW)
        jumps.append(Jump(chance.randint(1, 40), round(seconds)))
    return tuple(jumps)


def _some(chance: random.Random, among: tuple[float, ...], *, at_most: int) -> tuple:
    return tuple(chance.choices(among, k=chance.randint(1, at_most)))
