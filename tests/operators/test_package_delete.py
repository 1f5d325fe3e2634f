from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_mendix.exceptions import PackageInUseError
from airflow_provider_mendix.operators.package import MendixDeletePackageOperator

pytestmark = pytest.mark.usefixtures("server")
MISSING = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"


def delete(package_id, **changes):
    return MendixDeletePackageOperator(task_id="delete", app_id="shop", package_id=package_id, **changes)


def test_it_deletes_one_package(platform, context):
    gone = platform.packages.add("shop", version="2.5.3", revision="0badc0de")
    kept = platform.packages.add("shop", version="2.5.2", revision="0badc0de")
    assert delete(gone).execute(context) == {"package_id": gone, "deleted": True}
    assert list(platform.packages) == [kept]


def test_a_package_that_is_not_there_fails_the_task(context):
    with pytest.raises(AirflowFailException, match="PACKAGE_NOT_FOUND"):
        delete(MISSING).execute(context)


def test_a_package_that_is_not_there_may_be_accepted(context):
    assert delete(MISSING, missing_ok=True).execute(context) == {"package_id": MISSING, "deleted": False}


def test_a_package_in_use_fails_the_task_and_stays(platform, context):
    used = platform.packages.add("shop", version="2.5.3", revision="0badc0de", in_use=True)
    with pytest.raises(PackageInUseError, match="in_use='skip'"):
        delete(used).execute(context)
    assert used in platform.packages


def test_a_package_in_use_may_skip_the_task(platform, context):
    used = platform.packages.add("shop", version="2.5.3", revision="0badc0de", in_use=True)
    with pytest.raises(AirflowSkipException, match=used):
        delete(used, in_use="skip").execute(context)
    assert used in platform.packages


@pytest.mark.parametrize("package_id", ["", None, "None", "..", "a/b", "{{ var }}"])
def test_a_bad_package_id_is_refused_before_any_request(package_id, platform, context):
    with pytest.raises(AirflowFailException):
        delete(package_id, missing_ok=True).execute(context)
    assert not platform.journal


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="'fail', 'skip'"):
        delete(MISSING, in_use="ignore")


def test_everything_a_user_would_template_is_templated(platform, context):
    gone = platform.packages.add("shop", version="2.5.3", revision="0badc0de")
    operator = MendixDeletePackageOperator(
        task_id="delete", app_id="{{ app }}", package_id="{{ package }}", mendix_conn_id="{{ conn }}"
    )
    operator.render_template_fields({"app": "shop", "package": gone, "conn": "mendix_default"})
    operator.execute(context)
    assert gone not in platform.packages
