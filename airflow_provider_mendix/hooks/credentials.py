"""The test of a connection: whether each of its credentials works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_mendix.api.app_repository import APP_REPOSITORY_API, CREDENTIAL_TO_ADD, get_repository
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.deploy import DEPLOY_API, App, list_apps
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.exceptions import ForbiddenError, MendixError, NotFoundError, UnauthorizedError

Send = Callable[[Call[Any]], Any]

_NO_PROJECT = "00000000-0000-4000-8000-000000000000"


def report(account: Account, send: Send) -> tuple[bool, str]:
    """Return whether all credentials work, and a sentence about each of them."""
    key_works, about_key, apps = _test_api_key(account, send)
    token_works, about_token = _test_token(account, send, apps)
    return key_works and token_works, f"{about_key} {about_token}"


def _test_api_key(account: Account, send: Send) -> tuple[bool, str, list[App]]:
    try:
        apps: list[App] = send(list_apps())
    except (UnauthorizedError, ForbiddenError) as error:
        return False, f"API key: refused by Mendix. {error}", []
    except MendixError as error:
        return False, f"API key: not proved. {error}", []
    host = urlsplit(account.base_url(DEPLOY_API)).netloc
    return True, f"API key: works for {account.username} on {host}, which lists {len(apps)} app(s).", apps


def _test_token(account: Account, send: Send, apps: list[App]) -> tuple[bool, str]:
    """Request a repository, the only thing that a token gives access to; a missing one proves the token too."""
    if not account.has_token:
        return True, f"Personal access token: none given. To look up revisions, add {CREDENTIAL_TO_ADD}."
    project_id = next((app.project_id for app in apps if app.project_id), _NO_PROJECT)
    host = urlsplit(account.base_url(APP_REPOSITORY_API)).netloc
    try:
        send(get_repository(project_id))
    except NotFoundError:
        return True, f"Personal access token: accepted on {host}; there was no repository to prove it on."
    except (UnauthorizedError, ForbiddenError) as error:
        return False, f"Personal access token: refused by Mendix. {error}"
    except MendixError as error:
        return False, f"Personal access token: not proved. {error}"
    return True, f"Personal access token: works on {host}."
