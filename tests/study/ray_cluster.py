"""A Ray cluster on this machine for tests, whose nodes are sessions of processes that can be killed one by one."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from killing import HERE, kill, session_of, until

RAY = Path(sys.executable).with_name("ray")
ADDRESS = "127.0.0.1"
STARTED = "Ray runtime started."
PORTS = ("dashboard-agent-grpc", "dashboard-agent-listen", "metrics-export", "runtime-env-agent")
TRIES = 5
SOURCE = HERE.parents[1] / "src"


class Cluster:
    """Nodes on loopback, of one CPU each; the first is the head, beside which a study runs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Start the head; logs and sockets lie in ``folder``, whose path must be short."""
        self.folder, self.port = folder, _free_port()
        paths = os.pathsep.join((str(SOURCE), str(HERE), os.environ.get("PYTHONPATH", "")))
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # Ray listens on all interfaces
        usual = {"PYTHONPATH": paths, "RAY_ADDRESS": self.address}
        self.environment = {**os.environ, **environment, **usual, **token}
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={folder}")

    @property
    def address(self) -> str:
        return f"{ADDRESS}:{self.port}"

    def add_node(self, **environment: str) -> None:
        """Start a node beside those there are, and wait until it is one of the cluster."""
        self.start(f"--address={self.address}", **environment)

    def start(self, *words: str, **environment: str) -> None:
        """Start a node, again where Ray gives up: it gives its parts a time that is too short on a busy machine."""
        usual = [f"--node-ip-address={ADDRESS}", "--num-cpus=1", "--object-store-memory=80000000"]
        usual += [f"--{name}-port={_free_port()}" for name in PORTS]  # else it waits for them, 20 s at most
        command = [str(RAY), "start", "--block", *usual, "--disable-usage-stats", *words]
        path = self.folder / f"node-{len(self.nodes)}.log"
        for _ in range(TRIES):
            with path.open("w") as log:
                process = subprocess.Popen(
                    command,
                    env={**self.environment, "RAY_raylet_start_wait_time_s": "60", **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.nodes.append(process)
            until(lambda process=process: process.poll() is not None or STARTED in path.read_text(), "no node starts")
            if process.poll() is None:
                return
            self.kill(-1)
            self.nodes.pop()
        raise AssertionError(path.read_text())

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
        """Kill the other nodes, and wait until the head has noticed."""
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
