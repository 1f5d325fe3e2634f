"""Apps, and which packages are in use."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.simulator import (
    DeploymentTimeline,
    InvalidAppError,
)


def test_free_app_deploys_its_newest_finished_package(talk):
    talk.platform.add_app("shop", free=True)
    first = talk.start()
    talk.clock.sleep(60)
    second = talk.start()
    in_use = [talk.platform.cloud.is_in_use(first), talk.platform.cloud.is_in_use(second)]
    assert in_use == [True, False]
    talk.clock.sleep(60)
    assert talk.api("DELETE", f"/api/1/apps/shop/packages/{second}").status == 409
    assert talk.api("DELETE", f"/api/1/apps/shop/packages/{first}").status == 204


class TestInUse:
    def test_what_is_transported_or_runs_cannot_be_deleted(self, deployer):
        def deleted(package_id: str) -> int:
            return deployer.talk.api("DELETE", f"/api/1/apps/shop/packages/{package_id}").status

        old = deployer.put("1.0.0", running=True)
        deployer.platform.environments.timeline = DeploymentTimeline(transporting=10)
        new, unused = deployer.package("1.1.0"), deployer.package("1.2.0")
        deployer.transport(new)
        assert [deleted(old), deleted(new), deleted(unused)] == [409, 409, 204]
        deployer.pass_time(10)
        assert [deleted(old), deleted(new)] == [409, 409]
        deployer.post("stop")
        deployer.pass_time(5)
        assert [deleted(old), deleted(new)] == [204, 409]


@pytest.mark.parametrize(
    "app_id",
    ["My Shop", "", "shöp", "a/b", "a_b", "a.b", "-a", "a-", "none", "0f8fad5b-d9cb-469f-a165-70867728950e"],
)
def test_an_id_that_is_no_subdomain_is_refused(talk, app_id):
    with pytest.raises(InvalidAppError, match="There can be no such app: app_id .* Take '"):
        talk.platform.add_app(app_id)
    assert list(talk.platform.apps) == ["shop"]


DAY = 24 * 3600.0


class TestRetention:
    @pytest.fixture
    def talk(self, talk_with):
        return talk_with(package_lifetime=15 * DAY)

    def shown(self, talk, package_id):
        return talk.json("GET", f"/api/1/apps/shop/packages/{package_id}").get("ExpiryDate", "absent")

    def test_a_package_says_when_it_goes_and_goes_then(self, talk):
        package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
        expiry = int((talk.clock.now() + 15 * DAY) * 1000)
        assert self.shown(talk, package_id) == expiry
        talk.clock.sleep(15 * DAY - 1)
        assert self.shown(talk, package_id) == expiry
        talk.clock.sleep(1)
        assert talk.api("GET", f"/api/1/apps/shop/packages/{package_id}").status == 404
        assert talk.json("GET", "/api/1/apps/shop/packages") == []

    def test_what_is_deployed_stays_and_so_do_the_five_deployed_last(self, talk):
        platform = talk.platform
        ids = [platform.packages.add("shop", version=f"1.0.{n}", revision="63") for n in range(8)]
        for package_id in ids[:7]:
            platform.environments.add("shop", "Test", package_id=package_id)
            talk.json("GET", "/api/1/apps/shop/packages")
            talk.clock.sleep(1)
        talk.clock.sleep(15 * DAY)
        left = {shown["PackageId"]: shown["ExpiryDate"] for shown in talk.json("GET", "/api/1/apps/shop/packages")}
        assert left == dict.fromkeys(ids[1:7])
        assert talk.json("GET", "/api/1/apps/shop/environments/Test/package")["ExpiryDate"] is None

    def test_the_form_of_the_date_is_an_option(self, talk_with):
        for form, expected in [("text", "2023-11-14T22:13:30+00:00"), ("absent", "absent")]:
            talk = talk_with(package_lifetime=10, expiry_date=form)
            assert self.shown(talk, talk.platform.packages.add("shop", version="1.0.0", revision="63")) == expected

    def test_nothing_goes_by_default(self, talk_with):
        talk = talk_with()
        package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
        talk.clock.sleep(1000 * DAY)
        assert self.shown(talk, package_id) == "absent"
