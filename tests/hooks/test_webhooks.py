"""The hook's calls on webhooks."""

from __future__ import annotations

import msgspec
import pytest

from airflow_provider_mendix.exceptions import ForbiddenError, InvalidInputError, NotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook

from ..conftest import KEY, TOKEN, USER, set_connection
from ..docs.pages import blocks

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
SETTINGS = {"name": "Airflow", "url": "https://airflow.example.com/mendix/hooks/shop", "validation_secret": SECRET}


@pytest.fixture
def hook(server, monkeypatch) -> MendixHook:
    extra = {"personal_access_token": TOKEN, "webhooks_url": server.repository_url}
    set_connection(monkeypatch, host=server.api_url, extra=extra)
    return MendixHook()


@pytest.fixture
def project_id(platform) -> str:
    return platform.apps["shop"].project_id


def test_every_endpoint_as_a_method(hook, platform, project_id):
    made = hook.webhooks.create(project_id, **SETTINGS, headers={"X-Mine": "1"})
    assert made.event_types == ("teamserver.push", "package.uploaded")
    assert hook.webhooks.get(project_id, made.id) == made
    assert (made.validation_secret, platform.webhooks[made.id].headers) == (SECRET, (("X-Mine", "1"),))

    changed = msgspec.structs.replace(made, url="https://other.example.com", validation_secret="x" * 32)
    hook.webhooks.update(project_id, changed)
    assert hook.webhooks.get(project_id, made.id) == changed

    (listed,) = hook.webhooks.list(project_id)
    assert (listed.id, listed.url, listed.validation_secret) == (made.id, "https://other.example.com", None)
    with pytest.raises(InvalidInputError, match="get the one to update"):
        hook.webhooks.update(project_id, listed)

    hook.webhooks.delete(project_id, made.id)
    with pytest.raises(NotFoundError):
        hook.webhooks.get(project_id, made.id)


def test_all_pages_are_listed(hook, platform, project_id):
    ids = [platform.webhooks.add("shop", "https://a", validation_secret=SECRET) for _ in range(45)]
    assert sorted(webhook.id for webhook in hook.webhooks.list(project_id)) == sorted(ids)
    assert [entry.host for entry in platform.journal] == ["repository"] * 3


def test_a_token_without_the_scope(hook, platform, project_id):
    platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:modelrepository:repo:read"])
    with pytest.raises(ForbiddenError, match="mx:webhook:write"):
        hook.webhooks.create(project_id, **SETTINGS)
    assert not platform.webhooks


def test_an_app_is_named_by_its_project(hook):
    with pytest.raises(InvalidInputError, match="App ID"):
        list(hook.webhooks.list("shop"))


def test_the_code_of_the_documentation(hook, platform, monkeypatch):
    set_connection(monkeypatch, "mendix_webhook_shop", conn_type="generic", password=SECRET)
    (code,) = [block.text for block in blocks("python") if block.page == "docs/webhooks.md"]
    exec(compile(code, "docs/webhooks.md", "exec"), {})
    ((_, made),) = platform.webhooks.items()
    assert (made.app_id, made.url) == ("shop", SETTINGS["url"])
    assert (made.validation_secret, made.event_types) == (SECRET, ("teamserver.push", "package.uploaded"))


def test_no_key_goes_to_the_webhooks_api(hook, platform, project_id):
    list(hook.webhooks.list(project_id))
    (entry,) = platform.journal
    assert "authorization" in entry.headers
    assert not {"mendix-username", "mendix-apikey"} & set(entry.headers), (USER, KEY)
