"""The time limits of a connection, for the sender whose library has only one for each packet."""

from __future__ import annotations

import http.client
import io
import math
import selectors
import socket
import time
from typing import Any, ClassVar

from airflow_provider_mendix.client.account import DEFAULT_TIMEOUT


class TimedConnection(http.client.HTTPConnection):
    """A connection that has a time limit for each piece that it sends, and hears out a server that says no early.

    The library would let a piece take as long as connecting may take.

    :cvar patience: seconds that one piece may take.
    """

    patience: ClassVar[float]
    _is_connecting = False

    def connect(self) -> None:
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None or self._is_connecting:
            super().send(data)
            return
        self.sock.settimeout(self.patience)
        try:
            super().send(data)
        except TimeoutError:
            if not _has_something_to_say(self.sock):
                raise
            # This is how the library learns that nobody listens any more, but that there may be an answer.
            raise BrokenPipeError from None


class TimedResponse(http.client.HTTPResponse):
    """An answer whose time limit is the timeout that its socket has when it begins."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.line = TimedLine(sock, self.fp.detach())
        self.fp = io.BufferedReader(self.line)


class TimedLine(io.RawIOBase):
    """What a socket receives, with one time limit for all of it.

    The timeout of a socket begins anew with each packet, so that a server that drips could keep us for days.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._timeout = sock.gettimeout() or DEFAULT_TIMEOUT
        self._give_up_at = time.monotonic() + self._timeout

    def leave_time(self) -> None:
        """Count the time of each packet from now on, as a socket does by itself."""
        self._sock.settimeout(self._timeout)
        self._give_up_at = math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(min(left, self._timeout))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _has_something_to_say(sock: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
