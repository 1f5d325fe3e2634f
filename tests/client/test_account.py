"""The account of a connection: which hosts are accepted, and that its secrets stay in it."""

from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix.api.build import BUILD_API
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account, is_safe
from airflow_provider_mendix.exceptions import InvalidConnectionError
from airflow_provider_mendix.hooks.connection import base_url, credential


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("deploy.mendix.com", None, "https://deploy.mendix.com"),
        ("https://deploy.mendix.com", None, "https://deploy.mendix.com"),
        ("https://deploy.mendix.com/", None, "https://deploy.mendix.com"),
        ("HTTPS://Deploy.Mendix.Com", None, "https://deploy.mendix.com"),
        ("deploy.mendix.com", 8443, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com:8443", None, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com:8443", 8443, "https://deploy.mendix.com:8443"),
        ("deploy.mendix.com", 0, "https://deploy.mendix.com"),
        ("deploy.mendix.com:0", None, "https://deploy.mendix.com"),
        ("10.0.0.1", None, "https://10.0.0.1"),
        ("localhost:8080", None, "https://localhost:8080"),
        ("http://localhost:8080", None, "http://localhost:8080"),
        ("http://127.0.0.1", 8080, "http://127.0.0.1:8080"),
        ("http://127.8.9.1:8080", None, "http://127.8.9.1:8080"),
        ("http://[::1]:8080", None, "http://[::1]:8080"),
        ("[::1]", 8443, "https://[::1]:8443"),
        ("https://[2001:db8::1]:8443", None, "https://[2001:db8::1]:8443"),
    ],
)
def test_host_and_port(host, port, expected):
    assert base_url(host, port) == expected


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("http://deploy.mendix.com", "http://deploy.mendix.com is refused: credentials travel over https only"),
        ("http://10.0.0.1:80", "credentials travel over https only"),
        ("http://127.0.0.1.example.com", "credentials travel over https only"),
        ("http://localhost.example.com", "credentials travel over https only"),
        ("http://[2001:db8::1]", "credentials travel over https only"),
        ("ftp://deploy.mendix.com", "credentials travel over https only"),
        ("https://ana:canary@deploy.mendix.com", "a scheme, a host and a port only"),
        ("ana:canary@deploy.mendix.com", "a scheme, a host and a port only"),
        ("https://canary@deploy.mendix.com:443", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com/canary", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com?key=canary", "a scheme, a host and a port only"),
        ("https://deploy.mendix.com#canary", "a scheme, a host and a port only"),
        ("deploy.mendix.com:canary", "is not a host"),
        ("deploy.mendix.com:99999", "is not a host"),
        ("https://[canary", "is not a host"),
        ("https://ana:canary@[::1", "is not a host"),
        ("https://[canary]", "is not a host"),
        ("https://can ary", "is not a host"),
        ("https://can%61ry", "is not a host"),
        ("https://größe.example", "is not a host"),
        ("https://", "is not a host"),
        ("https://:443", "is not a host"),
        ("", "is not a host"),
    ],
)
def test_host_that_is_refused(host, says):
    with pytest.raises(InvalidConnectionError) as raised:
        base_url(host)

    assert says in str(raised.value)
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_two_ports():
    with pytest.raises(InvalidConnectionError, match="two ports, 8443 in its host and 9443"):
        base_url("deploy.mendix.com:8443", 9443)


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


def test_redact():
    assert SECRETS.redact(b"canary-key, canary-token, other") == b"***, ***, other"


def test_redact_what_json_has_escaped():
    account = Account(username="ana", api_key='k"e\\y')
    assert account.redact(b'{"errorCode": "k\\"e\\\\y"}') == b'{"errorCode": "***"}'


def test_redact_without_a_token():
    assert Account(username="ana", api_key="key").redact(b"a key to all") == b"a *** to all"


class TestCheckedCredential:
    @pytest.mark.parametrize("value", ["0f6d2c1e", " 0f6d2c1e\n"])
    def test_good(self, value):
        assert credential("API key", value, "field 'Password'") == "0f6d2c1e"

    @pytest.mark.parametrize("value", [None, "", " \n"])
    def test_missing(self, value):
        with pytest.raises(InvalidConnectionError, match="has no API key. Put it in .*field 'Password'"):
            credential("API key", value, "field 'Password'")

    @pytest.mark.parametrize("value", ["canary\nX-More: 1", "canary\r", "can\x00ary", "canaryé", "canary\u200b"])
    def test_a_character_that_cannot_travel(self, value):
        if value.strip() == "canary":
            assert credential("API key", value, "field 'Password'") == "canary"
            return
        with pytest.raises(InvalidConnectionError, match="Copy it again") as raised:
            credential("API key", value, "field 'Password'")

        assert "canary" not in str(raised.value)
