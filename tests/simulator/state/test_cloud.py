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
