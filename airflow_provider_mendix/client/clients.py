"""The two senders: `requests` for workers, `aiohttp` for the triggerer. Nothing else in this package does I/O.

Both send credentials only in the headers of one request to the one host of the connection, follow no redirect
on an API call, read neither ``.netrc`` nor cookies, and take at most `LONGEST_BODY` bytes and the account's
``timeout`` for one answer, even one that drips. A file on its way up may take longer, if only each piece of it
goes out in that time. The original exception of a library is not chained: its text may hold a signed URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.response import Response
from airflow_provider_mendix.client.account import CONNECT_TIMEOUT, Account, is_safe
from airflow_provider_mendix.client.ranges import FileHead, Part, read_head
from airflow_provider_mendix.exceptions import (
    DownloadError,
    InvalidConnectionError,
    MalformedResponseError,
    MendixConnectionError,
    RedirectedError,
    UnsafeLinkError,
)

if TYPE_CHECKING:
    from typing import Self

    import requests

    from airflow_provider_mendix.client.multipart import FileForm

T = TypeVar("T")

USER_AGENT = f"airflow-provider-mendix/{__version__}"
LONGEST_BODY = 64 * 1024 * 1024
CHUNK = 1024 * 1024
_MOST_REDIRECTS = 5
_MOST_CONNECTIONS = 32


class Download:
    """The file of a package, or the rest of one, on its way.

    :ivar head: what the host said of it.
    """

    def __init__(self, response: requests.Response, head: FileHead) -> None:
        self._response = response
        self.head = head

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if the host announced them."""
        return self.head.size

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes as they are on the wire, about a mebibyte at a time, and what there is each second.

        :raises DownloadError: if the line breaks, or the file ends before its announced size. All bytes that
            arrived before have been given then.
        """
        import urllib3

        received = self.head.first
        broken = ""
        at_end = False
        while not at_end:
            pieces: list[bytes] = []
            length, due = 0, time.monotonic() + 1
            while length < CHUNK and (not pieces or time.monotonic() < due):
                try:
                    piece = self._response.raw.read1(CHUNK, decode_content=False)
                except (urllib3.exceptions.HTTPError, OSError) as error:
                    broken, piece = _reason(error), b""
                if not piece:
                    at_end = True
                    break
                pieces.append(piece)
                length += len(piece)
            received += length
            if pieces:
                yield b"".join(pieces)
        if broken:
            raise DownloadError(
                f"The download broke off after {received} of {self.size or 'unknown'} bytes: {broken}."
            )
        if self.size is not None and received != self.size:
            raise DownloadError(f"The download ended after {received} of {self.size} bytes.")


class MendixClient:
    """Sends calls with `requests`; for workers."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open_session: requests.Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections."""
        if self._open_session is not None:
            self._open_session.close()
            self._open_session = None

    def send(self, call: Call[T]) -> T:
        """Send one call, once.

        :raises MendixError: whatever came instead of a good answer.
        """
        return self._exchange(call, None)

    def upload(self, call: Call[T], form: FileForm) -> T:
        """Send one call with a file as its body, once, in constant memory.

        An answer that comes before all of it is sent counts, if it can still be read.

        :raises MendixError: whatever came instead of a good answer.
        :raises Exception: whatever the source of the file raises.
        """
        return self._exchange(call, form)

    def _exchange(self, call: Call[T], form: FileForm | None) -> T:
        import requests
        import urllib3

        try:
            with contextlib.closing(self._request(call, form)) as response:
                body = bytearray()
                while chunk := response.raw.read1(64 * 1024, decode_content=True):
                    body += chunk
                    _check_length(call, len(body))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if form and form.failure:
                raise form.failure from None
            raise _not_answered(call, error, self.account, form) from None
        if form and form.failure:
            raise form.failure
        return call.parse(_response(self.account, response.status_code, response.headers, bytes(body)))

    @contextlib.contextmanager
    def download(self, source: str | Call[bytes], part: Part | None = None) -> Iterator[Download]:
        """Open the file of a package.

        :param source: a signed link, or the deprecated download call. Only that call carries credentials, and
            not to where it may redirect.
        :param part: what to ask a file host for; it may give all of the file all the same.
        :raises DownloadError: if the file host refuses, or gives another part.
        :raises UnsafeLinkError: if the link, or one that it redirects to, is not safe.
        :raises MendixError: if the download call is refused.
        """
        import requests
        import urllib3

        call = None if isinstance(source, str) else source
        try:
            response = self._get_file(source, part) if isinstance(source, str) else self._request(source)
            if call and response.is_redirect:
                response.close()
                location = _location(response)
                call = None  # from here on, a file host answers
                response = self._get_file(location, part)
        except (requests.RequestException, OSError) as error:
            raise DownloadError(f"The file host cannot be reached: {_reason(error)}.") from None
        with contextlib.closing(response):
            if call and response.status_code != 200:
                try:
                    body = response.raw.read(LONGEST_BODY, decode_content=True)
                except (urllib3.exceptions.HTTPError, OSError) as error:
                    raise _not_answered(call, error, self.account) from None
                call.parse(_response(self.account, response.status_code, response.headers, body))
            answer = _response(self.account, response.status_code, response.headers, b"")
            head = read_head(urlsplit(response.url).hostname, answer, part)
            _leave_time_for_the_body(response)
            yield Download(response, head)

    def _request(self, call: Call[Any], form: FileForm | None = None) -> requests.Response:
        url = self.account.base_url(call.endpoint.api) + call.target
        headers, body = _headers_and_body(self.account, call)
        if form is None:
            return self._open(call.endpoint.method, url, headers, body)
        return self._open(call.endpoint.method, url, {**headers, "Content-Type": form.content_type}, form)

    def _get_file(self, url: str, part: Part | None) -> requests.Response:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(part.headers() if part else {})}
        for _ in range(_MOST_REDIRECTS):
            if not is_safe(url):
                raise UnsafeLinkError("The link to the file is not https, and its host is not this machine.")
            response = self._open("GET", url, headers)
            if not response.is_redirect:
                return response
            response.close()
            url = _location(response)
        raise RedirectedError(f"The file host redirected {_MOST_REDIRECTS} times.")

    def _open(
        self, method: str, url: str, headers: dict[str, str], body: bytes | FileForm | None = None
    ) -> requests.Response:
        return self._session().request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=(min(CONNECT_TIMEOUT, self.account.timeout), self.account.timeout),
            allow_redirects=False,
            stream=True,
            verify=_ca_bundle(self.account.verify),
            proxies=self._proxies(url),
        )

    def _session(self) -> requests.Session:
        if self._open_session is None:
            from http.cookiejar import DefaultCookiePolicy

            import requests
            from requests.adapters import HTTPAdapter

            from airflow_provider_mendix.client.timed import TimedConnection, TimedResponse

            means = {"response_class": TimedResponse, "patience": self.account.timeout}

            class Adapter(HTTPAdapter):
                def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
                    pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
                    kind = pool.ConnectionCls  # there is one for each of http, https and SOCKS
                    if not issubclass(kind, TimedConnection):
                        pool.ConnectionCls = type("Connection", (TimedConnection, kind), means)
                    return pool

            class Session(requests.Session):
                def get_redirect_target(self, resp: requests.Response) -> None:
                    """Else `requests` reads the whole body and parses the location just to be able to follow."""

            session = Session()
            session.trust_env = False
            session.mount("https://", Adapter())
            session.mount("http://", Adapter())
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._open_session = session
        return self._open_session

    def _proxies(self, url: str) -> dict[str, str]:
        proxy = _proxy_for(url, self.account)
        return {"http": proxy, "https": proxy} if proxy else {}


