"""Links from Airflow's task page into the Mendix portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

PROJECT_ID_KEY = "mendix_project_id"


class MendixEnvironmentsLink(BaseOperatorLink):
    """The app's Environments page, where its packages are listed.

    The portal has no page of a single package. It wants the app's UUID, which the task leaves in XCom; without
    it there is no link.
    """

    name = "Mendix Environments"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Make the link of what the task left in XCom; no request, no connection."""
        project_id = XCom.get_value(ti_key=ti_key, key=PROJECT_ID_KEY)
        return f"https://cloud.home.mendix.com/link/deploy/{project_id}" if project_id else ""
