"""JSON as older pages of the documentation write it: single quotes or none, ``=`` for ``:``, ``;`` for ``,``."""

from __future__ import annotations

import re

import msgspec

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>[{}\[\],:=;])
      | (?P<double>"(?:[^"\\]|\\.)*")
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<bare>[^\s{}\[\],:=;"']+)
    )""",
    re.VERBOSE,
)
_MARKS = {"=": ":", ";": ","}


def to_json(body: bytes) -> bytes:
    """Return the same values as JSON. What cannot be read is left to the JSON parser to refuse.

    :raises UnicodeDecodeError: if the body is not UTF-8.
    """
    text = body.decode().strip().removeprefix("@")
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            return body
        tokens.append(_as_json(found))
        at = found.end()
    return re.sub(r",(?=[}\]])", "", "".join(tokens)).encode()


def _as_json(token: re.Match[str]) -> str:
    if token["mark"]:
        return _MARKS.get(token["mark"], token["mark"])
    if token["double"]:
        return token["double"]
    if token["single"] is not None:
        return msgspec.json.encode(re.sub(r"\\(.)", r"\1", token["single"])).decode()
    is_json = re.fullmatch(r"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?", token["bare"])
    return token["bare"] if is_json else msgspec.json.encode(token["bare"]).decode()
