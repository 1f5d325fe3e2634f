"""A session of `requests` that sends a URL byte for byte, follows no redirect and waits for the final response.

None of this is an option of the libraries. `requests` and `urllib3` respell URLs (``%7E`` becomes ``~``, ``%2f``
becomes ``%2F``), and the signature of a link may cover its spelling. `http.client` takes every interim response
but ``100 Continue`` for the final one, and limits the time of each packet only. So classes are replaced where
the libraries allow it: ``response_class`` of a connection, ``ConnectionCls`` of a pool and
``pool_classes_by_scheme`` of a pool manager.
"""

from __future__ import annotations

import http.client
import io
import time
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    import requests

_MAX_INTERIM = 100

_target: ContextVar[str] = ContextVar("target")
"""Path and query of the request that this thread sends."""


class _LimitedSocket(io.RawIOBase):
    """A socket to read from until a deadline."""

    def __init__(self, socket: io.RawIOBase) -> None:
        self.socket = socket
        self.deadline: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeoutError("timed out")
        return self.socket.readinto(buffer)

    def close(self) -> None:
        self.socket.close()
        super().close()


class _LimitedReader(io.BufferedReader):
    """Reads a response, with a time limit for what is not the data of its body.

    The head has one limit for all of it, and so has each length of a chunk, and what follows the last chunk. Those
    who read the body limit its time.
    """

    def __init__(self, socket: io.RawIOBase, timeout: float | None) -> None:
        self._limited = _LimitedSocket(socket)
        self._timeout = timeout
        super().__init__(self._limited)

    def readline(self, size: int | None = -1, /) -> bytes:
        if self._limited.deadline is None and self._timeout is not None:
            self._limited.deadline = time.monotonic() + self._timeout
        return super().readline(size)

    def read(self, size: int | None = -1, /) -> bytes:
        self._limited.deadline = None
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        self._limited.deadline = None
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        self._limited.deadline = None
        return super().readinto(buffer)


class FinalResponse(http.client.HTTPResponse):
    """The final response to a request."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _LimitedReader(self.fp.detach(), sock.gettimeout())

    def begin(self) -> None:
        """Read the head of the final response; those of interim responses (1xx) are skipped."""
        for _ in range(_MAX_INTERIM):
            super().begin()
            if not 100 <= self.status < 200:
                return
            self.headers = self.msg = None  # type: ignore[assignment]  # with headers, begin() reads nothing
        raise http.client.HTTPException("Too many interim responses.")


class _ExactTarget(http.client.HTTPConnection):
    """A connection that sends the target of this thread instead of the one that it is given."""

    response_class = FinalResponse

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        super().putrequest(method, _target.get(), *args, **kwargs)


def new_session() -> requests.Session:
    """Return a session without cookies, environment, ``.netrc`` and redirects."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Connection(_ExactTarget, HTTPConnection):
        pass

    class SecureConnection(_ExactTarget, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    pools = {"http": Pool, "https": SecurePool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            manager: Any = super().proxy_manager_for(proxy, **kwargs)
            if not proxy.lower().startswith("socks"):  # those have pools of their own
                manager.pool_classes_by_scheme = pools
            return manager

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            url = self.request_url(request, kwargs.get("proxies"))
            # A proxy gets the whole URL if there is no tunnel to the host.
            _target.set(_path_and_query(str(request.url)) if url.startswith("/") else url)
            return super().send(request, *args, **kwargs)

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """Find no redirect: `requests` would read its whole body, only to prepare for following it."""

    session = Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    return session


def _path_and_query(url: str) -> str:
    """Return path and query of a URL as they are spelled in it."""
    after_scheme = url.partition("#")[0].partition("://")[2]
    start = min((at for at in map(after_scheme.find, "/?") if at >= 0), default=len(after_scheme))
    target = after_scheme[start:]
    return target if target.startswith("/") else f"/{target}"
