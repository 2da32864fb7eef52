"""The commands of docs/ray.md, slurm.md and object-storage.md do what the pages say; runs have stand-ins."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import HERE, STUDY, Command, kill, session_of, until
from s3_server import S3Server
from study_content import content

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")]

DOCS = HERE.parents[1] / "docs"
SHARES = 4
PORT = 6379


def blocks(page: str) -> list[str]:
    """Return the commands of a page, block by block."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell() -> Iterator[Command]:
    """A folder to work in, with a short path, where `balora` carries out stand-ins for runs."""
    folder = Path(tempfile.mkdtemp(prefix="balora-docs-"))
    made = Command(folder / "work")
    tools = folder / "bin"
    tools.mkdir()
    (tools / "balora").write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "brief.py"} "$@"\n')
    (tools / "balora").chmod(0o755)
    path = os.pathsep.join((str(tools), str(Path(sys.executable).parent), os.environ["PATH"]))
    paths = os.pathsep.join((str(HERE.parents[1] / "src"), str(HERE), os.environ.get("PYTHONPATH", "")))
    made.environment |= {"PATH": path, "PYTHONPATH": paths, "BALORA_CACHE": str(folder / "cache")}
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def carried_out(shell: Command, text: str, **environment: str) -> str:
    """Run a block in bash as it is printed, to its end; return what it printed."""
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=shell.folder,
        env={**shell.environment, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def local(shell: Command) -> dict[str, bytes]:
    """Return what the study leaves that the pages run."""
    alone = Command(shell.folder.parent / "local")
    alone.run(*STUDY)
    return content(alone.folder / "s")


def test_the_job_array_of_the_slurm_page_leaves_what_one_job_does(shell: Command) -> None:
    script = next(block for block in blocks("slurm.md") if "--share" in block)
    assert f"--array=1-{SHARES}\n" in script
    for number in range(1, SHARES + 1):
        carried_out(shell, script, SLURM_ARRAY_TASK_ID=str(number))
    whole = content(shell.folder / "shared" / "pissa")
    assert {name: found for name, found in whole.items() if not name.startswith("shares/")} == local(shell)


def test_the_commands_of_the_object_storage_page(shell: Command) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    server = S3Server(shell.folder.parent)
    try:
        printed = carried_out(shell, blocks("object-storage.md")[0], **server.environment)
        assert server.content("pissa") == local(shell)
        assert "complete · 20/20 runs" in printed, "which `study watch` prints"
    finally:
        server.close()


def test_the_commands_of_the_ray_page(shell: Command) -> None:
    pytest.importorskip("ray")
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"port {PORT}, which the page names, is taken: is a Ray cluster running here?")
    head, node, study = blocks("ray.md")[:3]
    shell.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    shell.environment["RAY_TMPDIR"] = str(shell.folder.parent)
    leaders = []
    try:
        for block in (head, node.replace("HEAD", "127.0.0.1")):
            with (shell.folder.parent / "ray.log").open("a") as log:
                started = subprocess.Popen(
                    ["bash", "-euc", f"timeout 600 {block}"],
                    env={**shell.environment, "RAY_raylet_start_wait_time_s": "500"},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            leaders.append(started.pid)
            assert started.wait() == 0, (shell.folder.parent / "ray.log").read_text()
        carried_out(shell, study)
        assert content(shell.folder / "runs" / "pissa") == local(shell)
    finally:
        for leader in leaders:
            for process in session_of(leader):
                kill(process, signal.SIGKILL)
            until(lambda leader=leader: not session_of(leader), "Ray does not end")
