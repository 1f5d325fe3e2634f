"""The line to Mendix that all waits of one connection share: client, credentials, patience, ceiling."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import (
    ForbiddenError,
    InvalidConnectionError,
    MendixConnectionError,
    MendixError,
    UnauthorizedError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.polling.rate_limit import RateLimiter
from airflow_provider_mendix.settings import MAX_RETRY_AFTER, requests_per_minute

MOST_IN_FLIGHT = 32
_MISSES_OF_AN_OUTAGE = 3

log = logging.getLogger(__name__)


class Line:
    """Sends calls, and says when it may be used.

    :ivar misses: requests in a row that no answer came to.
    """

    def __init__(self, mendix_conn_id: str, clock: Clock) -> None:
        self.mendix_conn_id = mendix_conn_id
        self.clock = clock
        self.ceiling = RateLimiter(requests_per_minute())
        self.misses = 0
        self._quiet_until = 0.0
        self._checked_at = 0.0
        self._renewing = asyncio.Lock()
        self._client: AsyncMendixClient | None = None
        self._in_use: Counter[AsyncMendixClient] = Counter()

    async def open(self) -> None:
        """Read the connection.

        :raises InvalidConnectionError: if it cannot be used.
        """
        self._client = await AsyncMendixClient(await self._account()).__aenter__()

    async def close(self) -> None:
        """Give up all sockets."""
        for client in {self._client, *self._in_use} - {None}:
            await client.__aexit__()  # type: ignore[union-attr]

    @property
    def is_down(self) -> bool:
        """Whether Mendix seems out of reach, so that one request at a time will do."""
        return self.misses >= _MISSES_OF_AN_OUTAGE

    @property
    def most_in_flight(self) -> int:
        return 1 if self.is_down else MOST_IN_FLIGHT

    def quiet(self) -> float:
        """Seconds for which Mendix wants to be left alone."""
        return max(0.0, self._quiet_until - self.clock.ticks())

    async def send(self, call: Call[Any], asked_at: float) -> Any:
        """Send a call that the ceiling knows of, and again if its credentials are refused and have changed.

        :param asked_at: tick at which its answer was due.
        :raises MendixError: whatever came instead of a good answer.
        """
        while True:
            client = self._client
            if client is None:
                raise RuntimeError("The line is not open.")
            try:
                answer = await self._send(client, call)
            except (UnauthorizedError, ForbiddenError):
                self.misses = 0
                if not await self._is_renewed(client, asked_at):
                    raise
                self.ceiling.take(self.clock.ticks())
            except MendixError as error:
                self._note(error)
                raise
            else:
                self._end_outage()
                return answer

    async def _send(self, client: AsyncMendixClient, call: Call[Any]) -> Any:
        self._in_use[client] += 1
        try:
            return await client.send(call)
        finally:
            self._in_use[client] -= 1
            if not self._in_use[client]:
                del self._in_use[client]
                if client is not self._client:
                    await client.__aexit__()

    def _note(self, error: MendixError) -> None:
        if error.retry_after:
            pause = min(error.retry_after, MAX_RETRY_AFTER)
            self._quiet_until = max(self._quiet_until, self.clock.ticks() + pause)
        if not isinstance(error, MendixConnectionError):
            self._end_outage()
            return
        self.misses += 1
        if self.misses == _MISSES_OF_AN_OUTAGE:
            log.warning(
                "Connection %s: Mendix does not answer; one request at a time is tried. %s",
                self.mendix_conn_id,
                error,
            )

    def _end_outage(self) -> None:
        if self.is_down:
            log.info("Connection %s: Mendix answers again.", self.mendix_conn_id)
        self.misses = 0

    async def _is_renewed(self, refused: AsyncMendixClient, asked_at: float) -> bool:
        """Look whether somebody has rotated the credentials: once for all who were refused together."""
        async with self._renewing:
            if refused is not self._client:
                return True
            if asked_at <= self._checked_at:
                return False
            account = await self._account()
            self._checked_at = self.clock.ticks()
            if account == refused.account:
                return False
            self._client = await AsyncMendixClient(account).__aenter__()
            if not self._in_use[refused]:
                await refused.__aexit__()
            log.info("Connection %s: its credentials have changed; waiting goes on.", self.mendix_conn_id)
            return True

    async def _account(self) -> Account:
        try:
            return await MendixHook(self.mendix_conn_id).aget_account()
        except AirflowNotFoundException:
            raise InvalidConnectionError(f"There is no connection {self.mendix_conn_id}.") from None
