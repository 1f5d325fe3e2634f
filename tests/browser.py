"""A page in headless Chromium, if this machine has it, by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0")
_RESPONDS_WITHIN = 60


class Page:
    """A page that was opened.

    :ivar complaints: what it has written to the console, and errors that it has not handled.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.complaints: list[str] = []

    async def send(self, method: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol and return its result."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=_RESPONDS_WITHIN)
            if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == self._sent:
                return message["result"]

    async def evaluate(self, script: str) -> Any:
        """Return the value of a script, which may be a promise."""
        result = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def screenshot(self, width: int, height: int) -> bytes:
        """Return a picture of the page as PNG."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        return base64.b64decode((await self.send("Page.captureScreenshot"))["data"])

    async def until(self, script: str, *, seconds: float = 20) -> None:
        """Wait until a script is true."""
        asked = f"""new Promise((resolve, reject) => {{
            const end = Date.now() + {seconds * 1000};
            (function poll() {{
                if ({script}) resolve(true);
                else if (Date.now() > end) reject(new Error(document.body.innerText));
                else setTimeout(poll, 50);
            }})();
        }})"""
        await self.evaluate(asked)


@asynccontextmanager
async def open_page(url: str) -> AsyncIterator[Page]:
    """Open a page, and close the browser at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser, port = _start(profile)
        try:
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as response:
                    targets = await response.json()
                (address,) = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await page.send(f"{domain}.enable")
                    await page.send("Page.navigate", url=url)
                    yield page
        finally:
            browser.kill()
            browser.wait()


def _start(profile: str) -> tuple[subprocess.Popen[str], str]:
    """Start the browser and return it with the port of its DevTools, which it prints."""
    assert CHROMIUM
    browser = subprocess.Popen(
        [CHROMIUM, *_ARGUMENTS, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
    )
    assert browser.stderr
    for line in browser.stderr:
        if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            threading.Thread(target=browser.stderr.read, daemon=True).start()
            return browser, found[1]
    raise AssertionError("Chromium did not start.")
