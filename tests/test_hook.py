from __future__ import annotations

import asyncio
import json

import pytest
import requests_mock

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api.core import Host
from airflow_provider_mendix.api.deploy import DEPLOY_API
from airflow_provider_mendix.api.errors import (
    InvalidConnectionError,
    InvalidInputError,
    MendixConnectionError,
    PackageNotFoundError,
    ServiceUnavailableError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator import inprocess
from airflow_provider_mendix.simulator.routes import Reply

from .conftest import KEY, USER, set_connection

UNAVAILABLE = Reply(503)
REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


def start(hook):
    return hook.start_build("shop", branch="main", revision=REVISION, version="2.5.4", description="one")


def test_every_endpoint_of_the_build_api_as_a_method(server, platform, clock):
    hook = MendixHook()
    package_id = start(hook)
    assert [package.package_id for package in hook.list_packages("shop")] == [package_id]
    assert hook.get_package("shop", package_id).status == "Queued"
    clock.sleep(90)

    package = hook.get_package("shop", package_id, url=True)
    assert (package.status, package.version, package.description) == ("Succeeded", "2.5.4.9f3ab2c1", "one")
    assert package.url is not None
    with hook.open_package("shop", package_id) as (_, download):
        assert b"".join(download) == platform.content(package_id)
    with hook.download_package("shop", package_id) as download:
        assert b"".join(download) == platform.content(package_id)

    hook.delete_package("shop", package_id)
    with pytest.raises(PackageNotFoundError):
        hook.get_package("shop", package_id)


def test_apps(server, platform):
    hook = MendixHook()
    assert [app.app_id for app in hook.list_apps()] == ["shop"]
    assert hook.get_app("shop").project_id == platform.apps["shop"].project_id


def test_credentials_and_user_agent_travel_in_headers_only(monkeypatch):
    set_connection(monkeypatch)
    with requests_mock.Mocker() as mocker:
        mocker.get("https://deploy.mendix.com/api/1/apps/shop/packages", json=[])
        hook = MendixHook()
        hook.list_packages("shop")
        (sent,) = mocker.request_history
    assert sent.headers["Mendix-Username"] == USER
    assert sent.headers["Mendix-ApiKey"] == KEY
    assert sent.headers["User-Agent"] == f"airflow-provider-mendix/{__version__}"
    assert sent.timeout == (10, 60)
    assert KEY not in sent.url
    assert KEY not in repr(vars(hook))
    assert KEY not in repr(hook.get_conn()._session().headers)


def test_the_in_process_simulator_answers_the_hook(platform, monkeypatch):
    set_connection(monkeypatch)
    with requests_mock.Mocker() as mocker:
        inprocess.install(platform, mocker)
        assert start(MendixHook()) in platform.packages


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://deploy.mendix.com"),
        ({"host": ""}, "https://deploy.mendix.com"),
        ({"host": "mendix.example.com"}, "https://mendix.example.com"),
        ({"host": "https://mendix.example.com/", "port": 8443}, "https://mendix.example.com:8443"),
        ({"host": "http://127.0.0.1:8787"}, "http://127.0.0.1:8787"),
        ({"host": "http://localhost", "port": 8787}, "http://localhost:8787"),
        ({"host": "mendix.example.com", "schema": "ignored"}, "https://mendix.example.com"),
    ],
)
def test_host_and_port_of_the_connection_make_the_base_url(fields, url, monkeypatch):
    set_connection(monkeypatch, **fields)
    assert MendixHook().get_conn().account.base_url(DEPLOY_API) == url


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("mendix://ana:key@/", "https://deploy.mendix.com"),
        ("mendix://ana:key@mendix.example.com:8443/", "https://mendix.example.com:8443"),
        ("mendix://https://ana:key@mendix.example.com", "https://mendix.example.com"),
        ("mendix://http://ana:key@127.0.0.1:8787", "http://127.0.0.1:8787"),
    ],
)
def test_a_connection_uri_works_too(uri, url, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MENDIX_DEFAULT", uri + "?timeout=30&verify=false&proxy=http%3A%2F%2Fp%3A1")
    account = MendixHook().get_conn().account
    assert (account.username, account.api_key) == ("ana", "key")
    assert account.base_url(DEPLOY_API) == url
    assert (account.timeout, account.verify, account.proxy) == (30, False, "http://p:1")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": ""}, "has no Mendix user name"),
        ({"password": None}, "has no API key"),
        ({"password": "two\nlines"}, "line break"),
        ({"host": "http://mendix.example.com"}, "https only"),
        ({"host": "https://u:p@mendix.example.com"}, "no user, path or query"),
        ({"host": "https://mendix.example.com/api/1"}, "no user, path or query"),
        ({"host": "mendix.example.com:1", "port": 2}, "two ports"),
        ({"extra": {"timeout": "soon"}}, "not a number of seconds"),
        ({"extra": {"repository_url": "http://repo.example.com"}}, "https only"),
    ],
)
def test_a_connection_that_cannot_be_used_says_why(fields, said, monkeypatch):
    set_connection(monkeypatch, **fields)
    with pytest.raises(InvalidConnectionError, match=said) as refused:
        MendixHook().get_conn()
    assert "two\nlines" not in str(refused.value)
    assert MendixHook().test_connection() == (False, str(refused.value))


