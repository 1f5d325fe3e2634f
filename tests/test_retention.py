from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix import retention
from airflow_provider_mendix.api.build import Package

DAY = 24 * 60 * 60.0
NOW = pendulum.datetime(2026, 1, 31)
UNFINISHED = ["Queued", "Building", "Uploading", "Optimizing"]


def package(number, *, status="Succeeded", days=None, line="main"):
    """Make a package of some age."""
    version = f"1.0.{number}.9f3ab2c1"
    return Package(
        package_id=f"p-{number}",
        status=status,
        name=f"{line}-{version}.mda" if line else "renamed.mda",
        version=version,
        creation_date=None if days is None else NOW.subtract(days=days),
    )


def plan(packages, **rules):
    return retention.plan(
        packages, **{"keep_last": 1, "per_branch": False, "older_than": None, "now": NOW, **rules}
    )


def ids(packages):
    return [found.package_id for found in packages]


def reasons(plan):
    return {kept.package.package_id: kept.reason for kept in plan.keep}


class TestPlan:
    def test_the_newest_that_have_succeeded_stay_and_the_oldest_goes_first(self):
        packages = [package(number, days=number) for number in (3, 1, 5, 2, 4)]
        planned = plan(packages, keep_last=2)
        assert ids(planned.delete) == ["p-5", "p-4", "p-3"]
        assert reasons(planned) == dict.fromkeys(
            ["p-1", "p-2"], "it is as new as the newest 2 that have Succeeded"
        )

    def test_what_failed_goes_but_does_not_count(self):
        packages = [package(number, days=number, status="Failed") for number in (1, 3, 5)]
        planned = plan([*packages, package(2, days=2), package(4, days=4)], keep_last=2)
        assert ids(planned.delete) == ["p-5"]

    @pytest.mark.parametrize("status", UNFINISHED)
    def test_what_is_not_finished_stays_however_old(self, status):
        planned = plan([package(1, days=1), package(2, days=400, status=status)])
        assert (planned.delete, reasons(planned)["p-2"]) == ((), f"it is {status}")

    def test_what_has_no_date_stays_and_does_not_count(self):
        planned = plan([package(1, days=1), package(2, days=2), package(3), package(4, status="Failed")])
        assert ids(planned.delete) == ["p-2"]
        assert reasons(planned)["p-3"] == reasons(planned)["p-4"] == "it has no date"

    def test_nothing_goes_where_too_few_have_succeeded(self):
        planned = plan([package(1, days=1), package(2, days=2), package(3, days=3, status="Failed")], keep_last=3)
        assert planned.delete == ()
        assert set(reasons(planned).values()) == {"fewer than 3 have Succeeded"}

    def test_what_is_not_older_stays(self):
        packages = [package(number, days=number) for number in (1, 29, 30, 31)]
        planned = plan(packages, older_than=timedelta(days=30))
        assert ids(planned.delete) == ["p-31"]
        assert reasons(planned)["p-30"] == "it is not older than 30 days, 0:00:00"

    def test_each_branch_counts_for_itself(self):
        packages = [
            *(package(number, days=number) for number in (1, 2, 3)),
            *(package(number, days=number, line="next") for number in (11, 12)),
            package(21, days=21, line="once"),
            *(package(number, days=number, line=None) for number in (31, 32)),
        ]
        assert ids(plan(packages, per_branch=True).delete) == ["p-32", "p-12", "p-3", "p-2"]
        assert ids(plan(packages).delete) == ["p-32", "p-31", "p-21", "p-12", "p-11", "p-3", "p-2"]

    def test_an_app_without_packages_has_an_empty_plan(self):
        assert plan([]) == retention.Plan((), ())

    def test_what_has_expired_is_left_to_mendix_and_does_not_count(self):
        expired, expiring = (
            msgspec.structs.replace(package(number, days=number), expiry_date=NOW.add(days=days))
            for number, days in ((1, 0), (2, 1))
        )
        planned = plan([expired, expiring, package(3, days=3)])
        assert ids(planned.delete) == ["p-3"]
        assert reasons(planned) == {
            "p-1": "Mendix deletes it by itself since 2026-01-31 00:00:00+00:00",
            "p-2": "it is as new as the newest 1 that have Succeeded",
        }
        assert planned.to_json()["keep"][1]["expiry_date"] == "2026-02-01T00:00:00+00:00"

    def test_it_can_be_told_as_plain_json(self):
        told = plan([package(1, days=1), package(2, days=2)]).to_json()
        assert told["delete"] == [
            {
                "package_id": "p-2",
                "version": "1.0.2.9f3ab2c1",
                "status": "Succeeded",
                "creation_date": "2026-01-29T00:00:00+00:00",
                "expiry_date": None,
            }
        ]
        assert told["keep"][0]["reason"] == "it is as new as the newest 1 that have Succeeded"
        assert msgspec.json.decode(msgspec.json.encode(told)) == told


