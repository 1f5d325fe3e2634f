"""Mendix release trains in Apache Airflow."""

from __future__ import annotations

__version__ = "0.1.0"

_INTEGRATION = "Mendix"
_PACKAGE = "airflow_provider_mendix"


def get_provider_info() -> dict[str, object]:
    """Describe this provider to Airflow; a literal, so that reading it imports nothing."""
    return {
        "package-name": "airflow-provider-mendix",
        "name": "Mendix",
        "description": "Build, archive and deploy Mendix apps: packages, environments, backups.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.hooks.mendix"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.operators.backup",
                    f"{_PACKAGE}.operators.environment",
                    f"{_PACKAGE}.operators.package",
                    f"{_PACKAGE}.operators.revision",
                    f"{_PACKAGE}.operators.settings",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.sensors.environment",
                    f"{_PACKAGE}.sensors.package",
                    f"{_PACKAGE}.sensors.revision",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.triggers.event", f"{_PACKAGE}.triggers.wait"],
            }
        ],
        "asset-uris": [
            {
                "schemes": ["mendix"],
                "handler": f"{_PACKAGE}.assets.uris.sanitize_uri",
                "factory": f"{_PACKAGE}.assets.uris.create_asset",
                "to_openlineage_converter": f"{_PACKAGE}.assets.uris.to_openlineage",
            }
        ],
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": f"{_PACKAGE}.transfers.mendix_to_object_storage",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": f"{_PACKAGE}.transfers.mendix_backup_to_object_storage",
            },
            {
                "source-integration-name": "Common IO",
                "target-integration-name": _INTEGRATION,
                "python-module": f"{_PACKAGE}.transfers.object_storage_to_mendix",
            },
        ],
        "extra-links": [f"{_PACKAGE}.links.portal.MendixEnvironmentsLink"],
        "config": {
            "mendix": {
                "description": "Settings of the Mendix provider.",
                "options": {
                    "instance_name": {
                        "description": (
                            "Name of this Airflow installation, part of the marker by which a task finds its own"
                            " builds. Installations that build the same apps need different names. Default: [api]"
                            " base_url."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "production",
                        "default": "",
                    },
                    "webhooks": {
                        "description": (
                            "Apps whose webhooks the API server receives, each with the id of the connection whose"
                            " password is the validation secret of its webhook: a JSON object. The API servers and"
                            " the triggerers need it. Default: no webhook is received."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": '{"shop": "mendix_webhook_shop"}',
                        "default": "",
                    },
                    "requests_per_minute": {
                        "description": (
                            "The most requests per minute that the triggers of one connection send, in each"
                            " triggerer process; 0 for no limit. Waits that would need more are polled less often"
                            " than every poll interval."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "120",
                        "default": "60",
                    },
                },
            }
        },
        "connection-types": [
            {
                "connection-type": "mendix",
                "hook-class-name": f"{_PACKAGE}.hooks.mendix.MendixHook",
                "hook-name": "Mendix",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {
                        "login": "Mendix user name",
                        "password": "API key",
                        "host": "Deploy API host",
                    },
                    "placeholders": {
                        "login": "ana.dev@example.com",
                        "host": "https://deploy.mendix.com",
                        "port": "443, which Airflow's Test needs",
                    },
                },
                "conn-fields": {
                    "personal_access_token": {
                        "label": "Personal access token",
                        "description": "To look up revisions; scope mx:modelrepository:repo:read.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "repository_url": {
                        "label": "Repository API host",
                        "description": "App Repository API. Leave empty for https://repository.api.mendix.com.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "webhooks_url": {
                        "label": "Webhooks API host",
                        "description": "Leave empty for https://webhook-portal.home.mendix.com.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout (seconds)",
                        "description": "How long one whole response may take. Default 60.",
                        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 3600},
                    },
                    "verify": {
                        "label": "TLS verification",
                        "description": "true (default), false, or the path of a CA bundle.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "proxy": {
                        "label": "Proxy URL",
                        "description": "Overrides the proxy of the environment. May hold credentials.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
            }
        ],
    }
