"""The page for people at the root of the simulator."""

from __future__ import annotations

import asyncio
import re

import pytest
import requests

from airflow_provider_mendix.simulator import BuildOutcome

from ..browser import CHROMIUM, open_page
from .talking import AUTH


def test_it_is_at_the_root_of_the_api_host_only(server, talk):
    page = requests.get(f"{server.api_url}/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Simulated Mendix Cloud" in page.text
    assert requests.get(f"{server.files_url}/").status_code != 200
    assert requests.post(f"{server.api_url}/").status_code == 501
    assert [entry.path for entry in talk.platform.journal if entry.method == "GET" and entry.host == "api"] == []


def test_it_loads_nothing_from_elsewhere(server):
    page = requests.get(f"{server.api_url}/").text
    assert re.findall(r"""(?:src|href)=["'](?!data:)[^"']*|https?://|@import""", page) == []


def test_each_element_that_its_script_uses_is_there(server):
    page = requests.get(f"{server.api_url}/").text
    used = set(re.findall(r"""(?:find|fill)\("(\w+)\"""", page))
    assert used == set(re.findall(r'\bid="(\w+)"', page))


def test_the_overview(server, talk):
    base = f"{server.api_url}/_simulator"
    talk.platform.packages.next_outcomes.append(BuildOutcome.REFUSED)
    talk.platform.faults.add("latency", seconds=0, times=None)
    pushed = talk.platform.repositories.push("shop", message="mend it")
    for number in range(50):
        requests.get(f"{server.api_url}/api/1/apps/shop/packages/{number}", headers=AUTH)
    found = requests.get(f"{base}/overview").json()
    assert (found["apps"], found["next_builds"]) == (requests.get(f"{base}/apps").json(), ["refused"])
    assert (found["apps"][0]["newest_revision"], found["apps"][0]["message"]) == (pushed, "mend it")
    assert found["apps"][0]["app_id"] == "shop"
    assert found["faults"] == ["latency"]
    assert "bad_gateway" in found["known_faults"]
    assert [entry["path"].rpartition("/")[2] for entry in found["requests"]] == [str(n) for n in range(49, 9, -1)]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_its_buttons_do_what_they_say(server, talk):
    async def walk() -> None:
        async with open_page(server.api_url) as page:
            await page.until("""document.querySelector('#apps button')""")
            await page.evaluate("document.querySelector('#build button').click()")
            await page.until("""find('planned').textContent === 'fails_while_building'""")
            await page.evaluate("find('kind').value = 'latency'; document.querySelector('#fault button').click()")
            await page.until("""find('faults').textContent === 'latency'""")
            await page.evaluate("find('clear').click()")
            await page.until("""find('faults').textContent === 'none'""")
            await page.evaluate("document.querySelector('#apps button').click()")
            await page.until("""find('said').textContent.startsWith('Pushed revision')""")
            assert page.complaints == []

    before = len(talk.platform.repositories.commits("shop"))
    asyncio.run(walk())
    assert list(talk.platform.packages.next_outcomes) == [BuildOutcome.FAILS_WHILE_BUILDING]
    assert [active.fault.name for active in talk.platform.faults] == []
    assert len(talk.platform.repositories.commits("shop")) == before + 1