def test_both_ways_to_read_the_connection_agree(monkeypatch):
    extra = {"personal_access_token": "pat", "repository_url": "https://repo.example.com", "verify": "/ca.pem"}
    set_connection(monkeypatch, host="https://m.example.com", extra=extra)
    hook = MendixHook()
    assert asyncio.run(hook.aget_account()) == hook.get_conn().account
    assert hook.get_conn().account.base_urls[Host.REPOSITORY] == "https://repo.example.com"


class TestTestConnection:
    def test_proves_the_key_by_a_real_call(self, server, platform):
        works, said = MendixHook().test_connection()
        assert works
        assert said == f"The API key of {USER} works on {server.api_url[7:]}: it sees 1 app(s)."
        assert platform.journal.requests("GET", "/apps")

    def test_says_in_words_that_the_key_is_wrong(self, server, monkeypatch):
        set_connection(monkeypatch, host=server.api_url, password="wrong-key-0123456789")
        works, said = MendixHook().test_connection()
        assert not works
        assert "refused the API key" in said
        assert "'API Rights'" in said
        assert "per environment" in said
        assert "off by default on production" in said
        assert "wrong-key" not in said

    def test_says_that_nobody_answers(self, monkeypatch, clock):
        set_connection(monkeypatch, host="http://127.0.0.1:9")
        works, said = MendixHook().test_connection()
        assert not works
        assert "Connection refused" in said


class TestRepeating:
    """Only what is harmless is sent again."""

    @pytest.fixture
    def shaky(self, server, platform):
        """Let Mendix answer the next requests with a 503, or as told."""

        def shake(times, reply=UNAVAILABLE):
            left = [times]
            answer = platform.handle

            def handle(request):
                done = answer(request)
                left[0] -= 1
                return reply if left[0] >= 0 else done

            platform.handle = handle

        return shake

    def test_a_read_is_repeated_after_a_passing_trouble(self, shaky, platform, clock):
        shaky(3)
        assert MendixHook().list_packages("shop") == []
        assert len(platform.journal) == 4

    def test_a_read_is_not_repeated_for_ever(self, shaky, platform):
        shaky(99)
        with pytest.raises(ServiceUnavailableError):
            MendixHook().list_packages("shop")
        assert len(platform.journal) == 4

    def test_retry_after_is_honoured(self, shaky, clock):
        shaky(1, Reply(429, {"Retry-After": "42"}))
        began = clock.now()
        MendixHook().list_packages("shop")
        assert clock.now() - began >= 42

    def test_a_server_that_wants_too_much_patience_is_told_to_the_task(self, shaky, clock, platform):
        shaky(1, Reply(429, {"Retry-After": "3600"}))
        with pytest.raises(Exception, match="429"):
            MendixHook().list_packages("shop")
        assert len(platform.journal) == 1

    def test_a_final_answer_is_not_repeated(self, server, platform):
        with pytest.raises(PackageNotFoundError):
            MendixHook().get_package("shop", "p-1")
        assert len(platform.journal) == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    def test_a_start_call_is_never_repeated(self, status, shaky, platform):
        shaky(1, Reply(status))
        with pytest.raises(Exception, match=str(status)):
            start(MendixHook())
        assert len(platform.journal) == 1

    def test_a_start_call_whose_reply_is_lost_is_not_repeated(self, server, platform):
        answer = platform.handle

        def handle(request):
            answer(request)
            raise ConnectionAbortedError

        platform.handle = handle
        with pytest.raises(MendixConnectionError):
            start(MendixHook())
        assert len(platform.packages) == 1

    def test_a_delete_call_is_never_repeated(self, shaky, platform):
        shaky(1)
        with pytest.raises(ServiceUnavailableError):
            MendixHook().delete_package("shop", "p-1")
        assert len(platform.journal) == 1


def test_bad_values_are_refused_before_any_request(server, platform):
    hook = MendixHook()
    for call in (
        lambda: hook.list_packages(""),
        lambda: hook.get_package("shop", "None"),
        lambda: hook.delete_package("Web Shop", "p-1"),
        lambda: hook.start_build("shop", revision="HEAD", version="1.0.0"),
    ):
        with pytest.raises(InvalidInputError):
            call()
    assert not platform.journal


def test_a_signed_link_is_masked_in_task_logs(server, platform, monkeypatch):
    masked = []
    monkeypatch.setattr("airflow_provider_mendix.hooks.mendix.mask_secret", masked.append)
    package_id = platform.add_package("shop", version="2.5.4", revision=REVISION)
    link = MendixHook().get_package("shop", package_id, url=True).url.location
    assert link in masked
    assert link.partition("?")[2] in masked


def test_extra_as_text_works_where_there_is_no_form(monkeypatch):
    set_connection(monkeypatch, extra=json.dumps({"timeout": 12, "verify": False}))
    account = MendixHook().get_conn().account
    assert (account.timeout, account.verify) == (12, False)
