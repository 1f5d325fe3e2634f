"""What all waits of one connection share: the client, its credentials, the rate limit and the outage clock."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from math import inf
from typing import TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    ForbiddenError,
    MendixConnectionError,
    MendixError,
    UnauthorizedError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.polling.rate_limit import RateLimiter
from airflow_provider_mendix.settings import MAX_RETRY_AFTER, requests_per_minute

T = TypeVar("T")

MAX_IN_FLIGHT = 32
_FAILURES_OF_AN_OUTAGE = 3

log = logging.getLogger(__name__)


class SharedClient:
    """Sends calls for all waits of a connection.

    :ivar consecutive_failures: requests in a row to which no response came.
    :ivar backoff_reason: the last response that asked for a pause.
    """

    def __init__(self, mendix_conn_id: str) -> None:
        self.mendix_conn_id = mendix_conn_id
        self.rate_limiter = RateLimiter(requests_per_minute())
        self.consecutive_failures = 0
        self._backoff_until = 0.0
        self.backoff_reason = ""
        self._checked_at = -inf
        self._lookup_error: MendixError | None = None
        self._lookup = asyncio.Lock()
        self._client: AsyncMendixClient | None = None
        self._in_use: Counter[AsyncMendixClient] = Counter()

    async def close(self) -> None:
        """Close all sockets."""
        for client in {self._client, *self._in_use} - {None}:
            await client.__aexit__()  # type: ignore[union-attr]

    @property
    def is_down(self) -> bool:
        """Whether Mendix seems unreachable, so that only one request at a time is sent."""
        return self.consecutive_failures >= _FAILURES_OF_AN_OUTAGE

    @property
    def max_in_flight(self) -> int:
        return 1 if self.is_down else MAX_IN_FLIGHT

    def backoff_remaining(self) -> float:
        """Return the seconds until Mendix accepts requests again, by its ``Retry-After``."""
        return max(0.0, self._backoff_until - current_clock().ticks())

    async def has_token(self) -> bool:
        """Return whether the connection has a personal access token.

        :raises MendixError: if the connection cannot be read.
        """
        client = self._client or await self._open(current_clock().ticks())
        return client.account.has_token

    async def send(self, call: Call[T], due_at: float) -> T:
        """Send a call that the rate limiter has counted; send it again if refused credentials have changed.

        :param due_at: tick at which its response was due.
        :raises MendixError: if there was no good response.
        """
        while True:
            try:
                client = self._client or await self._open(due_at)
                try:
                    response = await self._send(client, call)
                except (UnauthorizedError, ForbiddenError):
                    self._end_outage()
                    if not await self._renew(client, due_at):
                        raise
                    self.rate_limiter.record(current_clock().ticks())
                    continue
            except MendixError as error:
                self._record(error)
                raise
            else:
                self._end_outage()
                return response

    async def _open(self, due_at: float) -> AsyncMendixClient:
        """Return the client; read the connection once for all requests that are due."""
        async with self._lookup:
            if self._client is None:
                if self._lookup_error and due_at <= self._checked_at:
                    raise self._lookup_error
                self._client = await AsyncMendixClient(await self._account()).__aenter__()
            return self._client

    async def _send(self, client: AsyncMendixClient, call: Call[T]) -> T:
        self._in_use[client] += 1
        try:
            return await client.send(call)
        finally:
            self._in_use[client] -= 1
            if not self._in_use[client]:
                del self._in_use[client]
                if client is not self._client:
                    await client.__aexit__()

    def _record(self, error: MendixError) -> None:
        if error.retry_after:
            pause = min(error.retry_after, MAX_RETRY_AFTER)
            self._backoff_until = max(self._backoff_until, current_clock().ticks() + pause)
            self.backoff_reason = str(error)
        if not isinstance(error, MendixConnectionError):
            self._end_outage()
            return
        self.consecutive_failures += 1
        if self.consecutive_failures == _FAILURES_OF_AN_OUTAGE:
            log.warning(
                "Connection %s: Mendix does not respond; sending one request at a time. %s",
                self.mendix_conn_id,
                error,
            )

    def _end_outage(self) -> None:
        if self.is_down:
            log.info("Connection %s: Mendix responds again.", self.mendix_conn_id)
        self.consecutive_failures = 0

    async def _renew(self, refused: AsyncMendixClient, due_at: float) -> bool:
        """Return whether refused credentials have been replaced; read the connection once for all refusals.

        :raises MendixError: if it cannot be read.
        """
        async with self._lookup:
            if refused is not self._client:
                return True
            if due_at <= self._checked_at:
                if self._lookup_error:
                    raise self._lookup_error
                return False
            account = await self._account()
            self._checked_at = current_clock().ticks()
            if account == refused.account:
                return False
            self._client = await AsyncMendixClient(account).__aenter__()
            if not self._in_use[refused]:
                await refused.__aexit__()
            log.info("Connection %s: its credentials have changed; polling continues.", self.mendix_conn_id)
            return True

    async def _account(self) -> Account:
        """Read the connection.

        The worker that deferred has read it, so a lookup that fails is an outage, of the secrets backend for
        example. Each wait tolerates it as it tolerates an outage of Mendix.

        :raises MendixConnectionError: if it cannot be read.
        :raises InvalidConnectionError: if a value of it is wrong.
        """
        self._lookup_error = None
        try:
            return await MendixHook(self.mendix_conn_id).aget_account()
        except MendixError as error:
            self._lookup_error = error
        except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
            # The text of its error may hold a secret.
            reason = "it does not exist" if isinstance(error, AirflowNotFoundException) else type(error).__name__
            self._lookup_error = MendixConnectionError(
                f"Connection {self.mendix_conn_id} cannot be read: {reason}. Check that the connection exists and"
                " that the triggerer reaches its secrets backend."
            )
        self._checked_at = current_clock().ticks()
        raise self._lookup_error
