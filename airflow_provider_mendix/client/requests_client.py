"""The sender for workers, on `requests`, so that `requests-mock` works in the tests of a DAG.

It sends credentials only in the headers of one request to the connection's host, follows no redirect of an API
call, and reads neither ``.netrc`` nor cookies. The head of a response must be complete after ``timeout`` seconds.
A body has at most ``MAX_BODY_SIZE`` bytes and must be complete ``timeout`` seconds after the request began, even
if bytes keep coming; only the body of a file may take longer.
Errors of the library are not chained: their text may hold a signed URL.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.client.account import CONNECT_TIMEOUT, Account, is_safe
from airflow_provider_mendix.client.connections import new_session
from airflow_provider_mendix.client.download import Download
from airflow_provider_mendix.client.exchange import (
    READ_SIZE,
    USER_AGENT,
    ca_bundle,
    check_size,
    headers_and_body,
    no_response,
    proxy_for,
    response_of,
)
from airflow_provider_mendix.client.ranges import Part, read_head
from airflow_provider_mendix.client.reasons import reason
from airflow_provider_mendix.exceptions import (
    DownloadError,
    MendixConnectionError,
    RedirectedError,
    UnsafeLinkError,
)

if TYPE_CHECKING:
    from typing import Self

    import requests

    from airflow_provider_mendix.client.multipart import FileForm

T = TypeVar("T")

_MAX_REDIRECTS = 5
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class MendixClient:
    """Sends calls; opens no connection before the first one."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open_session: requests.Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._open_session is not None:
            self._open_session.close()
            self._open_session = None

    def send(self, call: Call[T]) -> T:
        """Send one call, once.

        :raises MendixError: if there was no good response.
        """
        return self._exchange(call)

    def upload(self, call: Call[T], form: FileForm) -> T:
        """Send one call with a file as its body, once, in constant memory.

        :raises MendixError: if there was no good response.
        :raises Exception: what the source of the file raises.
        """
        return self._exchange(call, form)

    @contextlib.contextmanager
    def download(self, source: str | Call[bytes], part: Part | None = None) -> Iterator[Download]:
        """Open the file of a package.

        :param source: a signed link, or the deprecated download call. Only that call carries credentials, and it
            does not send them to where it may redirect.
        :param part: what to request from a file host; the host may send the whole file instead.
        :raises DownloadError: if the file host refuses, or sends another part.
        :raises UnsafeLinkError: if the link, or one that it redirects to, is not safe.
        :raises MendixError: if Mendix refuses the download call.
        """
        import requests

        call = None if isinstance(source, str) else source
        url = source if isinstance(source, str) else self.account.base_url(source.endpoint.api)
        give_up_at = self._deadline()
        try:
            response = self._get_file(url, part) if call is None else self._request(call)
            if call and response.is_redirect:
                response.close()
                url = _location(response)
                call = None  # from here on, a file host answers
                response = self._get_file(url, part)
        except (requests.RequestException, OSError) as error:
            why = reason(error, url, proxy_for(url, self.account))
            raise DownloadError(f"The file host cannot be reached: {why}.") from None
        with contextlib.closing(response):
            if call and response.status_code != 200:
                self._parse(call, response, give_up_at)
            head = response_of(self.account, response.status_code, response.headers, b"")
            yield Download(response, read_head(urlsplit(response.url).hostname, head, part))

    def _exchange(self, call: Call[T], form: FileForm | None = None) -> T:
        import requests

        give_up_at = self._deadline()
        try:
            response = self._request(call, form)
        except (requests.RequestException, OSError) as error:
            raise self._failure(call, error, form) from None
        with contextlib.closing(response):
            return self._parse(call, response, self._deadline() if form else give_up_at, form)

    def _parse(
        self, call: Call[T], response: requests.Response, give_up_at: float, form: FileForm | None = None
    ) -> T:
        """Read the body of a response and parse it."""
        import urllib3

        packed, body = bytearray(), bytearray()
        try:
            while data := response.raw.read1(READ_SIZE, decode_content=False):
                packed += data
                check_size(call, len(packed))
                if time.monotonic() > give_up_at:
                    raise TimeoutError
            # Unpacked at the end: urllib3 would read on without limit as long as nothing comes out.
            unpacked = urllib3.HTTPResponse(io.BytesIO(packed), response.raw.headers, preload_content=False)
            while data := unpacked.read1(READ_SIZE, decode_content=True):
                body += data
                check_size(call, len(body))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._failure(call, error, form) from None
        if form and form.failure:
            raise form.failure
        return call.parse(response_of(self.account, response.status_code, response.headers, bytes(body)))

    def _failure(self, call: Call[Any], error: Exception, form: FileForm | None) -> Exception:
        if form and form.failure:
            return form.failure
        if form and not form.is_sent:
            host = self.account.base_url(call.endpoint.api)
            why = reason(error, host, proxy_for(host, self.account))
            return MendixConnectionError(
                f"The upload to {host} broke off after {form.sent} of {len(form)} bytes: {why}. Mendix did not get"
                " the whole file.",
                request=str(call),
            )
        return no_response(call, error, self.account)

    def _request(self, call: Call[Any], form: FileForm | None = None) -> requests.Response:
        url = self.account.base_url(call.endpoint.api) + call.target
        headers, body = headers_and_body(self.account, call)
        if form is None:
            return self._open(call.endpoint.method, url, headers, body)
        return self._open(call.endpoint.method, url, {**headers, "Content-Type": form.content_type}, form)

    def _get_file(self, url: str, part: Part | None) -> requests.Response:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(part.headers() if part else {})}
        for _ in range(_MAX_REDIRECTS):
            if not is_safe(url):
                raise UnsafeLinkError("The link to the file is not https, and its host is not this machine.")
            response = self._open("GET", _as_ascii(url), headers)
            if not response.is_redirect:
                return response
            response.close()
            url = _location(response)
        raise RedirectedError(f"The file host redirected {_MAX_REDIRECTS} times.")

    def _open(
        self, method: str, url: str, headers: dict[str, str], body: bytes | FileForm | None = None
    ) -> requests.Response:
        import requests

        if self._open_session is None:
            self._open_session = new_session()
        proxy = proxy_for(url, self.account)
        request = self._open_session.prepare_request(requests.Request(method, url, headers, data=body))
        request.url = url  # `requests` has respelled it
        return self._open_session.send(
            request,
            timeout=(min(CONNECT_TIMEOUT, self.account.timeout), self.account.timeout),
            allow_redirects=False,
            stream=True,
            verify=ca_bundle(self.account.verify),
            proxies={"http": proxy, "https": proxy} if proxy else {},
        )

    def _deadline(self) -> float:
        return time.monotonic() + self.account.timeout


def _location(response: requests.Response) -> str:
    """Return where a redirect leads. It may be raw UTF-8, which `http.client` decodes as Latin-1."""
    location = response.headers["Location"]
    with contextlib.suppress(UnicodeEncodeError):
        location = _as_ascii(location.encode("latin-1"))
    try:
        return location if urlsplit(location).scheme else urljoin(response.url, location)
    except ValueError:
        raise UnsafeLinkError("The file host redirected to something that is no URL.") from None


def _as_ascii(url: str | bytes) -> str:
    """Return a URL that differs only in the characters that no request line can hold."""
    return quote(url, safe=_PRINTABLE_ASCII)
