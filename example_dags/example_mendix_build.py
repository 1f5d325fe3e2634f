"""The smallest useful DAG: build the newest revision, wait for it without a worker slot, keep its file.

Needs the connection `mendix_default` with a personal access token. Each run builds the next version after
the highest that the app's packages have, in Mendix or in the archive. Start it in the UI, or with

    airflow dags test example_mendix_build
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

with DAG(
    "example_mendix_build",
    description="Build the newest revision of a branch, wait for it, and archive the package",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    # The form refuses what the operators would refuse.
    params={
        "app_id": Param(
            "shop",
            type="string",
            title="App",
            description="Subdomain of the app, as in https://<app_id>.mendixcloud.com; not its display name",
            pattern="^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
            maxLength=63,
        ),
        "branch": Param(
            "main",
            type="string",
            title="Branch",
            description="main (Git), trunk (SVN), or the name of another branch",
            pattern=r"^[^\s~^:?*\[\\]([^~^:?*\[\\]*[^\s~^:?*\[\\])?$",
        ),
        "archive": Param(
            "file:///tmp/mendix-archive",
            type="string",
            title="Archive",
            description="URL of the folder for the packages, such as s3://aws_default@releases",
            pattern=r"^([a-z][a-z0-9+.-]*://|/)\S",
        ),
    },
    tags=["example", "mendix"],
):
    build = MendixStartBuildOperator(
        task_id="build",
        app_id="{{ params.app_id }}",
        branch="{{ params.branch }}",
        bump="patch",
        # Versions in the archive count too, so that no file there is in the way.
        archive="{{ params.archive }}",
        deferrable=True,
        poll_interval=10,
    )
    MendixToObjectStorageOperator(
        task_id="archive",
        app_id="{{ params.app_id }}",
        package_id=build.output,
        destination="{{ params.archive }}/{app_id}/{name}",
    )
