"""Values that users give: checked after rendering and before any request, with words on what to write instead."""

from __future__ import annotations

import re

from airflow_provider_mendix.exceptions import InvalidInputError

_NOTHING = {"", "none", "null", "undefined", "nan"}
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NATIVE = (
    "A template of a DAG with render_template_as_native_obj=True gives such values; quotes inside of the template"
    """ keep it text: "'{{ … }}'"."""
)
_BRANCH_PREFIX = "branches/"
_MAIN_LINES = ("main", "trunk")


def app_id(value: object) -> str:
    """Check the subdomain of an app."""
    text = _text("app_id", value, "Give the app's subdomain, as in https://<app_id>.mendixcloud.com.")
    if _UUID.fullmatch(text):
        raise InvalidInputError(
            f"app_id {text!r} is a UUID, and Mendix wants the app's subdomain here, as in"
            " https://<app_id>.mendixcloud.com."
        )
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", text):
        raise InvalidInputError(
            f"app_id {text!r} cannot be a subdomain (letters, digits and hyphens). Give the app's subdomain,"
            " as in https://<app_id>.mendixcloud.com, not its display name."
        )
    return text


def project_id(value: object) -> str:
    """Check the UUID of a project."""
    advice = "Give the App ID that the General tab of the app's Settings shows; the Deploy API calls it ProjectId."
    text = _text("project_id", value, advice)
    if not _UUID.fullmatch(text):
        raise InvalidInputError(
            f"project_id {text!r} is not a UUID. {advice} The app's subdomain or name will not do."
        )
    return text


def package_id(value: object) -> str:
    """Check the id of a package."""
    text = _text("package_id", value, "Give the PackageId that the build task returned.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise InvalidInputError(
            f"package_id {text!r} is not shaped like an id. Give the PackageId that the build task returned,"
            " not the package's name or version."
        )
    return text


def environment(value: object, name: str = "environment") -> str:
    """Check the name of an environment; Mendix calls it Mode."""
    advice = "Give the environment's name as the portal shows it, such as Test, Acceptance or Production."
    text = _text(name, value, advice)
    if _UUID.fullmatch(text):
        raise InvalidInputError(f"{name} {text!r} is a UUID, and Mendix wants the name here. {advice}")
    return text


def uuid(name: str, value: object) -> str:
    """Check an id that Mendix gives as a UUID.

    :param name: what to call it in words.
    """
    text = _text(name, value, f"Give the {name} that Mendix gave.")
    if not _UUID.fullmatch(text):
        raise InvalidInputError(f"{name} {text!r} is not a UUID. Give the {name} that Mendix gave.")
    return text


def revision(value: object, name: str = "revision") -> str:
    """Check a revision: an SVN revision number (an ``int`` will do) or a Git commit hash."""
    advice = "Give an SVN revision number or a Git commit hash."
    if isinstance(value, bool):
        raise InvalidInputError(f"{name} cannot be {value!r}. {advice}")
    text = _text(name, str(value) if isinstance(value, int) else value, advice)
    if re.fullmatch(r"0+", text) or not re.fullmatch(r"[0-9]+|[0-9a-fA-F]{4,64}", text):
        raise InvalidInputError(
            f"{name} {text!r} is neither an SVN revision number (1 or more) nor a Git commit hash"
            " (hexadecimal, best in full length). Names such as HEAD are not accepted."
        )
    return text


def version(value: object) -> str:
    """Check a version to build."""
    advice = "Give major.minor.patch, such as 2.5.4."
    text = _text("version", value, advice)
    if re.fullmatch(r"\d+\.\d+\.\d+\.\w+", text):
        raise InvalidInputError(
            f"version {text!r} has four parts. {advice} Mendix itself adds the revision as the fourth part."
        )
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", text):
        raise InvalidInputError(f"version {text!r} is not a version that Mendix builds. {advice}")
    return text


def branch(value: object) -> str:
    """Check a branch and give it as the Build API spells it.

    ``main`` and ``trunk`` stay as they are; ``x`` and ``branches/x`` both become ``branches/x``.
    """
    advice = "Give main, trunk, or the branch's name with or without 'branches/'."
    text = _text("branch", value, advice)
    name = text.removeprefix(_BRANCH_PREFIX)
    if text in _MAIN_LINES:
        return text
    if name.lower() in _NOTHING or name == "HEAD" or name.startswith("refs/") or _cannot_be_branch(name):
        raise InvalidInputError(f"branch {text!r} cannot be a branch. {advice}")
    return _BRANCH_PREFIX + name


def spelled_branch(value: object) -> str:
    """Check the name of a branch that is already spelled as its repository spells it."""
    return _text("branch", value, "Give the name as the list of branches has it.")


def spellings(branch: str) -> tuple[str, ...]:
    """Give the names by which a repository may know a branch, the likeliest first.

    Git calls its main line ``main`` and SVN ``trunk``, so each stands for the other too; whether other names go
    with or without ``branches/`` is something that Mendix's pages contradict each other about.

    :param branch: as :func:`branch` gives it.
    """
    if branch in _MAIN_LINES:
        return (branch, *(name for name in _MAIN_LINES if name != branch))
    return (branch, branch.removeprefix(_BRANCH_PREFIX))


def _cannot_be_branch(name: str) -> bool:
    return (
        any(ord(character) < 32 or ord(character) == 127 or character in r"~^:?*[\\" for character in name)
        or any(part in ("", ".", "..") for part in name.split("/"))
        or name != name.strip()
    )


def free_text(name: str, value: object) -> str:
    """Return free text; a number becomes text, and ``None`` is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, not {value!r}. {_NATIVE}")
    if value and value.strip().lower() in _NOTHING:
        raise InvalidInputError(f"{name} is empty (it rendered to {value!r}). Give text, or leave it out.")
    return value


def _text(name: str, value: object, advice: str) -> str:
    if not isinstance(value, str):
        hint = "" if value is None else f" {_NATIVE}"
        raise InvalidInputError(f"{name} must be text, not {value!r}. {advice}{hint}")
    if value.strip().lower() in _NOTHING:
        raise InvalidInputError(f"{name} is empty (it rendered to {value!r}). {advice}")
    if "{{" in value or "{%" in value:
        raise InvalidInputError(f"{name} {value!r} holds a template that was not rendered. {advice}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInputError(f"{name} {value!r} holds half a character. {advice}")
    return value
