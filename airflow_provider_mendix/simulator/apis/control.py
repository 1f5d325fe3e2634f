"""The control plane of a running simulator, below ``/_simulator/``: JSON, no credentials, never in the journal."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_mendix.simulator.apis.routes import Reply, json_reply
from airflow_provider_mendix.simulator.faults.registry import InvalidFaultError
from airflow_provider_mendix.simulator.state.environments import (
    BACKUP_CODES,
    COMPLETED,
    FAILED,
    RESTORE_CODES,
    START_CODES,
    STOP_CODES,
    SUCCEEDS,
    TRANSPORT_CODES,
    InvalidEnvironmentError,
)
from airflow_provider_mendix.simulator.state.packages import Ending
from airflow_provider_mendix.simulator.state.repositories import InvalidBranchError, RepositoryType

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform

PREFIX = "/_simulator/"


class _NextEnding(msgspec.Struct, forbid_unknown_fields=True):
    ending: Ending


class _ApiKey(msgspec.Struct, forbid_unknown_fields=True):
    username: str
    api_key: str


class _App(msgspec.Struct, forbid_unknown_fields=True):
    app_id: str
    name: str | None = None
    project_id: str | None = None
    repository: RepositoryType = "git"
    free: bool = False
    environments: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _Environment(msgspec.Struct, forbid_unknown_fields=True):
    app_id: str
    mode: str
    production: bool | None = None
    package_id: str | None = None
    running: bool = False


class _NextCode(msgspec.Struct, forbid_unknown_fields=True):
    code: str


class _NextBackup(msgspec.Struct, forbid_unknown_fields=True):
    ending: str


class _Package(msgspec.Struct, forbid_unknown_fields=True):
    app_id: str
    version: str
    revision: str
    branch: str | None = None
    description: str = ""
    age: float = 0.0
    in_use: bool = False


class _Commit(msgspec.Struct, forbid_unknown_fields=True):
    app_id: str
    branch: str | None = None
    message: str | msgspec.UnsetType = msgspec.UNSET
    author: str | msgspec.UnsetType = msgspec.UNSET
    mendix_version: str | msgspec.UnsetType | None = msgspec.UNSET


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    scopes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _RevokedToken(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class _UnknownCodeError(ValueError):
    pass


def answer(platform: Platform, method: str, path: str, body: bytes) -> Reply:
    """Answer one request to the control plane."""
    action = _ACTIONS.get((method, path.removeprefix(PREFIX).rstrip("/")))
    if action is None:
        routes = [f"{known} {PREFIX}{name}" for known, name in _ACTIONS]
        return json_reply({"error": f"There is no {method} {path} here.", "routes": routes}, 404)
    try:
        return json_reply(action(platform, body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return json_reply({"error": str(error)}, 400)
    except (InvalidFaultError, InvalidBranchError, InvalidEnvironmentError, _UnknownCodeError) as error:
        return json_reply({"error": str(error)}, 400)
    except KeyError as error:
        return json_reply({"error": f"There is no {error}."}, 404)


def _journal(platform: Platform, body: bytes) -> object:
    return list(platform.journal)


def _packages(platform: Platform, body: bytes) -> object:
    return [
        {
            "package_id": package.package_id,
            "app_id": package.app_id,
            "name": package.name,
            "version": package.version,
            "description": package.description,
            "status": platform.status(package.package_id),
            "size": package.size,
            "sha256": platform.sha256(package.package_id),
        }
        for package in list(platform.packages.values())
    ]


def _next_ending(platform: Platform, body: bytes) -> object:
    platform.next_endings.append(msgspec.json.decode(body, type=_NextEnding).ending)
    return {"next_endings": list(platform.next_endings)}


def _api_key(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_ApiKey)
    platform.set_api_key(wish.username, wish.api_key)
    return {"username": wish.username}


def _apps(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_App)
    platform.add_app(**msgspec.to_builtins(wish))
    return platform.apps[wish.app_id]


def _add_package(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_Package)
    return {"package_id": platform.add_package(**msgspec.structs.asdict(wish))}


def _commits(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_Commit)
    return {"revision": platform.push(**msgspec.to_builtins(wish))}


def _add_token(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_Token)
    platform.add_personal_access_token(**msgspec.to_builtins(wish))
    return {}


def _revoke_token(platform: Platform, body: bytes) -> object:
    platform.revoke_personal_access_token(msgspec.json.decode(body, type=_RevokedToken).token)
    return {}


def _environments(platform: Platform, body: bytes) -> object:
    return [
        {
            "app_id": environment.app_id,
            "mode": environment.mode,
            "environment_id": environment.environment_id,
            "production": environment.production,
            "status": environment.status,
            "package_id": environment.package_id,
            "running_package_id": environment.running_package_id,
            "model_version": environment.model_version,
            "data": environment.data,
            "data_version": environment.data_version,
            "url": platform.files_url + environment.path,
        }
        for environment in platform.environments()
    ]


def _add_environment(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=_Environment)
    return {"environment_id": platform.add_environment(**msgspec.structs.asdict(wish)).environment_id}


def _next_start(platform: Platform, body: bytes) -> object:
    return _next_code(platform.next_starts, START_CODES, body)


def _next_stop(platform: Platform, body: bytes) -> object:
    return _next_code(platform.next_stops, STOP_CODES, body)


def _next_transport(platform: Platform, body: bytes) -> object:
    return _next_code(platform.next_transports, TRANSPORT_CODES, body)


def _next_backup(platform: Platform, body: bytes) -> object:
    return _next_backup_ending(platform.next_backups, BACKUP_CODES, body)


def _next_restore(platform: Platform, body: bytes) -> object:
    return _next_backup_ending(platform.next_restores, RESTORE_CODES, body)


def _next_code(codes: collections.deque[str], known: Iterable[str], body: bytes) -> object:
    return _add_known(codes, (*SUCCEEDS, *known), msgspec.json.decode(body, type=_NextCode).code)


def _next_backup_ending(endings: collections.deque[str], known: Iterable[str], body: bytes) -> object:
    return _add_known(endings, (COMPLETED, FAILED, *known), msgspec.json.decode(body, type=_NextBackup).ending)


def _add_known(codes: collections.deque[str], known: Iterable[str], code: str) -> object:
    if code not in known:
        raise _UnknownCodeError(f"There is no {code!r}. There are: {', '.join(filter(None, known))}.")
    codes.append(code)
    return {"next": list(codes)}


def _faults(platform: Platform, body: bytes) -> object:
    return [active.shown() for active in platform.faults]


def _add_fault(platform: Platform, body: bytes) -> object:
    wish = msgspec.json.decode(body, type=dict[str, Any])
    return platform.faults.add(str(wish.pop("kind", "")), **wish).shown()


def _clear_faults(platform: Platform, body: bytes) -> object:
    platform.faults.clear()
    return []


_ACTIONS: dict[tuple[str, str], Callable[[Platform, bytes], object]] = {
    ("GET", "journal"): _journal,
    ("GET", "packages"): _packages,
    ("GET", "environments"): _environments,
    ("POST", "next-ending"): _next_ending,
    ("POST", "next-start"): _next_start,
    ("POST", "next-stop"): _next_stop,
    ("POST", "next-transport"): _next_transport,
    ("POST", "next-backup"): _next_backup,
    ("POST", "next-restore"): _next_restore,
    ("POST", "api-key"): _api_key,
    ("POST", "apps"): _apps,
    ("POST", "environments"): _add_environment,
    ("POST", "packages"): _add_package,
    ("POST", "commits"): _commits,
    ("POST", "tokens"): _add_token,
    ("POST", "revoked-tokens"): _revoke_token,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
}
