"""A server that speaks S3, with a bucket, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from deploy.devstack.ports import free_ports

BUCKET, ACCESS, SECRET = "salestream", "testing", "testing-too"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address, inside the block."""
    port = free_ports(1)[0]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        address = f"http://127.0.0.1:{port}"
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        server.stop()


def client(address: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET
    )


def settings(address: str) -> dict[str, str]:
    """The variables of a system that keeps its files there."""
    return {
        "FILE_STORE": "s3",
        "S3_ENDPOINT": address,
        "S3_BUCKET": BUCKET,
        "S3_PREFIX": "files/",
        "S3_ACCESS_KEY": ACCESS,
        "S3_SECRET_KEY": SECRET,
    }
