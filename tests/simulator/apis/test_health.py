"""The apps themselves, for health probes."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_mendix.simulator import (
    Server,
)

from ..deploying import ENVIRONMENTS
from ..talking import AUTH


class TestHealth:
    def test_it_responds_while_the_app_runs(self, deployer):
        deployer.put("1.4.2", running=True)
        url = deployer.talk.json("GET", deployer.path)["Url"]
        reply = deployer.talk.file(url)
        assert reply.status == 200
        assert b"1.4.2.9f3ab2c1" in reply.body
        assert deployer.talk.file(url, "POST").status == 405
        deployer.transport(deployer.package("1.5.0"))
        assert b"1.4.2.9f3ab2c1" in deployer.talk.file(url).body
        deployer.post("stop")
        deployer.pass_time(5)
        assert deployer.talk.file(url).status == 503
        assert {entry.host for entry in deployer.platform.journal.requests(path_contains="/apps/shop/Test/")} == {
            "files"
        }

    @pytest.mark.parametrize("rest", ["/apps/shop/Nope/", "/apps/shop/", "/apps/plan/Test/", "/apps/shop/Test/x"])
    def test_nothing_else_is_there(self, deployer, rest):
        deployer.put(running=True)
        assert deployer.talk.file(deployer.platform.cloud.files_url + rest).status == 404

    def test_over_loopback_with_a_name_that_needs_escaping(self, deployer):
        package_id = deployer.package()
        deployer.platform.environments.add("shop", "My ünv", package_id=package_id, running=True)
        with Server(deployer.platform) as server:
            shown = requests.get(f"{server.api_url}{ENVIRONMENTS}/My%20%C3%BCnv", headers=AUTH).json()
            assert shown["Url"].startswith(server.files_url)
            response = requests.get(shown["Url"])
            assert (response.status_code, "1.0.0.9f3ab2c1" in response.text) == (200, True)
            assert requests.head(shown["Url"]).status_code == 200
