"""Files kept by a service that speaks S3: AWS, or any other one at `S3_ENDPOINT`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from chassis.files.port import FileContent, KeptFile, NoSuchFile
from chassis.foundation.config import Config

CONNECT_SECONDS, READ_SECONDS = 5, 60
IN_PARTS = TransferConfig(use_threads=False)
"""Whoever calls has a thread for it already."""
GONE = ("NoSuchKey", "404")


class Bucket:
    """A file store in a bucket, each file under `S3_PREFIX` and its id.  The bucket is there already."""

    def __init__(self, config: Config) -> None:
        self._bucket, self._prefix = config.s3_bucket, config.s3_prefix
        session = boto3.session.Session()
        self._client: Any = session.client(
            "s3",
            endpoint_url=config.s3_endpoint or None,
            region_name=config.s3_region,
            aws_access_key_id=config.s3_access_key or None,
            aws_secret_access_key=config.s3_secret_key or None,
            config=ClientConfig(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"max_attempts": 3, "mode": "standard"},
                s3={"addressing_style": "path" if config.s3_endpoint else "auto"},
            ),
        )

    def keep(self, id: UUID, source: Path) -> None:
        with _as_os_error(), source.open("rb") as file:
            self._client.upload_fileobj(file, self._bucket, self._name(id), Config=IN_PARTS)

    def open(self, id: UUID) -> FileContent:
        try:
            with _as_os_error():
                found = self._client.get_object(Bucket=self._bucket, Key=self._name(id))
        except FileNotFoundError:
            raise NoSuchFile(str(id)) from None
        body, size = found["Body"], int(found["ContentLength"])
        return FileContent(size, _reading(body.read), body.close)

    def delete(self, id: UUID) -> None:
        with _as_os_error():
            self._client.delete_object(Bucket=self._bucket, Key=self._name(id))

    def kept(self) -> Iterator[KeptFile]:
        with _as_os_error():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    try:
                        id = UUID(found["Key"].removeprefix(self._prefix))
                    except ValueError:
                        continue  # no file of ours
                    yield KeptFile(id, int(found["Size"]), found["LastModified"])

    def _name(self, id: UUID) -> str:
        return f"{self._prefix}{id}"


def _reading(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def piece(size: int) -> bytes:
        with _as_os_error():
            return read(size)

    return piece


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What the service or the way to it refuses is an error of a file, as it would be of a folder."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in GONE:
            raise FileNotFoundError(str(error)) from error
        raise OSError(str(error)) from error
    except BotoCoreError as error:
        raise OSError(str(error)) from error
