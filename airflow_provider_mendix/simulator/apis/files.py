"""The host that package files come from: signed links that expire, and no Mendix credentials, please.

Mendix says nothing about this host beyond the link and its time to live. That it refuses credentials, how it
says no, and that it understands ranges is how object stores with signed links behave, not documented.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import io
import math
import re
import zipfile
from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from airflow_provider_mendix.simulator.apis.routes import Reply, Request

_CREDENTIALS = ("mendix-username", "mendix-apikey", "authorization")


@functools.lru_cache(maxsize=16)
def mda(package_id: str, size: int) -> bytes:
    """Make the file of a package: a valid zip of ``size`` bytes, the same every time for the same package."""
    filler = hashlib.shake_256(package_id.encode()).digest(max(0, size - _overhead(package_id)))
    return _archive(package_id, filler)


def mda_size(package_id: str, size: int) -> int:
    """Give the length of that file; a wish too small for a zip gives the smallest one."""
    return max(size, _overhead(package_id))


def sign(secret: bytes, package_id: str, expires: int) -> str:
    """Make the signature of a link."""
    return hmac.new(secret, f"{package_id} {expires}".encode(), hashlib.sha256).hexdigest()


def signed_path(secret: bytes, package_id: str, expires: float) -> str:
    """Make a link, below the base URL of the host."""
    until = math.ceil(expires)
    return f"/packages/{package_id}.mda?expires={until}&signature={sign(secret, package_id, until)}"


def answer(
    request: Request, *, secret: bytes, now: float, content: Callable[[str], bytes | None], ranges: bool
) -> Reply:
    """Answer a request for a file.

    :param content: gives the file of a package, or ``None``.
    :param ranges: whether parts can be asked for.
    """
    if any(name in request.headers for name in _CREDENTIALS):
        return _says(400, "A signed link is its own credential. Send no other along.")
    if request.method not in ("GET", "HEAD"):
        return _says(405, "Only GET and HEAD.")
    match = re.fullmatch(r"/packages/([^/]+)\.mda", unquote(request.path))
    if not match:
        return _says(404, "There is no such file.")
    package_id = match[1]
    expires = request.query.get("expires", "")
    signature = request.query.get("signature", "")
    if not re.fullmatch(r"[0-9]{1,15}", expires) or not hmac.compare_digest(
        sign(secret, package_id, int(expires)), signature.encode("ascii", "replace").decode()
    ):
        return _says(403, "The signature does not fit.")
    if now > int(expires):
        return _says(403, "The link has expired.")
    body = content(package_id)
    if body is None:
        return _says(404, "There is no such file.")
    return _file(request, body, ranges)


def _file(request: Request, body: bytes, ranges: bool) -> Reply:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Content-Type": "application/octet-stream", "ETag": etag}
    status, first, last = 200, 0, len(body) - 1
    if ranges:
        headers["Accept-Ranges"] = "bytes"
        asked = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        part = _part(asked or "", len(body)) if request.method == "GET" else None
        if part:
            first, last = part
            if first > last:
                return Reply(416, {**headers, "Content-Range": f"bytes */{len(body)}"})
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    headers["Content-Length"] = str(last - first + 1)
    return Reply(status, headers, body[first : last + 1] if request.method == "GET" else b"")


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Read one range; several, or none that makes sense, count as not asked. An empty one cannot be given."""
    match = re.fullmatch(r"bytes=([0-9]{0,15})-([0-9]{0,15})", asked.strip())
    if not match or match[0].endswith("=-"):
        return None
    start, end = match.groups()
    if not start:
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(start):
        return None
    return int(start), min(int(end), size - 1) if end else size - 1


def _says(status: int, text: str) -> Reply:
    return Reply(status, {"Content-Type": "text/plain"}, f"{text}\n".encode())


@functools.lru_cache(maxsize=16)
def _overhead(package_id: str) -> int:
    return len(_archive(package_id, b""))


def _archive(package_id: str, filler: bytes) -> bytes:
    entries = {
        "model/metadata.json": msgspec.json.encode({"PackageId": package_id, "MadeBy": "simulator"}),
        "web/index.html": b"<!doctype html><title>Simulated</title>\n",
        "model/model.mdp": filler,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in entries.items():
            # A fixed date: the file must not depend on when it is made.
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), body)
    return buffer.getvalue()
