"""The head of a file host's response, and how to request the rest of a file.

Mendix documents nothing about its file host. This is HTTP: RFC 9110, sections 8.8.3, 13.1.5, 14, 15.3.7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from airflow_provider_mendix.api.response import Response
from airflow_provider_mendix.exceptions import DownloadError

_TRANSIENT_STATUS = (408, 425, 429)


class Part(msgspec.Struct, frozen=True):
    """The rest of a file whose beginning has been read.

    :param first: number of the first byte to send, from 0.
    :param etag: strong validator of the file that the beginning is from.
    """

    first: int
    etag: str

    def headers(self) -> dict[str, str]:
        """Return headers that request the rest, or the whole file if it has changed."""
        return {"Range": f"bytes={self.first}-", "If-Range": self.etag}


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """What comes before the bytes.

    :param first: number of the first byte that follows, from 0.
    :param size: bytes of the whole file, if the host says so.
    :param etag: strong validator, if there is one: the same for the same bytes only.
    :param headers: all headers, with lower-case names.
    """

    first: int
    size: int | None
    etag: str | None
    headers: Mapping[str, str]

    @property
    def is_part(self) -> bool:
        """Whether only the end of the file follows; the headers may then describe that end."""
        return self.first > 0


def read_head(host: str | None, response: Response, part: Part | None = None) -> FileHead:
    """Read the head of a response.

    :param part: what was requested; ``None`` for the whole file.
    :raises DownloadError: with its ``status``, if this is no file, or not the requested part.
    """
    etag = response.headers.get("etag", "").strip()
    strong = etag if re.fullmatch(r'"[^"]+"', etag) else None
    length = response.headers.get("content-length", "")
    announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if response.status == 200:
        return FileHead(first=0, size=announced, etag=strong, headers=response.headers)
    if response.status == 206 and part:
        found = re.fullmatch(
            r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", response.headers.get("content-range", "").strip()
        )
        first, last, size = map(int, found.groups()) if found else (0, 0, 0)
        fits = first == part.first and last == size - 1 and announced in (None, size - first)
        if fits and etag in ("", part.etag):
            return FileHead(first=first, size=size, etag=part.etag, headers=response.headers)
        raise DownloadError(f"The file host {host} sent another part than the requested one.", status=206)
    hint = " The link may have expired." if is_refusal(response.status) else ""
    raise DownloadError(
        f"The file host {host} answered HTTP {response.status}.{hint}",
        status=response.status,
        retry_after=response.retry_after,
    )


def is_refusal(status: int | None) -> bool:
    """Return whether a file host refuses a link: it may have expired, and a new link may help."""
    return status is not None and 400 <= status < 500 and status not in (*_TRANSIENT_STATUS, 416)
