"""A study on object storage, which is a real S3 server on loopback: it equals one in a folder."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import STUDY, Command, until
from study_content import content, plan_without_command

pytest.importorskip("s3fs")
pytest.importorskip("moto")

URL = "s3://studies/pissa"
WORDS = (*STUDY[: STUDY.index("--output")], "--output", URL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server in a process of its own; yields the environment that reaches it."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    until(lambda: "Running on http://127.0.0.1:" in log.read_text(), "the S3 server does not start")
    port = log.read_text().split("Running on http://127.0.0.1:")[1].split()[0]
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    process.kill()
    process.wait()


class Bucket:
    """The bucket `studies`, read and written by another client than the one under test."""

    def __init__(self, environment: dict[str, str]) -> None:
        import boto3  # type: ignore[import-untyped]

        self.client: Any = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket="studies")

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket="studies").get("Contents", [])
        return [one["Key"].removeprefix("pissa/") for one in found]

    def read(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket="studies", Key=f"pissa/{name}")["Body"].read())

    def write(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket="studies", Key=f"pissa/{name}", Body=content)

    def delete(self, *names: str) -> None:
        for name in names:
            self.client.delete_object(Bucket="studies", Key=f"pissa/{name}")

    def content(self) -> dict[str, bytes]:
        there = {name: self.read(name) for name in self.names() if name != "log.txt"}
        return plan_without_command(there)


@pytest.fixture
def bucket(server: dict[str, str]) -> Iterator[Bucket]:
    made = Bucket(server)
    yield made
    made.delete(*made.names())


def command(folder: Path, server: dict[str, str]) -> Command:
    """A command on a machine of its own: with a cache of its own."""
    made = Command(folder)
    made.environment |= {**server, "BALORA_CACHE": str(folder / "cache")}
    return made


def test_a_study_on_object_storage_equals_one_in_a_folder(
    tmp_path: Path, server: dict[str, str], bucket: Bucket
) -> None:
    local, stored = Command(tmp_path / "local"), command(tmp_path / "stored", server)
    local.run(*STUDY)
    stored.run(*WORDS)
    assert bucket.content() == content(local.folder / "s")
    other = command(tmp_path / "other", server)
    assert other.run("study", "report", URL, "--json") == local.run("study", "report", "s", "--json")


def test_another_machine_goes_on_and_repeats_nothing_but_a_run_that_is_there_in_part(
    tmp_path: Path, server: dict[str, str], bucket: Bucket
) -> None:
    first = command(tmp_path / "first", server)
    first.run(*WORDS)
    whole = bucket.content()
    cut, edited = sorted({name.split("/")[1] for name in bucket.names() if name.startswith("runs/")})[:2]
    bucket.delete(f"runs/{cut}/run.json")
    bucket.write(f"runs/{edited}/items.jsonl", b"other rows")
    second = command(tmp_path / "second", server)
    second.run(*WORDS)
    assert (second.folder / "begun").read_text().split().sort() == [cut, edited].sort()
    assert len((second.folder / "begun").read_text().split()) == 2
    assert bucket.content() == whole


def test_a_study_that_was_deleted_there_begins_anew(tmp_path: Path, server: dict[str, str], bucket: Bucket) -> None:
    machine = command(tmp_path / "machine", server)
    machine.run(*WORDS)
    bucket.delete(*bucket.names())
    machine.run(*WORDS)
    begun = (machine.folder / "begun").read_text().split()
    assert len(begun) == 2 * len(set(begun))


def test_two_studies_on_one_url_are_refused(tmp_path: Path, server: dict[str, str], bucket: Bucket) -> None:
    first, second = command(tmp_path / "first", server), command(tmp_path / "second", server)
    first.hold_runs(1)
    study = first.start(*WORDS)
    until(lambda: study.poll() is not None or any(name.endswith("run.json") for name in bucket.names()), "no run ends")
    assert second.start(*WORDS).wait() == 2
    assert f"{URL}: another `balora study run` is working here (process {study.pid} on " in second.stderr()
    first.hold_runs(1000)
    assert study.wait() == 0, first.stderr()
    assert ".lock" not in bucket.names()


def test_a_killed_study_goes_on_on_its_machine(tmp_path: Path, server: dict[str, str], bucket: Bucket) -> None:
    machine = command(tmp_path / "machine", server)
    machine.hold_runs(2)
    study = machine.start(*WORDS)
    until(lambda: study.poll() is not None or sum(n.endswith("run.json") for n in bucket.names()) == 2, "no run ends")
    study.kill()
    study.wait()
    assert ".lock" in bucket.names()
    machine.hold_runs(1000)
    machine.run(*WORDS)
    ended = (machine.folder / "marks").read_text().split()
    assert len(ended) == len(set(ended)), "no finished run was repeated"
    assert json.loads(bucket.read("study.json"))["study"]["study"] == "pissa-initialization"