@st.composite
def apps(draw):
    """Packages of every kind, several of the same moment among them."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["Succeeded", "Succeeded", "Failed", *UNFINISHED]),
                st.none() | st.integers(0, 12),
                st.sampled_from(["main", "next", None]),
            ),
            max_size=25,
        )
    )
    return [
        package(number, status=status, days=days, line=line) for number, (status, days, line) in enumerate(drawn)
    ]


rules = st.fixed_dictionaries(
    {
        "keep_last": st.integers(1, 6),
        "per_branch": st.booleans(),
        "older_than": st.none() | st.integers(0, 12).map(lambda days: timedelta(days=days)),
    }
)


class TestEveryPlan:
    @given(apps(), rules)
    def test_has_each_package_once(self, packages, rules):
        planned = plan(packages, **rules)
        kept = [found.package for found in planned.keep]
        assert sorted(ids([*planned.delete, *kept])) == sorted(ids(packages))

    @given(apps(), rules)
    def test_keeps_what_it_must(self, packages, rules):
        """The rules once more, one after the other, as a person would apply them to one group."""
        deleted = plan(packages, **rules).delete
        for line in {found.branch if rules["per_branch"] else None for found in packages}:
            group = [found for found in packages if not rules["per_branch"] or found.branch == line]
            gone = [found for found in group if found in deleted]
            stays = [found for found in group if found not in deleted]
            assert all(found.status in ("Succeeded", "Failed") and found.creation_date for found in gone)
            good = [found for found in stays if found.status == "Succeeded" and found.creation_date]
            if not gone:
                continue
            assert len(good) >= rules["keep_last"]
            newest = sorted((found.creation_date for found in good), reverse=True)[: rules["keep_last"]]
            assert max(found.creation_date for found in gone) <= min(newest)
            if rules["older_than"] is not None:
                assert all(NOW - found.creation_date > rules["older_than"] for found in gone)

    @given(apps(), rules)
    def test_deletes_all_that_may_go(self, packages, rules):
        planned = plan(packages, **{**rules, "older_than": None})
        for line in {found.branch if rules["per_branch"] else None for found in packages}:
            group = [found for found in packages if not rules["per_branch"] or found.branch == line]
            good = [found for found in group if found.status == "Succeeded" and found.creation_date]
            left = [found for found in good if found not in planned.delete]
            assert len(left) == min(len(good), rules["keep_last"])
            if len(left) == rules["keep_last"]:
                oldest = min(found.creation_date for found in left)
                failed = [found for found in group if found.status == "Failed" and found.creation_date]
                assert all(found in planned.delete for found in failed if found.creation_date < oldest)

    @given(apps(), rules, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_the_list(self, packages, rules, chance: random.Random):
        shuffled = chance.sample(packages, len(packages))
        assert plan(shuffled, **rules) == plan(packages, **rules)

    @given(apps(), rules)
    def test_finds_nothing_more_to_do_when_it_is_done(self, packages, rules):
        left = [found.package for found in plan(packages, **rules).keep]
        assert plan(left, **rules).delete == ()

    @given(apps(), rules)
    def test_deletes_the_oldest_first(self, packages, rules):
        dates = [found.creation_date for found in plan(packages, **rules).delete]
        assert dates == sorted(dates)


def test_a_plan_without_some_packages_is_a_new_plan():
    before = plan([package(number, days=number) for number in (1, 2, 3)])
    after = retention.exclude(before, {"p-2": "it is needed", "p-9": "it is not there"})
    assert ids(before.delete) == ["p-3", "p-2"]
    assert ids(after.delete) == ["p-3"]
    assert [kept.package.package_id for kept in after.keep] == ["p-1", "p-2"]
    assert reasons(after)["p-2"] == "it is needed"
