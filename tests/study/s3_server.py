"""A real S3 server on loopback for tests (moto's), and a bucket there, reached by another client than balora's."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from killing import until
from study_content import UNEQUAL, plan_without_command

BUCKET = "studies"


class S3Server:
    """A server in a process of its own, with an empty bucket."""

    def __init__(self, folder: Path) -> None:
        log = folder / "s3.log"
        with log.open("w") as out:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        until(lambda: self.process.poll() is not None or "Running on http" in log.read_text(), "no S3 server starts")
        address = log.read_text().split("Running on ")[1].split()[0]
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        self.environment = {"AWS_ENDPOINT_URL": address, **keys}
        import boto3  # type: ignore[import-untyped]

        self.client: Any = boto3.client(
            "s3", endpoint_url=address, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        self.client.create_bucket(Bucket=BUCKET)

    def names(self, study: str) -> list[str]:
        """Return the names of all objects of a study, below it."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{study}/").get("Contents", [])
        return [str(one["Key"]).removeprefix(f"{study}/") for one in found]

    def records(self, study: str) -> int:
        return sum(name.endswith("/run.json") for name in self.names(study))

    def read(self, study: str, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=f"{study}/{name}")["Body"].read())

    def write(self, study: str, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{study}/{name}", Body=content)

    def delete(self, study: str, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"{study}/{name}")

    def content(self, study: str) -> dict[str, bytes]:
        """Return what `study_content.content` returns of a folder."""
        return plan_without_command({name: self.read(study, name) for name in self.names(study) if name not in UNEQUAL})

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
