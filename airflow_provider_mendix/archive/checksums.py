"""Checksums that a file host sends along, and which of them are about all of the file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec

from airflow_provider_mendix.client.ranges import FileHead

_LENGTHS = {"sha256": 32, "md5": 16}


class Checksum(msgspec.Struct, frozen=True):
    """What a host says a file hashes to.

    :param header: where it says so, in lower case.
    :param algorithm: as `hashlib` names it.
    """

    header: str
    algorithm: str
    digest: bytes


def whole_file(head: FileHead) -> list[Checksum]:
    """Read those checksums of an answer that are about all of the file.

    ``Digest`` (RFC 3230) and ``Repr-Digest`` (RFC 9530) are about all of it even where only a part is sent.
    ``Content-Digest`` and ``Content-MD5`` are about what is sent, and S3 gives a part's own checksum with a part,
    so of an answer that holds a part they say nothing about the whole.
    """
    found = [*_listed("digest", head, "="), *_listed("repr-digest", head, ":")]
    if not head.is_part:
        found += [*_listed("content-digest", head, ":"), *_of_s3(head), *_md5(head)]
    return [checksum for checksum in found if len(checksum.digest) == _LENGTHS[checksum.algorithm]]


def _listed(header: str, head: FileHead, form: str) -> Iterator[Checksum]:
    """Read a list such as ``sha-256=:…:, sha-512=:…:``, or without the colons."""
    for entry in head.headers.get(header, "").split(","):
        name, _, value = entry.strip().partition("=")
        if name.strip().lower() == "sha-256":
            value = value.partition(";")[0].strip()
            if form == ":" and not re.fullmatch(r":[^:]*:", value):
                continue
            yield Checksum(header, "sha256", _decoded(value.strip(":")))


def _of_s3(head: FileHead) -> Iterator[Checksum]:
    """A composite one, ``…-3``, is a checksum of the checksums of parts that nobody tells us."""
    value = head.headers.get("x-amz-checksum-sha256", "").strip()
    is_composite = head.headers.get("x-amz-checksum-type", "").strip().upper() == "COMPOSITE" or "-" in value
    if value and not is_composite:
        yield Checksum("x-amz-checksum-sha256", "sha256", _decoded(value))


def _md5(head: FileHead) -> Iterator[Checksum]:
    value = head.headers.get("content-md5", "").strip()
    if value:
        yield Checksum("content-md5", "md5", _decoded(value))


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
