"""An object store with S3's interface on loopback, for the tests that write there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import fsspec
from moto.server import ThreadedMotoServer

_ENVIRON = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def object_store(*buckets: str) -> Iterator[str]:
    """A server with these buckets, which every S3 client of this process finds by its environment; yields its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    before = dict(os.environ)
    os.environ.update(_ENVIRON, AWS_ENDPOINT_URL=url, MLFLOW_S3_ENDPOINT_URL=url)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        for bucket in buckets:
            boto3.client("s3").create_bucket(Bucket=bucket)
        yield url
    finally:
        os.environ.clear()
        os.environ.update(before)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.stop()
