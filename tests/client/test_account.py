"""The account of a connection: safe URLs, and secrets that are never shown."""

from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix.api.build import BUILD_API
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account, is_safe
from airflow_provider_mendix.client.exchange import response_of


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://files.example/a?b", True),
        ("http://127.0.0.1:9/a", True),
        ("http://[::1]/a", True),
        ("http://localhost/a", True),
        ("http://files.example/a", False),
        ("http://[2001:db8::1]/a", False),
        ("http:///a", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_is_safe(url, safe):
    assert is_safe(url) is safe


SECRETS = Account(
    username="ana.dev@example.com",
    api_key="canary-key",
    personal_access_token="canary-token",
    base_urls={Host.DEPLOY: "https://deploy.example"},
    proxy="http://ana:canary-proxy@proxy.example:3128",
)


@pytest.mark.parametrize(
    "show", [repr, str, pretty_repr, "{}".format, "{!r}".format, lambda account: repr([account])]
)
def test_a_shown_account_hides_its_secrets(show):
    shown = show(SECRETS)

    assert "ana.dev@example.com" in shown
    assert "https://deploy.example" in shown
    assert "canary" not in shown


def test_a_host_of_the_connection_replaces_the_public_one():
    assert SECRETS.base_url(BUILD_API) == "https://deploy.example"


def shown(account: Account, body: bytes, status: int = 400) -> bytes:
    return response_of(account, status, {}, body).body


def test_a_refusal_shows_no_secret():
    assert shown(SECRETS, b"canary-key, canary-token, other") == b"***, ***, other"
    assert shown(SECRETS, b"canary-key", 200) == b"canary-key"


def test_a_refusal_shows_no_secret_that_json_has_escaped():
    account = Account(username="ana", api_key='k"e\\y')
    assert shown(account, b'{"errorCode": "k\\"e\\\\y"}') == b'{"errorCode": "***"}'


def test_an_account_without_a_token_hides_its_key():
    assert shown(Account(username="ana", api_key="key"), b"a key to all") == b"a *** to all"
