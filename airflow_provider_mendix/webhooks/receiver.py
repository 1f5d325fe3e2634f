"""The web app that receives Mendix's webhooks. A good one wakes the watchers of its app, and does nothing else.

What a webhook says is not used: the watchers ask Mendix. So a stolen secret makes no event.

Without the secret, all that can be learnt is what is wrong with the form of a request. A receiver that does not
exist refuses as one that does.
"""

from __future__ import annotations

import asyncio
import http
import logging
import math
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from airflow_provider_mendix.api import webhook_signature
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.polling.wakeup import wake
from airflow_provider_mendix.webhooks import replays
from airflow_provider_mendix.webhooks.address_limit import AddressLimit
from airflow_provider_mendix.webhooks.secret_store import SecretStore

log = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """What one process of the API server spends on webhooks.

    :param body_size: bytes of a body.
    :param body_seconds: in which a body must have arrived.
    :param in_flight: requests at the same time.
    :param per_address: requests of one address that may be refused in a minute, or be under way at once.
    """

    body_size: int = 1024 * 1024
    body_seconds: float = 10.0
    in_flight: int = 32
    per_address: int = 20


DEFAULT_LIMITS = Limits()


class RefusedError(Exception):
    """A webhook is refused.

    :param reason: for the log; the sender gets the status only.
    """

    def __init__(self, status: int, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


def create_app(receivers: Mapping[str, str], limits: Limits = DEFAULT_LIMITS) -> FastAPI:
    """Return the app.

    :param receivers: ids of the connections that hold the secrets, by the subdomain of the app.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    receiver = _Receiver(receivers, limits)
    app.add_api_route("/{app_id}", receiver.receive, methods=["POST"])
    return app


class _Receiver:
    def __init__(self, receivers: Mapping[str, str], limits: Limits) -> None:
        self._app_ids = frozenset(receivers)
        self._secrets = SecretStore(receivers)
        self._limits = limits
        self._addresses = AddressLimit(limits.per_address)
        self._in_flight = 0

    async def receive(self, app_id: str, request: Request) -> Response:
        address = request.client.host if request.client else ""
        wait = self._addresses.enter(address)
        if wait:
            # Without a line in the log, which would cost more than the request.
            return _answer(429, wait)
        try:
            await self._accept(app_id.lower(), request)
        except RefusedError as refused:
            name = app_id.lower() if app_id.lower() in self._app_ids else "that is not configured"
            log.warning("Webhook of app %s from %s refused with %d: %s.", name, address, refused.status, refused)
            return _answer(refused.status, refused.retry_after)
        except ClientDisconnect:
            return Response(status_code=400)
        self._addresses.forgive(address)
        return _answer(202)

    async def _accept(self, app_id: str, request: Request) -> None:
        if self._in_flight >= self._limits.in_flight:
            raise RefusedError(503, "too many webhooks at the same time", 10.0)
        self._in_flight += 1
        try:
            delivery = self._read_headers(request)
            body = await self._read_body(request)
            if not webhook_signature.is_signed(delivery, body, await self._secrets.secrets_of(app_id)):
                raise RefusedError(401, "it is not signed with a secret of the receiver")
            _check_json(body)
            if not await run_in_threadpool(_claim_and_wake, app_id, delivery):
                raise RefusedError(409, "it was received before")
            log.info("Webhook %s of app %s received; its watchers are woken up.", delivery.message_id, app_id)
        finally:
            self._in_flight -= 1

    def _read_headers(self, request: Request) -> webhook_signature.Delivery:
        names = (webhook_signature.ID, webhook_signature.TIMESTAMP, webhook_signature.SIGNATURE)
        delivery = webhook_signature.read_headers({name: request.headers.getlist(name) for name in names})
        if delivery is None:
            raise RefusedError(400, "a header is missing or malformed")
        if abs(current_clock().now() - delivery.timestamp) > replays.TOLERANCE:
            raise RefusedError(401, "its timestamp is too far from the time of this server")
        if int(request.headers.get("content-length", "0")) > self._limits.body_size:
            raise RefusedError(413, "its body is too long")
        return delivery

    async def _read_body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.body_size:
                        raise RefusedError(413, "its body is too long")
        except TimeoutError:
            raise RefusedError(408, "its body did not arrive in time") from None
        return bytes(body)


def _check_json(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RefusedError(400, "its body is not a JSON object") from None


def _claim_and_wake(app_id: str, delivery: webhook_signature.Delivery) -> bool:
    """Wake the watchers, and return whether the webhook is new. It blocks.

    :raises RefusedError: if the database fails; Mendix then sends the webhook again.
    """
    try:
        if not replays.claim(app_id, delivery.message_id, delivery.timestamp):
            return False
        try:
            wake(app_id)
        except Exception:
            replays.release(app_id, delivery.message_id)
            raise
    except Exception as error:
        log.exception("Webhook of app %s cannot be dealt with", app_id)
        raise RefusedError(503, f"the metadata database failed ({type(error).__name__})", 10.0) from error
    return True


def _answer(status: int, retry_after: float = 0.0) -> Response:
    headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after else {}
    if status in (408, 413, 429, 503):
        # What is left of the body is not read.
        headers["Connection"] = "close"
    return Response(http.HTTPStatus(status).phrase, status, headers, media_type="text/plain")
