"""The platform behind `requests-mock`: a test of a DAG needs no socket, and reaches no host but Mendix's."""

from __future__ import annotations

import errno
import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.wire import HostName, Reply, Request, headers_of

if TYPE_CHECKING:
    import requests
    import requests_mock
    from requests_mock.request import _RequestObjectProxy


def install(
    platform: Platform,
    mocker: requests_mock.Mocker,
    *,
    api_url: str | None = None,
    repository_url: str | None = None,
) -> None:
    """Send what `requests` sends to Mendix's hosts and to the platform's file host to the platform.

    The mocker handles requests to other hosts.

    :param api_url: base URL of one more API host of Mendix.
    :param repository_url: base URL of one more host of the App Repository API.
    """
    from requests_mock import create_response

    hosts: dict[str | None, HostName] = {
        Host.DEPLOY.value: "api",
        api_url: "api",
        Host.REPOSITORY.value: "repository",
        Host.WEBHOOKS.value: "repository",
        repository_url: "repository",
    }

    def respond(request: _RequestObjectProxy) -> requests.Response | None:
        url = urlsplit(request.url or "")
        base = f"{url.scheme}://{url.netloc}"
        host = hosts.get(base) if base != platform.cloud.files_url else "files"
        if host is None:
            return None
        reply = platform.handle(
            Request(
                host=host,
                method=request.method or "GET",
                path=url.path,
                query=dict(parse_qsl(url.query, keep_blank_values=True)),
                headers=headers_of(request.headers.items()),
                body=_body_of(request),
            )
        )
        _apply(reply, request, platform.clock)
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        return create_response(request, status_code=reply.status, headers=headers, content=reply.body)

    mocker.add_matcher(respond)


def _body_of(request: _RequestObjectProxy) -> bytes:
    """Return the body of a request; a file that is being uploaded is read to its end."""
    body: Any = request.body or b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else b"".join(body)


def _apply(reply: Reply, request: _RequestObjectProxy, clock: Clock) -> None:
    """Let the platform's clock pass, and raise what the transport of `requests` would raise."""
    import requests
    import urllib3

    timeout = request.timeout[1] if isinstance(request.timeout, tuple) else request.timeout
    if reply.delay:
        clock.sleep(min(reply.delay, timeout or reply.delay))
    if timeout is not None and reply.delay >= timeout:
        raise requests.ReadTimeout("Read timed out.")
    if reply.drop:
        broken = (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            if reply.drop == "reset"
            else http.client.RemoteDisconnected("Remote end closed connection without response")
        )
        raise requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", broken))
