"""The control plane of a running simulator, below ``/_simulator/``: JSON, no credentials, never in the journal."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import msgspec

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator import page
from airflow_provider_mendix.simulator.deliveries import EventType, deliver
from airflow_provider_mendix.simulator.faults.registry import InvalidFaultError
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.state.apps import InvalidAppError
from airflow_provider_mendix.simulator.state.environments import InvalidEnvironmentError
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.state.planned import InvalidOutcomeError, Outcomes
from airflow_provider_mendix.simulator.state.repositories import InvalidBranchError, RepositoryType
from airflow_provider_mendix.simulator.wire import Reply, json_reply

PREFIX = "/_simulator/"


class _Payload(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The parameters of one call; those that are left out keep the defaults of the function behind it."""

    def parameters(self) -> dict[str, Any]:
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


class _App(_Payload):
    app_id: str
    name: str | None = None
    project_id: str | None = None
    repository: RepositoryType = "git"
    free: bool = False
    environments: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _Package(_Payload):
    app_id: str
    version: str
    revision: str
    branch: str | None = None
    description: str = ""
    age: float = 0.0
    in_use: bool = False


class _Environment(_Payload):
    app_id: str
    mode: str
    production: bool | None = None
    package_id: str | None = None
    running: bool = False


class _Commit(_Payload):
    app_id: str
    branch: str | None = None
    message: str | msgspec.UnsetType = msgspec.UNSET
    author: str | msgspec.UnsetType = msgspec.UNSET
    mendix_version: str | msgspec.UnsetType | None = msgspec.UNSET


class _ApiKey(_Payload):
    username: str
    api_key: str


class _Token(_Payload):
    token: str
    scopes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _RevokedToken(_Payload):
    token: str


class _Webhook(_Payload):
    app_id: str
    url: str
    validation_secret: str
    event_types: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    headers: tuple[tuple[str, str], ...] | msgspec.UnsetType = msgspec.UNSET


class _Delivery(_Payload):
    app_id: str
    event_type: EventType = "teamserver.push"
    branch: str | None = None
    message_id: str | None = None
    times: int = 1
    age: float = 0.0
    forged: bool = False
    body: str | None = None


class _NextBuild(_Payload):
    outcome: BuildOutcome


class _Next(_Payload):
    outcome: str


class _ShownPackage(msgspec.Struct):
    package_id: str
    app_id: str
    name: str
    version: str
    description: str
    status: str
    size: int
    sha256: str


class _ShownCommit(msgspec.Struct):
    app_id: str
    branch: str
    revision: str
    message: str
    author: str
    date: float
    mendix_version: str | None


class _ShownEnvironment(msgspec.Struct):
    app_id: str
    mode: str
    environment_id: str
    production: bool
    status: EnvironmentStatus
    package_id: str | None
    running_package_id: str | None
    model_version: str | None
    data: str
    data_version: str | None
    url: str


