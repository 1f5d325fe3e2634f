"""What a file host says of a file before its bytes come, and how to ask it for the rest of one.

Mendix says nothing about its file host. What is read here is HTTP: RFC 9110, sections 8.8.3, 13.1.5, 14, 15.3.7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from airflow_provider_mendix.api.response import Response
from airflow_provider_mendix.exceptions import DownloadError

_ABOUT_TIME = (408, 425, 429)


class Part(msgspec.Struct, frozen=True):
    """The rest of a file of which the beginning is known.

    :param first: number of the first byte to send, from 0.
    :param etag: strong validator of the file that the beginning is from.
    """

    first: int
    etag: str

    def headers(self) -> dict[str, str]:
        """Ask for it, or else for all of the file if it has changed."""
        return {"Range": f"bytes={self.first}-", "If-Range": self.etag}


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """What comes before the bytes.

    :param first: number of the first byte that comes, from 0.
    :param size: bytes of the whole file, if the host says so.
    :param etag: strong validator, if there is one: the same for the same bytes only.
    :param headers: all of the answer, with lower-case names.
    """

    first: int
    size: int | None
    etag: str | None
    headers: Mapping[str, str]

    @property
    def is_part(self) -> bool:
        """Whether the answer holds the end of the file only; its headers may then describe that end."""
        return self.first > 0


def read_head(host: str | None, answer: Response, part: Part | None = None) -> FileHead:
    """Read the head of an answer.

    :param part: what was asked for; ``None`` for all of the file.
    :raises DownloadError: if this is no file, or not the part that was asked for. Its ``status`` tells.
    """
    etag = answer.headers.get("etag", "").strip()
    strong = etag if re.fullmatch(r'"[^"]+"', etag) else None
    length = answer.headers.get("content-length", "")
    announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if answer.status == 200:
        return FileHead(first=0, size=announced, etag=strong, headers=answer.headers)
    if answer.status == 206 and part:
        found = re.fullmatch(
            r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", answer.headers.get("content-range", "").strip()
        )
        first, last, size = map(int, found.groups()) if found else (0, 0, 0)
        fits = first == part.first and last == size - 1 and announced in (None, size - first)
        if fits and etag in ("", part.etag):
            return FileHead(first=first, size=size, etag=part.etag, headers=answer.headers)
        raise DownloadError(f"The file host {host} gave another part than the one that was asked for.", status=206)
    raise DownloadError(
        f"The file host {host} answered HTTP {answer.status}. The link may have expired.",
        status=answer.status,
        retry_after=answer.retry_after,
    )


def is_refusal(status: int | None) -> bool:
    """Tell whether a file host does not accept a link: it may have expired, and a new one may help."""
    return status is not None and 400 <= status < 500 and status not in (*_ABOUT_TIME, 416)
