"""Whether the credentials of a connection work, each on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_mendix.api.app_repository import APP_REPOSITORY_API
from airflow_provider_mendix.api.deploy import DEPLOY_API, App
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.exceptions import ForbiddenError, MendixError, NotFoundError, UnauthorizedError

if TYPE_CHECKING:
    from airflow_provider_mendix.hooks.mendix import MendixHook

_NO_PROJECT = "00000000-0000-4000-8000-000000000000"


def report(hook: MendixHook, account: Account) -> tuple[bool, str]:
    """Try the API key and, if there is one, the personal access token; tell how each has fared."""
    key_works, about_key, apps = _api_key(hook, account)
    token_works, about_token = _personal_access_token(hook, account, apps)
    return key_works and token_works, f"{about_key} {about_token}"


def _api_key(hook: MendixHook, account: Account) -> tuple[bool, str, list[App]]:
    try:
        apps = hook.list_apps()
    except (UnauthorizedError, ForbiddenError) as error:
        return False, f"API key: refused by Mendix. {error}", []
    except MendixError as error:
        return False, f"API key: not proved. {error}", []
    where = urlsplit(account.base_url(DEPLOY_API)).netloc
    return True, f"API key: the one of {account.username} works on {where} and sees {len(apps)} app(s).", apps


def _personal_access_token(hook: MendixHook, account: Account, apps: list[App]) -> tuple[bool, str]:
    """Nothing but a repository can be asked for with a token; one that is not there will do to see it accepted."""
    if not account.personal_access_token:
        return True, "Personal access token: none given; it is only needed for Git apps."
    project_id = next((app.project_id for app in apps if app.project_id), _NO_PROJECT)
    where = urlsplit(account.base_url(APP_REPOSITORY_API)).netloc
    try:
        hook.get_repository(project_id)
    except NotFoundError:
        return True, f"Personal access token: accepted on {where}; there was no repository to prove it on."
    except (UnauthorizedError, ForbiddenError) as error:
        return False, f"Personal access token: refused by Mendix. {error}"
    except MendixError as error:
        return False, f"Personal access token: not proved. {error}"
    return True, f"Personal access token: works on {where}."
