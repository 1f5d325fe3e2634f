"""Checks of users' values, after rendering and before any request; messages say what to write instead."""

from __future__ import annotations

import re
from collections.abc import Collection

from airflow_provider_mendix.exceptions import InvalidInputError

_EMPTY = {"", "none", "null", "undefined", "nan"}
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NATIVE = (
    "A template of a DAG with render_template_as_native_obj=True gives such values; quotes inside of the template"
    """ keep it text: "'{{ … }}'"."""
)
_BRANCH_PREFIX = "branches/"
_MAIN_BRANCHES = ("main", "trunk")


def app_id(value: object) -> str:
    """Check the subdomain of an app."""
    text = _text("app_id", value, "Use the app's subdomain, as in https://<app_id>.mendixcloud.com.")
    if _UUID.fullmatch(text):
        raise InvalidInputError(
            f"app_id {text!r} is a UUID, but Mendix expects the app's subdomain here, as in"
            " https://<app_id>.mendixcloud.com."
        )
    if len(text) > 63 or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", text):
        raise InvalidInputError(
            f"app_id {text!r} is not a subdomain (up to 63 letters, digits and hyphens). Use the app's subdomain,"
            " as in https://<app_id>.mendixcloud.com, not its display name."
        )
    return text


def project_id(value: object) -> str:
    """Check the UUID of a project."""
    advice = "Use the App ID that the General tab of the app's Settings shows; the Deploy API calls it ProjectId."
    return uuid("project_id", value, f"{advice} Do not give the app's subdomain or name.")


def package_id(value: object) -> str:
    """Check the id of a package: Mendix documents a UUID, and returns it in lower case."""
    advice = "Use the PackageId that the build task returned, not the package's name or version."
    return uuid("package_id", value, advice)


def environment(value: object, name: str = "environment") -> str:
    """Check the name of an environment; Mendix calls it Mode."""
    advice = "Use the environment's name as the portal shows it, such as Test, Acceptance or Production."
    text = _text(name, value, advice)
    if _UUID.fullmatch(text):
        raise InvalidInputError(f"{name} {text!r} is a UUID, but Mendix expects the name here. {advice}")
    return text


def uuid(name: str, value: object, advice: str | None = None) -> str:
    """Check a UUID and return it in lower case, so that it equals the one in a response.

    :param name: its name in messages.
    """
    advice = advice or f"Use the {name} that Mendix returned."
    text = _text(name, value, advice)
    if not _UUID.fullmatch(text):
        raise InvalidInputError(f"{name} {text!r} is not a UUID. {advice}")
    return text.lower()


def revision(value: object, name: str = "revision") -> str:
    """Check a revision: an SVN revision number (an ``int`` is accepted) or a Git commit hash."""
    advice = "Give an SVN revision number or a Git commit hash."
    if isinstance(value, bool):
        raise InvalidInputError(f"{name} cannot be {value!r}. {advice}")
    text = _text(name, str(value) if isinstance(value, int) else value, advice)
    if re.fullmatch(r"0+", text) or not re.fullmatch(r"[0-9]+|[0-9a-fA-F]{4,64}", text):
        raise InvalidInputError(
            f"{name} {text!r} is neither an SVN revision number (1 or more) nor a Git commit hash"
            " (hexadecimal, preferably in full length). Names such as HEAD are not accepted."
        )
    return text


def version(value: object) -> str:
    """Check a version to build."""
    advice = "Give major.minor.patch, such as 2.5.4."
    text = _text("version", value, advice)
    if re.fullmatch(r"\d+\.\d+\.\d+\.\w+", text):
        raise InvalidInputError(
            f"version {text!r} has four parts. {advice} Mendix adds the revision as the fourth part."
        )
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", text):
        raise InvalidInputError(f"version {text!r} is not a version. {advice}")
    return text


def branch(value: object) -> str:
    """Check a branch and return it as the Build API spells it.

    ``main`` and ``trunk`` stay as they are; ``x`` and ``branches/x`` both become ``branches/x``.
    """
    advice = "Give main, trunk, or the branch's name with or without 'branches/'."
    text = _text("branch", value, advice)
    name = text.removeprefix(_BRANCH_PREFIX)
    if text in _MAIN_BRANCHES:
        return text
    if name.lower() in _EMPTY or name == "HEAD" or name.startswith("refs/") or _cannot_be_branch(name):
        raise InvalidInputError(f"branch {text!r} is not a branch. {advice}")
    return _BRANCH_PREFIX + name


def spelled_branch(value: object) -> str:
    """Check the name of a branch that is spelled as its repository spells it."""
    return _text("branch", value, "Use the name as the list of branches has it.")


def spellings(branch: str) -> tuple[str, ...]:
    """Return the names by which a repository may know a branch, the likeliest first.

    Git calls its main line ``main`` and SVN ``trunk``, so each stands for the other too. Mendix's pages contradict
    each other about whether other names have the prefix ``branches/``.

    :param branch: as :func:`branch` returns it.
    """
    if branch in _MAIN_BRANCHES:
        return (branch, *(name for name in _MAIN_BRANCHES if name != branch))
    return (branch, branch.removeprefix(_BRANCH_PREFIX))


def _cannot_be_branch(name: str) -> bool:
    return (
        any(ord(character) < 32 or ord(character) == 127 or character in r"~^:?*[\\" for character in name)
        or any(part in ("", ".", "..") for part in name.split("/"))
        or name != name.strip()
    )


def one_of(name: str, value: object, choices: Collection[str]) -> str:
    """Return one of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInputError(f"{name} cannot be {value!r}. It must be one of: {', '.join(choices)}.")
    return value


def free_text(name: str, value: object) -> str:
    """Return free text; a number becomes text, and ``None`` is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, not {value!r}. {_NATIVE}")
    if value and value.strip().lower() in _EMPTY:
        raise InvalidInputError(f"{name} is empty (it rendered to {value!r}). Give text, or leave it out.")
    return _whole(name, value, "Give other text.")


def _text(name: str, value: object, advice: str) -> str:
    if not isinstance(value, str):
        hint = "" if value is None else f" {_NATIVE}"
        raise InvalidInputError(f"{name} must be text, not {value!r}. {advice}{hint}")
    if value.strip().lower() in _EMPTY:
        raise InvalidInputError(f"{name} is empty (it rendered to {value!r}). {advice}")
    if "{{" in value or "{%" in value:
        raise InvalidInputError(f"{name} {value!r} contains a template that was not rendered. {advice}")
    return _whole(name, value, advice)


def _whole(name: str, value: str, advice: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInputError(f"{name} {value!r} contains half a character (a lone surrogate). {advice}")
    return value