class AsyncMendixClient:
    """Sends calls with `aiohttp`; for the triggerer. Use it as an async context manager."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._proxies: dict[str, str | None] = {}

    async def __aenter__(self) -> Self:
        # Loading the libraries and the certificates takes longer than an event loop may stand still.
        verify = _ca_bundle(self.account.verify)
        try:
            context = await asyncio.to_thread(_load_for_async, verify)
        except OSError as error:
            raise InvalidConnectionError(f"The CA bundle {verify} cannot be used: {_reason(error)}.") from None
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self.account.timeout, sock_connect=min(CONNECT_TIMEOUT, self.account.timeout)
            ),
            trust_env=False,
        )
        # It would send a GET or DELETE again by itself when the line breaks; whether to is not its business.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, call: Call[T]) -> T:
        """Send one call, once.

        :raises MendixError: whatever came instead of a good answer.
        """
        import aiohttp
        from yarl import URL

        base_url = self.account.base_url(call.endpoint.api)
        url = base_url + call.target
        headers, data = _headers_and_body(self.account, call)
        if base_url not in self._proxies:
            # To look through the environment takes longer than all the rest of a request.
            self._proxies[base_url] = _proxy_for(base_url, self.account)
        try:
            async with self._session.request(
                call.endpoint.method,
                URL(url, encoded=True),
                data=data,
                headers=headers,
                # It would call a body that is not there a stream of bytes.
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
                proxy=self._proxies[base_url],
            ) as answer:
                body = bytearray()
                async for chunk in answer.content.iter_chunked(64 * 1024):
                    body += chunk
                    _check_length(call, len(body))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _not_answered(call, error, self.account) from None
        return call.parse(_response(self.account, answer.status, answer.headers, bytes(body)))


def _leave_time_for_the_body(response: requests.Response) -> None:
    """The head of a file came in time; the file itself may take longer, if only it does not stall."""
    from airflow_provider_mendix.client.timed import TimedResponse

    original = getattr(response.raw, "_original_response", None)
    if isinstance(original, TimedResponse):
        original.line.leave_time()


def _headers_and_body(account: Account, call: Call[Any]) -> tuple[dict[str, str], bytes | None]:
    headers = {
        "Accept": "application/json, */*",
        "User-Agent": USER_AGENT,
        **account.headers(call.endpoint.api),
    }
    if call.endpoint.returns is bytes:
        headers["Accept-Encoding"] = "identity"
    if call.body is None:
        return headers, None
    return {**headers, "Content-Type": "application/json"}, msgspec.json.encode(call.body)


def _response(account: Account, status: int, headers: Any, body: bytes) -> Response:
    refused = not 200 <= status < 300
    return Response(
        status=status,
        headers={name.lower(): value for name, value in headers.items()},
        body=account.redact(body) if refused else body,
    )


def _location(response: requests.Response) -> str:
    try:
        return urljoin(response.url, response.headers["Location"])
    except ValueError:
        raise UnsafeLinkError("The file host redirected to something that is no URL.") from None


def _check_length(call: Call[Any], length: int) -> None:
    if length > LONGEST_BODY:
        message = (
            f"{call}: the answer is longer than {LONGEST_BODY} bytes; it was cut off. {call.unconfirmed_hint}"
        )
        raise MalformedResponseError(message.rstrip(), outcome_unknown=not call.endpoint.repeatable)


def _proxy_for(url: str, account: Account) -> str | None:
    """The connection's proxy, else the environment's unless ``NO_PROXY`` excepts the host."""
    if account.proxy:
        return account.proxy
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url))


def _ca_bundle(verify: bool | str) -> bool | str:
    """Honour the environment's CA bundle in both senders alike; only `requests` would do it by itself."""
    if verify is True:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    if isinstance(verify, str) and not os.path.exists(verify):
        raise InvalidConnectionError(f"The CA bundle {verify} of the connection or the environment is not there.")
    return verify


