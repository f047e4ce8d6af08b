"""Embedded S3: SeaweedFS out of a wheel, on loopback ports, with credentials and locked buckets."""

import json
import secrets
import sysconfig
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.world.part import Part, free_port

_GRPC_OFFSET = 10_000


class S3:
    """`endpoint`, `access_key` and `secret_key` are good once started; objects stay in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "s3"
        self.credentials_file = folder / "s3.credentials.json"
        ports = {name: free_port((_GRPC_OFFSET,)) for name in ("master", "volume", "filer", "s3", "admin")}
        self._ports = tuple(ports.values())
        self.endpoint = f"http://127.0.0.1:{ports['s3']}"
        self.part = Part(
            "s3",
            [
                *(
                    Path(sysconfig.get_path("scripts")) / "weed",
                    "-logtostderr=true",
                    "mini",
                    f"-dir={self._data}",
                ),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
                *(f"-{name}.port={port}" for name, port in ports.items()),
                *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"),
                f"-s3.config={self.credentials_file}",
            ],
            folder / "logs" / "s3.log",
            cwd=folder,
            # It holds what it may; the default is to grow to twice the live heap.
            env={"GOMEMLIMIT": "300MiB"},
        )

    @property
    def access_key(self) -> str:
        return self._credentials()["accessKey"]

    @property
    def secret_key(self) -> str:
        return self._credentials()["secretKey"]

    def _credentials(self) -> dict[str, str]:
        return json.loads(self.credentials_file.read_text())["identities"][0]["credentials"][0]

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if not self.credentials_file.exists():
            keys = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
            owner = {"name": "saveline", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
            self.credentials_file.touch(mode=0o600)
            self.credentials_file.write_text(json.dumps({"identities": [owner]}))
        client = self.client()
        self.part.start(lambda: self._ready(client))

    def _ready(self, client: Any) -> bool:
        """Writing works: the gateway answers before the volume server has joined."""
        try:
            if "ready" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="probe", Body=b"1")
        except (ClientError, BotoCoreError):
            return False
        return True

    def client(self, access_key: str | None = None, secret_key: str | None = None) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=10,
                read_timeout=60,
                s3={"addressing_style": "path"},
            ),
        )

    def create_locked_bucket(self, name: str) -> None:
        """A versioned bucket under object lock; retention is each object's own."""
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)

    def stop(self) -> None:
        self.part.stop()
        self._sweep()

    def kill(self) -> None:
        self.part.kill()
        self._sweep()

    def _sweep(self) -> None:
        """It opens Unix sockets in /tmp, wherever it is told to live, and leaves them there."""
        for port in self._ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port + _GRPC_OFFSET}.sock"):
                left.unlink(missing_ok=True)
