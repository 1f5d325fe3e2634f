"""Transfer of a deployment package from Mendix to object storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, ObjectStoragePath

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.errors import InvalidInputError
from airflow_provider_mendix.archive import store
from airflow_provider_mendix.failing import failing
from airflow_provider_mendix.hooks.mendix import MendixHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class MendixToObjectStorageOperator(BaseOperator):
    """Stream the file of a ``Succeeded`` package to object storage, whole or not at all.

    The signed link is asked for in this task and used at once. The file host gets no Mendix credentials. The
    object appears under its name only when all bytes have arrived and their number is right.

    The task returns ``{"package_id", "version", "url", "size", "sha256"}``.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/#retrieve-package

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param destination: URL of the object, such as ``s3://releases/shop/2.5.4.mda``: anything that Airflow's
        ``ObjectStoragePath`` takes. An object that is there already is replaced.
    :param destination_conn_id: id of the connection for that storage; none for local files.
    :param mendix_conn_id: id of the Airflow connection to Mendix.
    :raises AirflowFailException: if a value cannot be right (before any request) or the key is refused.
    :raises PackageNotReadyError: if the package is not ``Succeeded`` or has no file.
    :raises DownloadError: if the file does not arrive whole.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "package_id",
        "destination",
        "destination_conn_id",
    )

    def __init__(
        self,
        *,
        app_id: str,
        package_id: str,
        destination: str,
        destination_conn_id: str | None = None,
        mendix_conn_id: str = MendixHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.package_id = package_id
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.mendix_conn_id = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Stream the file."""
        with failing(self):
            return self._stream()

    def _stream(self) -> dict[str, Any]:
        destination = ObjectStoragePath(_checked_url(self.destination), conn_id=self.destination_conn_id)
        app_id, package_id = inputs.app_id(self.app_id), inputs.package_id(self.package_id)
        with MendixHook(self.mendix_conn_id).open_package(app_id, package_id) as (package, download):
            self.log.info(
                "Streaming package %s of app %s (%s, %s bytes) to %s.",
                package_id,
                app_id,
                package.name,
                download.size or "an unknown number of",
                destination,
            )
            archived = store(package, download, destination)
        self.log.info("Stored %s bytes, sha256 %s, as %s.", archived.size, archived.sha256, destination)
        return {
            "package_id": package_id,
            "version": package.version,
            "url": str(destination),
            "size": archived.size,
            "sha256": archived.sha256,
        }


def _checked_url(destination: str) -> str:
    if not destination or destination.endswith("/") or "{{" in destination:
        raise InvalidInputError(
            f"destination {destination!r} does not name an object. Give a URL that ends in a file name, such as"
            " s3://releases/shop/2.5.4.mda."
        )
    return destination