def _load_for_async(verify: bool | str) -> ssl.SSLContext | bool:
    import aiohttp  # noqa: F401
    import certifi
    import requests.utils  # noqa: F401

    if verify is False:
        return False
    bundle = certifi.where() if verify is True else verify
    if os.path.isdir(bundle):
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def _not_answered(
    call: Call[Any], error: Exception, account: Account, form: FileForm | None = None
) -> MendixConnectionError:
    host = account.base_url(call.endpoint.api)
    if form and not form.is_sent:
        return MendixConnectionError(
            f"{call}: the upload to {host} broke off after {form.sent} of {len(form)} bytes: {_reason(error)}."
            " Mendix has not got all of the file."
        )
    message = f"{call}: no whole answer from {host}: {_reason(error)}. {call.unconfirmed_hint}"
    return MendixConnectionError(message.rstrip(), outcome_unknown=not call.endpoint.repeatable)


def _reason(error: BaseException) -> str:
    """Say what broke, in words that cannot hold a URL: libraries put the whole URL in theirs."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(seen) < 20:
        found = todo.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            todo += [*found.args, getattr(found, "reason", None), found.__cause__, found.__context__]
    # The wrappers of aiohttp are `ssl` errors too, but only the originals inside them say what is wrong.
    for found in seen:
        if isinstance(found, ssl.SSLCertVerificationError) and hasattr(found, "verify_message"):
            return f"the TLS certificate is not trusted ({found.verify_message})"
    for found in seen:
        if isinstance(found, ssl.SSLError) and getattr(found, "reason", None):
            return f"TLS failed ({found.reason})"
    for found in seen:
        # Each library says it in its own way: `http.client` in words, `aiohttp` with a class.
        words = re.match(r"Tunnel connection failed: (\d{3})", str(found))
        if words or type(found).__name__ == "ClientHttpProxyError":
            return f"the proxy refused (HTTP {words[1] if words else getattr(found, 'status', 0)})"
    for found in seen:
        if isinstance(found, OSError) and found.strerror and isinstance(found.errno, int):
            return found.strerror
    if any("timeout" in type(found).__name__.lower() for found in seen):
        return "timed out"
    return f"the connection failed ({type(error).__name__})"
