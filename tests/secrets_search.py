"""Search everything that Airflow has written for secrets: plain, shortened, encoded, compressed or encrypted.

The search uses the first and the last `PIECE` characters of the longest run of letters and digits of a secret. So
it finds a shortened secret, and escaping for JSON, HTML or a URL hides none.
"""

from __future__ import annotations

import base64
import contextlib
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.wire import Reply, Request

PIECE = 16
WHERE_SECRETS_BELONG = {("connection", "password"), ("connection", "extra")}
_DEEPEST = 4
_LINK = re.compile(rb"/packages/[^/]+\.mda\?expires=\d+&signature=([0-9a-f]{64})")
_WORDS = re.compile(rb"[0-9A-Za-z+/_=-]{%d,}" % PIECE)
_FERNET = re.compile(rb"gAAAA[0-9A-Za-z_-]{90,}={0,2}")


class Secret(NamedTuple):
    """A value that must not be found."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, '***')"


class RememberingPlatform(Platform):
    """A Mendix that records the signatures of its links, and escapes its links as no library does."""

    def __init__(self, *, options: Options | None = None) -> None:
        super().__init__(options=options)
        self._signatures: set[str] = set()

    def handle(self, request: Request) -> Reply:
        """Handle a request, record the signatures of links in the response, and change their escaping."""
        reply = super().handle(request)
        location = reply.headers.get("Location", "").encode()
        headers = {**reply.headers, "Location": self._spell(location).decode()} if location else reply.headers
        return msgspec.structs.replace(reply, headers=headers, body=self._spell(reply.body))

    def _spell(self, text: bytes) -> bytes:
        self._signatures.update(found[1].decode() for found in _LINK.finditer(text))
        return _LINK.sub(rb"\g<0>&by=%7e%2fana", text)

    @property
    def signatures(self) -> list[Secret]:
        """All signatures so far."""
        return [Secret("signature", value) for value in sorted(self._signatures)]


class Finding(NamedTuple):
    """A secret that was found; its value is not part of it."""

    secret: str
    form: str
    place: str


class Search:
    """Collects contents, and then finds which secrets are in which of them.

    :param secrets: what must not be found.
    :param fernet_key: of that Airflow; what is encrypted with it is read too.
    :ivar seen: how many contents came from each place.
    :ivar decrypted: how many of them were decrypted.
    :ivar decompressed: how many of them were decompressed.
    """

    def __init__(self, secrets: Iterable[Secret], fernet_key: str) -> None:
        self.seen: Counter[str] = Counter()
        self.decrypted: Counter[str] = Counter()
        self.decompressed: Counter[str] = Counter()
        self._fernet = Fernet(fernet_key)
        self._forms: dict[bytes, tuple[str, str]] = {}
        for secret in secrets:
            for name, form in _forms(secret):
                self._forms.setdefault(form, (secret.name, name))
        self._words: dict[bytes, set[str]] = {}

    def add(self, place: str, content: bytes) -> None:
        """Add one content."""
        self.seen[place] += 1
        for view in self._views(place, content, 0):
            for word in set(_WORDS.findall(view)):
                self._words.setdefault(word, set()).add(place)

    def add_folder(self, folder: Path) -> None:
        """Add the name and the content of every file below a folder; databases as they are on the disk."""
        for file in sorted(folder.rglob("*")):
            place = str(file.relative_to(folder))
            self.add(place, place.encode())
            # Airflow may be running, and come and go with files.
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                self.add(place, file.read_bytes())

    def add_database(self, file: Path) -> None:
        """Add every value of every table of an SQLite database, except the columns for secrets."""
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            database.text_factory = bytes
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in tables:
                table = name.decode()
                rows = database.execute(f'SELECT * FROM "{table}"')
                columns = [column[0] for column in rows.description]
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        if isinstance(value, bytes) and (table, column) not in WHERE_SECRETS_BELONG:
                            self.add(f"{table}.{column}", value)

    def findings(self) -> list[Finding]:
        """Return the secrets that were found, with their places."""
        everything = b"\n".join(self._words)
        found = {
            Finding(secret, form, place)
            for needle, (secret, form) in self._forms.items()
            if needle in everything
            for word, places in self._words.items()
            if needle in word
            for place in places
        }
        return sorted(found)

    def _views(self, place: str, content: bytes, depth: int) -> Iterator[bytes]:
        yield content
        if depth == _DEEPEST:
            return
        for view in self._decoded(place, content):
            yield from self._views(place, view, depth + 1)

    def _decoded(self, place: str, content: bytes) -> Iterator[bytes]:
        if content[:6] == b"SQLite":  # its values come one by one
            yield content.replace(b"\0", b"")
            return
        if b"\0" in content:  # UTF-16, or something binary
            yield content.replace(b"\0", b"")
        if b"%" in content and (unquoted := unquote_to_bytes(content)) != content:
            yield unquoted
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(content, wbits=47)  # zlib or gzip
            self.decompressed[place] += 1
        for token in set(_FERNET.findall(content)):
            with contextlib.suppress(InvalidToken):
                yield self._fernet.decrypt(token)
                self.decrypted[place] += 1


def _forms(secret: Secret) -> Iterator[tuple[str, bytes]]:
    run = max(re.findall("[0-9A-Za-z]+", secret.value), key=len, default="")
    if len(run) < PIECE:
        raise ValueError(f"{secret} has no {PIECE} letters and digits in a row.")
    for piece in (run[:PIECE].encode(), run[-PIECE:].encode()):
        yield "plain", piece
        yield "upper case", piece.upper()
        yield "lower case", piece.lower()
        yield "reversed", piece[::-1]
        yield "hex", piece.hex().encode()
        yield "hex", piece.hex().upper().encode()
        for offset in range(3):
            # What is encoded together with a neighbour of the piece is not known, and left out.
            encoded = base64.b64encode(bytes(offset) + piece)
            form = encoded[-(-offset * 8 // 6) : (offset + PIECE) * 8 // 6]
            yield "base64", form
            yield "base64", form.translate(bytes.maketrans(b"+/", b"-_"))
