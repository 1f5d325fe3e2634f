"""The receiver of webhooks, served by uvicorn on loopback, with the metadata database of this test process."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import uvicorn
from fastapi import FastAPI

from airflow_provider_mendix.api.webhook_signature import sign
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.webhooks.receiver import Limits, create_app

from ..conftest import set_connection

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
OTHER_SECRET = "8b1f6d0e4c7a4a0f9e2d5c3b1a0f9e8d"
CONN_ID = "mendix_webhook_shop"
RECEIVERS = {"shop": CONN_ID, "plan": "mendix_webhook_plan"}
BODY = b'{"eventType": "teamserver.push", "branchName": "main"}'
MANY = Limits(per_address=10**6)


@pytest.fixture(scope="session")
def _tables() -> None:
    """The tables of Airflow's metadata database, in the AIRFLOW_HOME of this process."""
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base

    import_all_models()
    Base.metadata.create_all(settings.engine)


@pytest.fixture
def metadata(_tables: None) -> Iterator[Callable[[str], str | None]]:
    """Read a Variable; all of them are deleted afterwards."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    def read(key: str) -> str | None:
        with create_session() as session:
            return session.execute(
                select(Variable.__table__.c.val).where(Variable.key == key)
            ).scalar_one_or_none()

    yield read
    with create_session() as session:
        session.execute(delete(Variable))


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, CONN_ID, conn_type="generic", login=None, password=SECRET)
    set_connection(monkeypatch, "mendix_webhook_plan", conn_type="generic", login=None, password=OTHER_SECRET)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an app as Airflow's API server does, and return its base URL."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="error", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


class Receivers:
    """The served receivers, and what their webhooks have done."""

    def __init__(self, url: str, clock: ManualClock, metadata: Callable[[str], str | None]) -> None:
        self.url = url
        self.clock = clock
        self._metadata = metadata
        self._session = requests.Session()
        self._session.trust_env = False
        self._sent = 0

    def headers(
        self, body: bytes = BODY, secret: str = SECRET, *, age: float = 0, message_id: str = ""
    ) -> dict[str, str]:
        """Return the headers that Mendix would send; each call has an id of its own."""
        self._sent += 1
        message_id = message_id or f"msg_{self._sent}"
        timestamp = int(self.clock.now() - age)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{sign(secret, message_id, timestamp, body).decode()}",
        }

    def send(
        self, body: Any = BODY, headers: dict[str, Any] | None = None, *, app: str = "shop"
    ) -> requests.Response:
        given = self.headers(body) if headers is None else headers
        return self._session.post(f"{self.url}/{app}", body, headers=given, timeout=30)

    def status(self, body: Any = BODY, headers: dict[str, Any] | None = None, *, app: str = "shop") -> int:
        return self.send(body, headers, app=app).status_code

    def wakeup(self, app: str = "shop") -> str | None:
        """Return what changes with each wake-up of an app."""
        return self._metadata(f"mendix_wakeup_{app}")

    def received(self, app: str = "shop") -> dict[str, int]:
        """Return the ids that are remembered."""
        return json.loads(self._metadata(f"mendix_webhooks_received_{app}") or "{}")


@pytest.fixture
def serve(clock: ManualClock, metadata: Any) -> Iterator[Callable[..., Receivers]]:
    """Serve the receivers, with other limits or secrets."""
    with contextlib.ExitStack() as stack:

        def start(limits: Limits = MANY) -> Receivers:
            mounted = FastAPI()
            mounted.mount("/mendix/hooks", create_app(RECEIVERS, limits))
            url = stack.enter_context(served(mounted))
            return Receivers(f"{url}/mendix/hooks", clock, metadata)

        yield start


@pytest.fixture
def receivers(serve: Callable[..., Receivers]) -> Receivers:
    return serve()
