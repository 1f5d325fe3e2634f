"""Mendix's signature of a webhook, checked against the command of its documentation."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix.api.webhook_signature import Delivery, is_signed, read_headers, sign

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
ID = "msg_2M605iBQRge9hTgpYg7fKXQubaw"
TIME = 1677072542
BODY = '{"eventType": "teamserver.push", "größe": "Ω"}'.encode()
SIGNATURE = sign(SECRET, ID, TIME, BODY)
GOOD = {
    "webhook-id": [ID],
    "webhook-timestamp": [str(TIME)],
    "webhook-signature": [f"v1,{SIGNATURE.decode()}"],
}


def test_the_documented_command_makes_the_same_signature():
    openssl = ["openssl", "dgst", "-sha256", "-binary", "-hmac", SECRET]
    try:
        digest = subprocess.run(
            openssl, input=b"%s.%d.%s" % (ID.encode(), TIME, BODY), capture_output=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    encoded = subprocess.run(["openssl", "base64"], input=digest.stdout, capture_output=True, check=True)
    assert encoded.stdout.strip() == SIGNATURE


def test_good_headers():
    assert read_headers(GOOD) == Delivery(ID, TIME, SIGNATURE)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(name, []) for name in GOOD],
        *[(name, [GOOD[name][0], GOOD[name][0]]) for name in GOOD],
        *[(name, [""]) for name in GOOD],
        *[("webhook-id", [value]) for value in ("msg.1", "msg 1", "msg\n", "ü", "x" * 129)],
        *[
            ("webhook-timestamp", [value])
            for value in (f"0{TIME}", f"+{TIME}", f"{TIME}.0", f"{TIME}\n", "-1", "0", "1_000", "१", "9" * 13)
        ],
        *[
            ("webhook-signature", [value])
            for value in (
                SIGNATURE.decode(),
                f"v2,{SIGNATURE.decode()}",
                f"v1,{SIGNATURE.decode()}x",
                f"v1,{SIGNATURE.decode()},v1",
                "v1,",
                f"v1,{SIGNATURE.decode()[:-1]}",
                "v1,f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8=",
            )
        ],
    ],
)
def test_malformed_headers(name, values):
    assert read_headers({**GOOD, name: values}) is None


def test_the_first_signature_counts():
    other = "v1," + sign("x" * 32, ID, TIME, BODY).decode()
    first = read_headers({**GOOD, "webhook-signature": [f"v1,{SIGNATURE.decode()} {other}"]})
    second = read_headers({**GOOD, "webhook-signature": [f"{other} v1,{SIGNATURE.decode()}"]})
    assert is_signed(first, BODY, [SECRET])
    assert not is_signed(second, BODY, [SECRET])


def test_any_of_several_secrets():
    delivery = Delivery(ID, TIME, SIGNATURE)
    assert is_signed(delivery, BODY, ["x" * 32, SECRET])
    assert not is_signed(delivery, BODY, ["x" * 32])
    assert not is_signed(delivery, BODY, [])


@pytest.mark.parametrize("key", [f"whsec_{SECRET}", SECRET])
def test_a_prefix_counts_as_part_of_the_key_or_not(key):
    delivery = Delivery(ID, TIME, sign(key, ID, TIME, BODY))
    assert is_signed(delivery, BODY, [f"whsec_{SECRET}"])
    assert is_signed(delivery, BODY, [SECRET]) is (key == SECRET)


@given(
    message_id=st.text("abcXYZ019_-", min_size=1, max_size=20),
    timestamp=st.integers(1, 10**12 - 1),
    body=st.binary(max_size=200),
    secret=st.text("aB+/=9", min_size=32, max_size=100),
)
def test_what_was_signed_and_nothing_else(message_id, timestamp, body, secret):
    signed = Delivery(message_id, timestamp, SIGNATURE)
    good = Delivery(message_id, timestamp, sign(secret, message_id, timestamp, body))
    assert is_signed(good, body, [secret])
    assert not is_signed(signed, body, [secret])
    assert not is_signed(good, body + b" ", [secret])
    assert not is_signed(good, body, [secret + "="])
    assert not is_signed(Delivery(message_id + "x", timestamp, good.signature), body, [secret])
    assert not is_signed(Delivery(message_id, timestamp + 1, good.signature), body, [secret])
