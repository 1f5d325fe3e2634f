"""Make the pictures of the documentation, with a simulator and headless Chromium: `make screenshots`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import requests

from airflow_provider_mendix.simulator import BuildOutcome, Platform, Server, Timeline
from tests.browser import open_page

IMAGES = Path(__file__).parent / "images"
AUTH = {"Mendix-Username": "demo@example.com", "Mendix-ApiKey": "demo-api-key"}


def busy_cloud() -> Platform:
    """Return a Mendix in the middle of a release."""
    platform = Platform()
    platform.permissions.add_account(AUTH["Mendix-Username"], AUTH["Mendix-ApiKey"])
    for app_id in ("shop", "depot"):
        platform.add_app(app_id)
    platform.repositories.push("shop", message="Let the till round correctly", author="ana@example.com")
    old = platform.packages.add("shop", version="2.5.3", revision="0badc0de", description="Nightly build")
    for mode in ("Acceptance", "Production"):
        platform.environments.add("shop", mode, package_id=old, running=True)
    platform.packages.timeline = Timeline(queued=0, building=600, uploading=10)
    platform.packages.next_outcomes.extend([BuildOutcome.SUCCEEDS, BuildOutcome.FAILS_WHILE_BUILDING])
    return platform


def main() -> None:
    """Make all of them."""
    platform = busy_cloud()
    with Server(platform) as server:
        newest = platform.repositories.commits("shop")[0].id
        packages = f"{server.api_url}/api/1/apps/shop/packages"
        build = {"Branch": "main", "Revision": newest, "Version": "2.5.4", "Description": "Nightly build"}
        started = requests.post(packages, json=build, headers=AUTH, timeout=10).json()
        platform.faults.add("bad_gateway")
        for _ in range(3):
            requests.get(f"{packages}/{started['PackageId']}", headers=AUTH, timeout=10)
        platform.faults.add("latency", seconds=2)
        picture = asyncio.run(picture_of(server.api_url))
    (IMAGES / "simulator.png").write_bytes(picture)
    print(IMAGES / "simulator.png")


async def picture_of(url: str) -> bytes:
    """Return a picture of the simulator's page."""
    async with open_page(url) as page:
        await page.until("document.querySelector('#apps button') && find('faults').textContent === 'latency'")
        return await page.screenshot(1000, 1120)


if __name__ == "__main__":
    main()
