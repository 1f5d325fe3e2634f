"""A secrets backend that reads connections from files, and fails in the triggerer if it is told to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from airflow.secrets import BaseSecretsBackend

FOLDER = "CRASH_SECRETS"
"""The environment variable that names the folder."""


class SecretsFolder(BaseSecretsBackend):
    """Connections as JSON in files that have their ids as names.

    A file ``<id>.fails`` lets one lookup in the triggerer fail; it is gone then.
    """

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return a connection."""
        file = Path(os.environ[FOLDER], conn_id)
        fails = file.with_suffix(".fails")
        if "triggerer" in sys.argv and fails.exists():
            fails.unlink()
            raise ConnectionError("The secrets backend cannot be reached.")
        return file.read_text() if file.exists() else None
