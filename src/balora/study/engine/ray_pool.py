"""Carry out jobs over the nodes of a Ray cluster; the one file that imports Ray, and only where it is asked for.

A job whose node is lost, or whose process is killed, is begun again by Ray elsewhere; all others are not touched.
"""

import os
import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import ConfigError, InputError, TrainingError
from balora.folders import CACHE_VARIABLE
from balora.regular_files import open_regular
from balora.study.engine.protocol import Event, Job
from balora.study.engine.ray_task import Ended, Setting, differing, on_node, remove_tries, sees, versions
from balora.study.store.lock import NAME as LOCK
from balora.study.store.object_storage import Storage
from balora.training.record import RunError

PENDING = 1000
"""Most jobs that wait in Ray at a time."""
SECONDS = 60.0
"""In which a node must answer before the first run."""


class Request(NamedTuple):
    """What each run asks of its node."""

    cpus: int
    gpus: float


class RayPool(NamedTuple):
    """A pool of the nodes of the Ray cluster that this process is connected to."""

    workers: int
    request: Request
    most: int
    """Most jobs in the cluster at a time."""
    retries: int = 3
    """How often a job is begun again whose node or process died."""
    storage: Storage | None = None
    """Where the nodes upload their runs; none where they share the study's folder."""

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        """See :meth:`balora.study.engine.protocol.Pool.carry_out`."""
        import ray

        if self.storage is None:
            _check_folder(output)
        task = self._task()
        mailbox = ray.remote(num_cpus=0)(_Mailbox).options(scheduling_strategy=_on(_own_node())).remote()
        log = open_regular(output / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, links=False)
        under_way: dict[Any, Job] = {}
        try:
            for stage in stages:
                waiting = list(reversed(stage))
                while waiting or under_way:
                    while waiting and len(under_way) < self.most:
                        job = waiting.pop()
                        job = job._replace(folder=job.folder.absolute())
                        under_way[task.remote(job, mailbox)] = job
                    yield from _events(under_way, mailbox, log) or [Event("idle")]
        except ray.exceptions.RayError as error:
            raise TrainingError(
                f"the Ray cluster failed ({_first_line(error)}); finished runs remain: run the study again"
            ) from error
        finally:
            _stop(list(under_way), mailbox)
            remove_tries(stages)
            os.close(log)

    def _task(self) -> Any:
        """Return the remote function that carries out a job."""
        import ray

        cache, request = os.environ.get(CACHE_VARIABLE), self.request
        place = (self.storage.url, self.storage.mirror) if self.storage else (None, None)
        setting = Setting(versions(), request.cpus, request.gpus > 0, cache, os.getcwd(), *place)

        def carry_out_job(job: Job, mailbox: Any) -> Ended:
            def send(event: Event) -> None:
                mailbox.put.remote(event._replace(job=job))

            send(Event("started"))
            return on_node(job, setting, send)

        options = {"num_cpus": self.request.cpus, "num_gpus": self.request.gpus, "max_retries": self.retries}
        return ray.remote(**options, scheduling_strategy="SPREAD")(carry_out_job)


