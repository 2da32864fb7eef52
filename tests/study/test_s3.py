"""A study on object storage, which is a real S3 server on loopback: it equals one in a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import STUDY, Command, until
from s3_server import S3Server
from study_content import content

pytest.importorskip("s3fs")
pytest.importorskip("moto")

URL = "s3://studies/pissa"
WORDS = (*STUDY[: STUDY.index("--output")], "--output", URL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    made = S3Server(tmp_path)
    yield made
    made.close()


def machine(folder: Path, server: S3Server) -> Command:
    """`balora` on a machine of its own: with a cache of its own."""
    made = Command(folder)
    made.environment |= {**server.environment, "BALORA_CACHE": str(folder / "cache")}
    return made


def test_a_study_on_s3_equals_one_in_a_folder_also_where_it_was_killed(tmp_path: Path, server: S3Server) -> None:
    local, first, second = Command(tmp_path / "local"), machine(tmp_path / "1", server), machine(tmp_path / "2", server)
    local.run(*STUDY)
    first.hold_runs(2)
    study = first.start(*WORDS)
    until(lambda: study.poll() is not None or server.records("pissa") == 2, "no two runs are stored")
    assert second.start(*WORDS).wait() == 2, "two studies on one URL"
    assert f"{URL}: another `balora study run` is working here (process {study.pid} on " in second.stderr()
    study.kill()
    study.wait()
    first.hold_runs(1000)
    first.run(*WORDS)
    ended = (first.folder / "marks").read_text().split()
    assert len(ended) == len(set(ended)), "no finished run was repeated"
    assert server.content("pissa") == content(local.folder / "s")
    printed = second.run("study", "report", URL, "--json").replace(f"--output {URL}", "--output s")
    assert printed == local.run("study", "report", "s", "--json")


def test_another_machine_repeats_what_is_there_in_part_and_nothing_else(tmp_path: Path, server: S3Server) -> None:
    machine(tmp_path / "1", server).run(*WORDS)
    whole = server.content("pissa")
    cut, edited = sorted({name.split("/")[1] for name in server.names("pissa") if name.startswith("runs/")})[:2]
    server.delete("pissa", f"runs/{cut}/run.json")
    server.write("pissa", f"runs/{edited}/items.jsonl", b"other rows")
    second = machine(tmp_path / "2", server)
    second.run(*WORDS)
    assert sorted((second.folder / "begun").read_text().split()) == [cut, edited]
    assert server.content("pissa") == whole
