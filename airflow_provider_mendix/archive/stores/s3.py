"""S3, through boto3 and Airflow's hook, which carries every setting of the connection."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.archive.stores.background_upload import BackgroundUpload, ChunkStream
from airflow_provider_mendix.archive.stores.base import CHUNK, LONGEST_SUFFIX, Stored
from airflow_provider_mendix.archive.stores.fast_s3 import UnsupportedSettingError, open_fast_path
from airflow_provider_mendix.exceptions import DamagedArchiveError, InvalidInputError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

_MAX_READ_ATTEMPTS = 3
_MAX_KEY = 1024
_ERRNO = {403: errno.EACCES, 404: errno.ENOENT}

log = logging.getLogger(__name__)


class S3Store:
    """Objects in S3.

    :param fast_path: upload with `obstore`, if that is installed and supports all settings of the connection.
    """

    def __init__(self, hook: S3Hook, *, fast_path: bool = True) -> None:
        self._hook = hook
        self._client: Any = hook.conn
        self._fast_path = fast_path

    def check(self, path: str) -> None:
        _, key = _split(path)
        too_much = len(f"{key}{LONGEST_SUFFIX}".encode()) - _MAX_KEY
        if too_much > 0:
            raise InvalidInputError(
                f"The key {key!r} is too long by {too_much} bytes: S3 takes {_MAX_KEY}, and the object's manifest"
                f" has {len(LONGEST_SUFFIX)} more than the object. Use a shorter destination."
            )

    def find(self, path: str) -> Stored | None:
        bucket, key = _split(path)
        try:
            with _readable_errors(path):
                found = self._client.head_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        version = f"{found.get('VersionId')} {found.get('ETag')} {found.get('LastModified')}"
        return Stored(found["ContentLength"], version)

    def list(self, folder: str) -> dict[str, int]:
        bucket, key = _split(folder.rstrip("/"))
        with _readable_errors(folder):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key and f"{key}/")
            objects = [found for page in pages for found in page.get("Contents", [])]
        return {f"{bucket}/{found['Key']}": found["Size"] for found in objects}

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of an object. If a response breaks off, request the rest."""
        from botocore.exceptions import (  # type: ignore[import-untyped]
            HTTPClientError,
            IncompleteReadError,
        )

        found = self.find(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, f"There is no object s3://{path}")
        bucket, key = _split(path)
        done = attempts = 0
        while done < found.size:
            attempts += 1
            rest = {"Range": f"bytes={done}-"} if done else {}
            with _readable_errors(path):
                try:
                    for chunk in self._client.get_object(Bucket=bucket, Key=key, **rest)["Body"].iter_chunks(
                        CHUNK
                    ):
                        done, attempts = done + len(chunk), 0
                        yield chunk
                except (HTTPClientError, IncompleteReadError):
                    if attempts == _MAX_READ_ATTEMPTS:
                        raise

    def commit(self, path: str, chunks: Iterable[bytes]) -> None:
        upload = self._begin_fast(path)
        if upload is None:
            upload = BackgroundUpload(lambda stream: self._send(path, stream), f"s3://{path}")
            if refusal := upload.begin():
                raise refusal
        upload.commit(chunks)

    def _begin_fast(self, path: str) -> BackgroundUpload | None:
        """Begin an upload on the fast path, unless it cannot be taken or is refused before the first byte."""
        if not self._fast_path:
            return None
        try:
            upload = BackgroundUpload(open_fast_path(self._hook, *_split(path)), f"s3://{path}")
        except UnsupportedSettingError as reason:
            log.info("Taking the plain path to S3: %s.", reason)
            return None
        if refusal := upload.begin():
            log.info("Taking the plain path to S3: the fast path was refused before the first byte (%s).", refusal)
            return None
        return upload

    def _send(self, path: str, stream: ChunkStream) -> None:
        bucket, key = _split(path)
        with _readable_errors(path):
            self._client.upload_fileobj(stream, bucket, key, Config=self._hook.transfer_config)

    def put(self, path: str, content: bytes) -> None:
        bucket, key = _split(path)
        with _readable_errors(path):
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def remove(self, path: str) -> None:
        bucket, key = _split(path)
        with _readable_errors(path):
            self._client.delete_object(Bucket=bucket, Key=key)

    def sweep(self, path: str) -> None:
        """Abort unfinished uploads, which S3 keeps for ever."""
        bucket, key = _split(path)
        uploads = []
        # Some servers say 404 where there were never any.
        with suppress(FileNotFoundError), _readable_errors(path):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key):
                uploads += [upload for upload in page.get("Uploads", []) if upload["Key"] == key]
        for upload in uploads:
            log.info("Aborting upload %s of s3://%s, which a killed run has left.", upload["UploadId"], path)
            with suppress(FileNotFoundError), _readable_errors(path):
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])


def _split(path: str) -> tuple[str, str]:
    """Split a path into bucket and key."""
    bucket, _, key = path.partition("/")
    return bucket, key


@contextmanager
def _readable_errors(path: str) -> Iterator[None]:
    """Turn errors of boto3 into ``OSError``, with the object's name and without the text of the response."""
    from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response.get("Error", {}).get("Code")
        words = f"S3 refused {error.operation_name} of s3://{path}: HTTP {status} {code}"
        raise OSError(_ERRNO.get(status, errno.EIO), words) from None
    except FlexibleChecksumError as error:
        raise DamagedArchiveError(f"s3://{path} is not what its checksum in S3 says: {error}.") from None
    except BotoCoreError as error:
        raise OSError(errno.EIO, f"S3 cannot be used for s3://{path}: {error}") from None
