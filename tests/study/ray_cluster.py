"""A Ray cluster on this machine for tests, whose nodes are sessions of processes that can be killed one by one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from killing import HERE, kill, session_of, until

RAY = Path(sys.executable).with_name("ray")
ADDRESS = "127.0.0.1"
SOURCE = HERE.parents[1] / "src"


class Cluster:
    """Nodes on loopback, of one CPU each; the first is the head, beside which a study runs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Start the head; logs and sockets lie in ``folder``, whose path must be short."""
        self.folder, self.port = folder, _free_port()
        paths = os.pathsep.join((str(SOURCE), str(HERE), os.environ.get("PYTHONPATH", "")))
        usual = {"PYTHONPATH": paths, "RAY_ADDRESS": self.address, "RAY_raylet_start_wait_time_s": "600"}
        self.environment = {**os.environ, **environment, **usual}
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={folder}")
        until(lambda: self._has_ended(0) or self.alive() == 1, "the head does not start")
        assert not self._has_ended(0), (self.folder / "node-0.log").read_text()

    @property
    def address(self) -> str:
        return f"{ADDRESS}:{self.port}"

    def add_node(self, **environment: str) -> None:
        """Start a node beside those there are, and wait until it is one of the cluster."""
        number = self.alive()
        self.start(f"--address={self.address}", **environment)
        until(lambda: self._has_ended(-1) or self.alive() > number, "the node does not join")
        assert not self._has_ended(-1), "the node has ended: see its log"

    def _has_ended(self, number: int) -> bool:
        return self.nodes[number].poll() is not None

    def start(self, *words: str, **environment: str) -> None:
        usual = (f"--node-ip-address={ADDRESS}", "--num-cpus=1", "--object-store-memory=80000000")
        command = [str(RAY), "start", "--block", *usual, "--disable-usage-stats", *words]
        log = (self.folder / f"node-{len(self.nodes)}.log").open("w")
        with log:
            self.nodes.append(
                subprocess.Popen(
                    command,
                    env={**self.environment, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def alive(self) -> int:
        """Return how many nodes the head counts."""
        nodes = f"GcsClient('{self.address}').get_all_node_info().values()"
        probe = f"from ray._raylet import GcsClient; print(sum(node.state == 0 for node in {nodes}))"
        done = subprocess.run([sys.executable, "-c", probe], env=self.environment, capture_output=True, text=True)
        return int(done.stdout) if done.returncode == 0 else 0

    def kill(self, number: int) -> None:
        """Kill all processes of a node, at once, as a power failure does."""
        leader = self.nodes[number]
        for _ in range(3):  # a process may be starting another
            for process in session_of(leader.pid):
                kill(process, signal.SIGKILL)
            time.sleep(0.05)
        leader.wait()

    def kill_all_but_the_head(self) -> None:
        while len(self.nodes) > 1:
            self.kill(-1)
            self.nodes.pop()
        until(lambda: self.alive() == 1, "the head counts a node that was killed")

    def close(self) -> None:
        for number in range(len(self.nodes)):
            self.kill(number)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((ADDRESS, 0))
        return int(one.getsockname()[1])