def respond(platform: Platform, method: str, path: str, body: bytes) -> Reply:
    """Return the response to one request to the control plane."""
    action = _ACTIONS.get((method, path.removeprefix(PREFIX).rstrip("/")))
    if action is None:
        known = [f"{known} {PREFIX}{name}" for known, name in _ACTIONS]
        return json_reply({"error": f"There is no {method} {path} here.", "routes": known}, 404)
    kind, run = action
    try:
        payload = None if kind is None else msgspec.json.decode(body, type=kind)
        return json_reply(run(platform, payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return json_reply({"error": f"{error}.{_described(kind)}"}, 400)
    except (InvalidAppError, InvalidBranchError, InvalidEnvironmentError, InvalidFaultError) as error:
        return json_reply({"error": str(error)}, 400)
    except InvalidOutcomeError as error:
        return json_reply({"error": str(error)}, 400)
    except KeyError as error:
        return json_reply({"error": f"There is no {error}."}, 404)


def _described(kind: Any) -> str:
    """Return a sentence about the parameters of a payload, with the choices of those that have some."""
    if not isinstance(kind, type) or not issubclass(kind, _Payload):
        return ""
    known = []
    for field in msgspec.structs.fields(kind):
        is_enum = isinstance(field.type, enum.EnumMeta)
        choices = [str(choice) for choice in (field.type if is_enum else get_args(field.type))]
        has_choices = is_enum or get_origin(field.type) is Literal
        known.append(f"{field.name} ({', '.join(choices)})" if has_choices else field.name)
    return f" Its parameters: {', '.join(known)}."


def _packages(platform: Platform, _: None) -> list[_ShownPackage]:
    found = [
        msgspec.structs.asdict(package)
        | {"status": platform.packages.status(package_id), "sha256": platform.packages.sha256(package_id)}
        for package_id, package in list(platform.packages.items())
    ]
    return msgspec.convert(found, list[_ShownPackage])


def _commits(platform: Platform, _: None) -> list[_ShownCommit]:
    found = [
        msgspec.structs.asdict(commit) | {"app_id": app_id, "branch": branch, "revision": commit.id}
        for app_id, repository in list(platform.repositories.items())
        for branch, commits in repository.branches.items()
        for commit in reversed(commits)
    ]
    return msgspec.convert(found, list[_ShownCommit])


def _environments(platform: Platform, _: None) -> list[_ShownEnvironment]:
    found = [
        msgspec.structs.asdict(environment)
        | {"status": environment.status, "url": platform.cloud.files_url + environment.path}
        for environment in platform.environments
    ]
    return msgspec.convert(found, list[_ShownEnvironment])


def _add_app(platform: Platform, payload: _App) -> object:
    platform.add_app(**payload.parameters())
    return platform.apps[payload.app_id]


def _add_package(platform: Platform, payload: _Package) -> object:
    return {"package_id": platform.packages.add(**payload.parameters())}


def _add_environment(platform: Platform, payload: _Environment) -> object:
    return {"environment_id": platform.environments.add(**payload.parameters()).environment_id}


def _push(platform: Platform, payload: _Commit) -> object:
    return {"revision": platform.repositories.push(**payload.parameters())}


def _add_webhook(platform: Platform, payload: _Webhook) -> object:
    parameters = payload.parameters()
    return {"webhook_id": platform.webhooks.add(platform.apps[parameters.pop("app_id")].app_id, **parameters)}


def _deliver(platform: Platform, payload: _Delivery) -> object:
    return deliver(platform, **payload.parameters())


def _set_api_key(platform: Platform, payload: _ApiKey) -> object:
    platform.permissions.set_api_key(payload.username, payload.api_key)
    return {"username": payload.username}


def _add_token(platform: Platform, payload: _Token) -> object:
    platform.permissions.add_personal_access_token(**payload.parameters())
    return {}


def _revoke_token(platform: Platform, payload: _RevokedToken) -> object:
    platform.permissions.revoke_personal_access_token(payload.token)
    return {}


def _add_fault(platform: Platform, payload: dict[str, Any]) -> object:
    return platform.faults.add(str(payload.pop("kind", "")), **payload).shown()


def _clear_faults(platform: Platform, _: None) -> object:
    platform.faults.clear()
    return []


def _plan(queue: Any, payload: _NextBuild | _Next) -> object:
    queue.append(payload.outcome)
    return {"next": list(queue)}


_Action = tuple[Any, Callable[[Platform, Any], object]]


def _planner(queue_of: Callable[[Platform], Outcomes]) -> _Action:
    return _Next, lambda platform, payload: _plan(queue_of(platform), payload)


_ACTIONS: dict[tuple[str, str], _Action] = {
    ("GET", "journal"): (None, lambda platform, _: list(platform.journal)),
    ("GET", "overview"): (None, lambda platform, _: page.overview(platform)),
    ("GET", "apps"): (None, lambda platform, _: page.apps(platform)),
    ("GET", "packages"): (None, _packages),
    ("GET", "environments"): (None, _environments),
    ("GET", "commits"): (None, _commits),
    ("GET", "faults"): (None, lambda platform, _: [active.shown() for active in platform.faults]),
    ("POST", "apps"): (_App, _add_app),
    ("POST", "packages"): (_Package, _add_package),
    ("POST", "environments"): (_Environment, _add_environment),
    ("POST", "commits"): (_Commit, _push),
    ("POST", "webhooks"): (_Webhook, _add_webhook),
    ("POST", "deliveries"): (_Delivery, _deliver),
    ("POST", "tokens"): (_Token, _add_token),
    ("POST", "revoked-tokens"): (_RevokedToken, _revoke_token),
    ("POST", "api-key"): (_ApiKey, _set_api_key),
    ("POST", "faults"): (dict[str, Any], _add_fault),
    ("DELETE", "faults"): (None, _clear_faults),
    ("POST", "next-build"): (_NextBuild, lambda platform, build: _plan(platform.packages.next_outcomes, build)),
    ("POST", "next-start"): _planner(lambda platform: platform.environments.next_starts),
    ("POST", "next-stop"): _planner(lambda platform: platform.environments.next_stops),
    ("POST", "next-transport"): _planner(lambda platform: platform.environments.next_transports),
    ("POST", "next-snapshot"): _planner(lambda platform: platform.backups.next_snapshots),
    ("POST", "next-archive"): _planner(lambda platform: platform.backups.next_archives),
    ("POST", "next-restore"): _planner(lambda platform: platform.backups.next_restores),
}
"""The type of the payload of each call, and the function behind it."""
