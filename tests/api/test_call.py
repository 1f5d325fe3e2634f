"""What all calls share: hosts, dates, and which ones may be repeated."""

from __future__ import annotations

import pendulum
import pytest

from airflow_provider_mendix.api import app_repository, backups, build, deploy, deploy_v2, team_server
from airflow_provider_mendix.client.account import Account

from .checks import endpoints

FAMILIES = (app_repository, backups, build, deploy, deploy_v2, team_server)
PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
JOB_ID = "66046953-ecf7-4550-a889-4b7e9f1e1705"
GET = build.get_package("calc", "b3d14e53-2654-4534-b374-9179a69ef3cf", url=True)
REVISIONS = team_server.list_revisions("calc", "trunk")
COMMITS = app_repository.list_commits(PROJECT_ID, "main")
LEAST = {"PackageId": "b3d14e53-2654-4534-b374-9179a69ef3cf", "Status": "Queued"}


@pytest.mark.parametrize(
    ("call", "url"),
    [
        (build.list_packages("calc"), "https://deploy.mendix.com/api/1/apps/calc/packages"),
        (deploy.list_apps(), "https://deploy.mendix.com/api/1/apps"),
        (
            backups.create_snapshot(PROJECT_ID, JOB_ID),
            f"https://deploy.mendix.com/api/v2/apps/{PROJECT_ID}/environments/{JOB_ID}/snapshots",
        ),
        (
            deploy_v2.upload_package("calc", "calc_1.0.0.45.mda"),
            "https://deploy.mendix.com/api/v2/apps/calc/packages/upload?name=calc_1.0.0.45.mda",
        ),
        (team_server.list_branches("calc"), "https://deploy.mendix.com/api/1/apps/calc/branches"),
        (
            app_repository.get_repository(PROJECT_ID),
            f"https://repository.api.mendix.com/v1/repositories/{PROJECT_ID}/info",
        ),
    ],
    ids=str,
)
def test_the_public_hosts_are_the_default(call, url):
    account = Account(username="ana", api_key="key")

    assert account.base_url(call.endpoint.api) + call.target == url


@pytest.mark.parametrize(
    ("call", "answer", "pick"),
    [
        (GET, lambda date: {**LEAST, "CreationDate": date}, lambda package: package.creation_date),
        (REVISIONS, lambda date: [{"Number": 9, "Date": date}], lambda revisions: revisions[0].date),
        (COMMITS, lambda date: {"items": [{"id": "1", "date": date}]}, lambda page: page.items[0].date),
    ],
    ids=["package", "revision", "commit"],
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1404739654045, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (1404739654045.0, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (0, pendulum.datetime(1970, 1, 1)),
        ("2014-07-07T13:27:34.045Z", pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        ("2014-07-07T13:27:34.045678901Z", pendulum.datetime(2014, 7, 7, 13, 27, 34, 45678)),
        ("2014-07-07T15:27:34+02:00", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07T13:27:34", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07", pendulum.datetime(2014, 7, 7)),
    ],
)
def test_dates_are_timezone_aware(mendix, call, answer, pick, value, expected):
    found = pick(mendix.read(call, answer(value)))

    assert isinstance(found, pendulum.DateTime)
    assert found == expected
    assert found.utcoffset() is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_may_be_repeated_and_changing_may_not(family):
    assert [one for one in endpoints(family) if one.repeatable != (one.method == "GET")] == []