class _Mailbox:
    """An actor beside the study's process, into which jobs put what happens to them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)

    def take(self) -> list[Event]:
        taken, self.events = self.events, []
        return taken


def _events(under_way: dict[Any, Job], mailbox: Any, log: int) -> list[Event]:
    """Return what has happened within a second; remove the jobs that have ended from ``under_way``."""
    import ray

    ended, _ = ray.wait(list(under_way), timeout=1.0)
    known = {job.id for job in under_way.values()}
    events = [event for event in ray.get(mailbox.take.remote()) if event.job is not None and event.job.id in known]
    for reference in ended:
        job = under_way.pop(reference)
        try:
            result: Ended = ray.get(reference)
        except ray.exceptions.RayError as error:
            events.append(Event("died", job, error=_death(error)))
            continue
        os.write(log, result.output.encode(errors="replace"))
        events.append(result.event._replace(job=job))
    return events


def _death(error: Exception) -> RunError:
    message = f"Ray lost the run and every retry of it ({_first_line(error)}); Ray's own logs tell more"
    return RunError(kind="WorkerDied", message=message)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _stop(references: list[Any], mailbox: Any) -> None:
    """End all jobs, and wait until they have ended."""
    import ray

    with suppress(Exception):  # the cluster may be gone
        for reference in references:
            ray.cancel(reference, force=True)
        if references:
            ray.wait(references, num_returns=len(references), timeout=10.0)
        ray.kill(mailbox)


def ray_pool(
    on_testbed: bool,
    workers: int | None = None,
    cpus: int | None = None,
    gpus: float | None = None,
    storage: Storage | None = None,
) -> RayPool:
    """Connect to the Ray cluster, check its nodes, and return a pool of it.

    Args:
        on_testbed: whether the models are so small that a run gains nothing from a second CPU or a GPU.
        workers: most runs at the same time; None: as many as the cluster has room for.
        cpus: CPUs of a run, and its threads; None: one on the testbed, else a node's CPUs shared by its GPUs, or half
            of the CPUs of the smallest node without GPUs.
        gpus: GPUs of a run, or a part of one; None: one where the nodes have any and the model is given.
        storage: where the study lies, if on object storage.

    Raises:
        ConfigError: Ray is not installed, there is no cluster, no node has room for a run, or versions differ.
    """
    if find_spec("ray") is None:
        raise ConfigError('--executor ray: the package ray is missing: pip install "balora[ray]"')
    _connect()
    nodes = _nodes()
    request = _request(nodes, on_testbed, cpus, gpus)
    room = sum(_room(node, request) for node in nodes)
    if not room:
        raise ConfigError(
            f"--executor ray: no node has {request.cpus} CPUs and {request.gpus:g} GPUs for a run "
            f"({', '.join(map(_shown, nodes))}): lower --cpus-per-run or --gpus-per-run, or start nodes that have them"
        )
    _check_versions(nodes)
    return RayPool(min(workers or room, room), request, workers or PENDING, storage=storage)


def _connect() -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS") or "auto"
    if ray.is_initialized():
        return
    try:
        check_answers(address)
        ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False)
    except Exception as error:  # Ray raises ConnectionError, ValueError and RuntimeError for it
        raise ConfigError(
            f"--executor ray: no Ray cluster can be reached at {address!r} ({_first_line(error)}): start one on this "
            "machine (`ray start --head`), or set RAY_ADDRESS to the address of one that this machine is a node of"
        ) from None


def check_answers(address: str) -> None:
    """Raise :class:`OSError` where nothing listens at ``address``, host and port: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS).close()


def _nodes() -> list[Mapping[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _request(nodes: list[Mapping[str, Any]], on_testbed: bool, cpus: int | None, gpus: float | None) -> Request:
    with_gpus = [node["Resources"] for node in nodes if node["Resources"].get("GPU")]
    if gpus is None:
        gpus = 1.0 if with_gpus and not on_testbed else 0.0
    if cpus is None and on_testbed:
        cpus = 1
    elif cpus is None and gpus:
        cpus = min((int(one.get("CPU", 0) * gpus / one["GPU"]) for one in with_gpus), default=1)
    elif cpus is None:
        cpus = min((int(node["Resources"].get("CPU", 0)) // 2 for node in nodes), default=1)
    return Request(max(1, cpus), gpus)


def _room(node: Mapping[str, Any], request: Request) -> int:
    """Return how many runs ``node`` has room for at a time."""
    has = node["Resources"]
    room = int(has.get("CPU", 0) // request.cpus)
    return min(room, int(has.get("GPU", 0) / request.gpus + 1e-9)) if request.gpus else room


def _shown(node: Mapping[str, Any]) -> str:
    has = node["Resources"]
    return f"{_name(node)}: {has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs"


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"


def _own_node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _on(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def _ask(nodes: list[Mapping[str, Any]], question: Any, *given: Any) -> Iterator[tuple[str, Any]]:
    """Yield each node's name and its answer to ``question``, an importable function.

    Raises:
        ConfigError: a node does not answer, e.g. because balora is not installed there.
    """
    import ray

    task = ray.remote(num_cpus=0, max_retries=0)(question)
    asked = [(_name(node), task.options(scheduling_strategy=_on(node["NodeID"])).remote(*given)) for node in nodes]
    for name, reference in asked:
        try:
            yield name, ray.get(reference, timeout=SECONDS)
        except Exception as error:  # Ray wraps whatever the node raised
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ConfigError(
                f"--executor ray: node {name} cannot be used ({reason[-1]}): install balora there with the same "
                "versions, or take the node out of the cluster"
            ) from None


def _check_versions(nodes: list[Mapping[str, Any]]) -> None:
    """Raise :class:`ConfigError` where a node has other versions than this process; the build of torch may differ."""
    mine = versions()
    for name, theirs in _ask(nodes, versions):
        if different := differing(mine, theirs):
            parts = ", ".join(f"{package} {other}, here {here}" for package, (here, other) in different.items())
            raise ConfigError(f"--executor ray: node {name} has {parts}: install the same versions on every node")


def _check_folder(output: Path) -> None:
    """Raise :class:`InputError` where a node does not see the study's folder, by the lock that lies there."""
    path = (output / LOCK).absolute()
    for name, is_seen in _ask(_nodes(), sees, path, path.read_bytes()):
        if not is_seen:
            raise InputError(
                f"--executor ray: node {name} does not see {output.absolute()}: choose an --output on storage that "
                "all nodes share under the same path, or on object storage (s3://bucket/folder)"
            )
