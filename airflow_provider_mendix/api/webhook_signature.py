"""The signature by which a receiver knows that a webhook comes from Mendix.

It is the HMAC-SHA256 of ``<webhook-id>.<webhook-timestamp>.<raw body>`` in base64, as ``v1,<signature>``.

Source: https://docs.mendix.com/developerportal/deploy/webhooks/#verify-webhook
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
_PREFIX = "whsec_"


class Delivery(msgspec.Struct, frozen=True):
    """What the headers of a webhook say.

    :param message_id: the same for each attempt to deliver the same webhook.
    :param timestamp: when the webhook was triggered, in seconds since the epoch.
    :param signature: the first one; Mendix makes it with the newest secret.
    """

    message_id: str
    timestamp: int
    signature: bytes


def read_headers(headers: Mapping[str, Sequence[str]]) -> Delivery | None:
    """Return what the headers of a webhook say; ``None`` if one is missing, repeated or malformed.

    An id with a dot is malformed: the signature would not tell where the id ends.

    :param headers: all values of each header.
    """
    values = [headers[name] for name in (ID, TIMESTAMP, SIGNATURE)]
    if any(len(found) != 1 for found in values):
        return None
    (message_id,), (timestamp,), (signatures,) = values
    first = re.match(r"v1,([A-Za-z0-9+/]{43}=)(?=\s|$)", signatures)
    if first is None or not re.fullmatch(r"[1-9][0-9]{0,11}", timestamp):
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", message_id):
        return None
    return Delivery(message_id, int(timestamp), first[1].encode())


def sign(key: str, message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the signature of a webhook, without its version."""
    message = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return base64.b64encode(hmac.digest(key.encode(), message, hashlib.sha256))


def is_signed(delivery: Delivery, body: bytes, secrets: Iterable[str]) -> bool:
    """Return whether a webhook was signed with one of the secrets, in a time that does not depend on which.

    Mendix documents the whole secret as the key, and not what it does with the prefix ``whsec_``: a secret that
    has it counts with and without it.
    """
    signed = False
    for secret in secrets:
        for key in {secret, secret.removeprefix(_PREFIX)}:
            expected = sign(key, delivery.message_id, delivery.timestamp, body)
            signed |= hmac.compare_digest(expected, delivery.signature)
    return signed
