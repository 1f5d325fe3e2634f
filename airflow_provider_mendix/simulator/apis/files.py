"""The file host: signed links to packages, archives and logs, and the apps themselves for health probes.

Mendix says nothing about this host beyond the link and its time to live. That it refuses credentials, how it
refuses, and that it understands ranges is how object stores with signed links behave, not documented.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from urllib.parse import unquote

from airflow_provider_mendix.simulator.apis import health
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import Reply, Request, text_reply

_CREDENTIALS = ("mendix-username", "mendix-apikey", "authorization")


def link(cloud: Cloud, package_id: str) -> str:
    """Return a signed link to the file of a package."""
    return signed_link(cloud, f"/packages/{package_id}.mda", cloud.options.ttl)


def signed_link(cloud: Cloud, path: str, ttl: float) -> str:
    """Return a link to a file that expires after ``ttl`` seconds."""
    expires = math.ceil(cloud.clock.now() + ttl)
    return f"{cloud.files_url}{path}?expires={expires}&signature={_sign(cloud, path, expires)}"


def respond(cloud: Cloud, request: Request) -> Reply:
    """Return the response to a request to the file host."""
    if request.path.startswith(health.PREFIX):
        return health.respond(cloud, request)
    if any(name in request.headers for name in _CREDENTIALS):
        return text_reply(400, "A signed link is its own credential. Send no other along.")
    if request.method not in ("GET", "HEAD"):
        return text_reply(405, "Only GET and HEAD.")
    path = unquote(request.path)
    file = re.fullmatch(r"/(packages|archives|logs|access-logs)/(.+)\.(?:mda|tar\.gz|backup|txt)", path)
    if not file:
        return text_reply(404, "There is no such file.")
    expires = request.query.get("expires", "")
    signature = request.query.get("signature", "")
    if not re.fullmatch(r"[0-9]{1,15}", expires) or not hmac.compare_digest(
        _sign(cloud, path, int(expires)), signature.encode("ascii", "replace").decode()
    ):
        return text_reply(403, "The signature does not fit.")
    if cloud.clock.now() > int(expires):
        return text_reply(403, "The link has expired.")
    content = _content(cloud, *file.groups())
    if content is None:
        return text_reply(404, "There is no such file.")
    return _file(request, content, cloud.options.ranges)


def _content(cloud: Cloud, kind: str, name: str) -> bytes | None:
    if kind == "packages":
        return cloud.packages.content(name) if name in cloud.packages else None
    if kind == "archives":
        archive = cloud.backups.archives.get(name)
        return archive.content() if archive else None
    return f"{name.rpartition('/')[2]} The simulator writes no {kind}.\n".encode()


def _sign(cloud: Cloud, path: str, expires: int) -> str:
    return hmac.new(cloud.link_secret, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()


def _file(request: Request, body: bytes, ranges: bool) -> Reply:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Content-Type": "application/octet-stream", "ETag": etag}
    status, first, last = 200, 0, len(body) - 1
    if ranges:
        headers["Accept-Ranges"] = "bytes"
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        part = _part(wanted or "", len(body)) if request.method == "GET" else None
        if part:
            first, last = part
            if first > last:
                return Reply(416, {**headers, "Content-Range": f"bytes */{len(body)}"})
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    headers["Content-Length"] = str(last - first + 1)
    return Reply(status, headers, body[first : last + 1] if request.method == "GET" else b"")


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte of one range; ``None`` for several ranges, or one that makes no sense."""
    match = re.fullmatch(r"bytes=([0-9]{0,15})-([0-9]{0,15})", wanted.strip())
    if not match or match[0].endswith("=-"):
        return None
    start, end = match.groups()
    if not start:
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(start):
        return None
    return int(start), min(int(end), size - 1) if end else size - 1
