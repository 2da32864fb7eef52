"""Attempts to escape from the sandbox, or to pass without passing the tests: each of them must fail."""

import os
import platform
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balora.sandbox.limits import MIB, Limits
from balora.sandbox.run_programs import Sandbox, run_program, run_programs

REFUSED = """
def refused(action):
    try:
        action()
    except (OSError, MemoryError, ImportError):
        return True
    return False
"""


def holds(claims: str, sandbox: Sandbox, limits: Limits | None = None) -> None:
    """Check that a program inside comes to its end; it asserts that what it tried was refused."""
    outcome = run_program((REFUSED, claims), sandbox=sandbox, limits=limits or Limits())
    assert outcome.status == "ok", outcome


def processes_with(word: str) -> list[int]:
    """Return the processes of this machine that hold ``word`` on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """A server on loopback outside the sandbox, and the list of who has connected."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def accept() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    seen.append(connection.recv(100).decode())
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def greet(port: int, word: str) -> str:
    return f"import socket\nwith socket.create_connection(('127.0.0.1', {port}), 5) as c:\n    c.sendall(b'{word}')"


def test_no_connection_leaves_the_sandbox(
    sandbox: Sandbox, plain_process: Sandbox, listener: tuple[int, list[str]]
) -> None:
    port, seen = listener
    assert run_program(greet(port, "inside"), sandbox=sandbox).status == "failed"
    assert run_program(greet(port, "plain"), sandbox=plain_process).status == "ok"  # the attack itself works
    deadline = time.monotonic() + 30
    while not seen and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == ["plain"]
    holds(
        "import socket\n"
        "assert refused(lambda: socket.create_connection(('1.1.1.1', 53), 5))\n"
        "assert refused(lambda: socket.getaddrinfo('example.org', 80))\n"
        "assert [name for _, name in socket.if_nameindex()] == ['lo']\n",
        sandbox,
    )


def test_abstract_sockets_of_the_machine_are_not_seen(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        name = f"\0balora-test-{os.getpid()}"
        server.bind(name)
        server.listen()
        holds(f"import socket\nassert refused(lambda: socket.socket(socket.AF_UNIX).connect({name!r}))", sandbox)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/etc/shadow", "/etc/hostname", "/root", "/home", "/var", "/proc/self", "/sys", "/run",
             "/mnt", "/work", __file__, os.path.expanduser("~")],
)  # fmt: skip
def test_files_of_the_machine_are_not_there(sandbox: Sandbox, path: str) -> None:
    holds(f"import os\nassert not os.path.lexists({path!r})\nassert refused(lambda: os.stat({path!r}))", sandbox)


def test_the_root_folder_holds_the_system_and_nothing_else(sandbox: Sandbox) -> None:
    outcome = run_program("import os; print(*sorted(os.listdir('/')))", sandbox=sandbox)
    assert set(outcome.stdout.split()) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "tmp", "usr"}
    outcome = run_program("import os; print(*os.listdir('/etc') if os.path.exists('/etc') else ())", sandbox=sandbox)
    assert set(outcome.stdout.split()) <= {"ld.so.cache"}


def test_links_and_dots_lead_nowhere(sandbox: Sandbox) -> None:
    holds(
        "import os\n"
        "os.symlink('/etc/passwd', 'link')\nassert refused(lambda: open('link'))\n"
        "os.symlink('../../../../../../root', 'up')\nassert refused(lambda: os.listdir('up'))\n"
        "assert refused(lambda: open('../../../../etc/passwd'))\n"
        "assert refused(lambda: os.link('/usr/bin/python3', 'hard'))\n",
        sandbox,
    )


def test_the_environment_holds_no_secret(
    sandbox: Sandbox, plain_process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_API_KEY", "secret-key")
    for place in (sandbox, plain_process):
        outcome = run_program("import os; print(dict(os.environ))", sandbox=place)
        assert outcome.status == "ok"
        assert "JUDGE_API_KEY" not in outcome.stdout
        assert "HOME" not in outcome.stdout


def test_nothing_outside_can_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    holds(
        "import os\n"
        "for place in ('/', '/usr', '/usr/bin', '/usr/lib', '/dev', '/bin', '/home'):\n"
        "    assert refused(lambda: open(place + '/written', 'w')), place\n"
        f"assert refused(lambda: open({str(tmp_path / 'written')!r}, 'w'))\n"
        "assert refused(lambda: os.remove('/usr/bin/python3'))\n"
        "assert refused(lambda: os.mkdir('/work'))\n"
        "assert refused(lambda: os.chmod('/usr', 0o777))\n",
        sandbox,
    )
    assert list(tmp_path.iterdir()) == []


def test_what_one_program_writes_is_gone_for_the_next(sandbox: Sandbox, plain_process: Sandbox) -> None:
    for place in (sandbox, plain_process):
        assert run_program("open('left', 'w').write('x')", sandbox=place).status == "ok"
        assert run_program("import os\nassert os.listdir('.') == []", sandbox=place).status == "ok"


def test_temporary_folders_are_limited(sandbox: Sandbox) -> None:
    limits = Limits(file_bytes=2 * MIB)
    fill = (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def fill(folder, size):\n"
        "    total = 0\n"
        "    try:\n"
        "        for number in range(40):\n"
        "            with open(f'{folder}/{number}', 'wb', buffering=0) as file:\n"
        "                while (written := file.write(bytes(65536))) and file.tell() < size:\n"
        "                    total += written\n"
        "    except OSError:\n"
        "        pass\n"
        "    return total\n"
    )
    holds(
        fill + f"assert 1 < fill('/tmp', {MIB}) / {MIB} <= 8\nassert fill('/dev/shm', {MIB}) <= {MIB}", sandbox, limits
    )
    outcome = run_program("open('large', 'wb').write(bytes(3 * 2**20))", sandbox=sandbox, limits=limits)
    assert outcome.status == "failed"


def test_a_fork_bomb_ends_at_the_limit(sandbox: Sandbox, tight: Limits) -> None:
    bomb = (
        "import os\n"
        "while True:\n"
        "    try:\n"
        "        os.fork()\n"
        "    except OSError:\n"
        "        pass\n"
    )  # fmt: skip
    outcome = run_program(bomb, sandbox=sandbox, limits=tight.replace(wall_seconds=1))
    assert outcome.status == "timeout"
    counted = (
        "import os, time\ncount = 0\n"
        "try:\n    while True:\n        if os.fork() == 0:\n            time.sleep(99)\n        count += 1\n"
        "except OSError:\n    print(count)\n"
    )
    outcome = run_program(counted, sandbox=sandbox)
    assert outcome.status == "ok"
    assert 1 <= int(outcome.stdout) <= tight.processes


def test_two_sandboxes_do_not_starve_each_other(sandbox: Sandbox) -> None:
    """Each holds most of its processes while the other starts as many."""
    wait = (
        "import os, time\nchildren = 0\n"
        "for _ in range(10):\n    if os.fork() == 0:\n        time.sleep(99)\n    children += 1\n"
        "time.sleep(1)\nassert children == 10\n"
    )
    outcomes = run_programs([wait, wait + "\n", wait + "\n\n"], sandbox=sandbox, workers=3)
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_cut_off(sandbox: Sandbox, stream: str) -> None:
    limits = Limits(output_bytes=100_000)
    flood = f"import sys\nwhile True:\n    sys.{stream}.write('x' * 9999)"
    outcome = run_program(flood, sandbox=sandbox, limits=limits)
    assert outcome.status == "output"
    assert len(getattr(outcome, stream)) == 100_001
    assert run_program(f"import sys\nsys.{stream}.write('x' * 99_999)", sandbox=sandbox, limits=limits).status == "ok"


def test_endless_loops_and_endless_sleep_end_at_the_limits(sandbox: Sandbox, tight: Limits) -> None:
    ignoring = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    catching = "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass"
    sleeping = "import time, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(99)"
    by_cpu = run_programs(["while True: pass", catching, ignoring], sandbox=sandbox, limits=tight, workers=3)
    assert [outcome.status for outcome in by_cpu[:2]] == ["timeout", "timeout"]
    assert by_cpu[2].status in ("failed", "timeout")  # killed one second of processor time later
    assert run_program(sleeping, sandbox=sandbox, limits=Limits(wall_seconds=0.5)).status == "timeout"


def test_large_allocations_fail(sandbox: Sandbox) -> None:
    outcome = run_program("block = bytearray(3 * 10**9)", sandbox=sandbox)
    assert (outcome.status, outcome.reason) == ("memory", "MemoryError")


def test_memory_counts_over_all_processes(sandbox: Sandbox) -> None:
    limits = Limits(memory_bytes=200 * MIB)
    spread = (
        "import os, time\n"
        "for _ in range(8):\n    if os.fork() == 0:\n        block = bytearray(60 * 2**20)\n        time.sleep(99)\n"
        "time.sleep(99)\n"
    )
    assert run_program(spread, sandbox=sandbox, limits=limits).status == "memory"


def test_memory_outside_every_limit_is_refused(sandbox: Sandbox) -> None:
    """Neither is part of a process or a file with a name: four programs could fill the memory of a machine."""
    holds(
        "import ctypes, os\n"
        "assert refused(lambda: os.memfd_create('hidden'))\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for call in (libc.shmget, libc.msgget, libc.semget):\n"
        "    assert call(0, 1, 0o1600) == -1 and ctypes.get_errno() == 1\n",
        sandbox,
    )


def test_the_kernels_keys_of_the_user_are_not_reached(sandbox: Sandbox) -> None:
    number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
    describe_own_ring = f"libc.syscall({number}, 6, -4, buffer, 200, 0)"
    holds(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nbuffer = ctypes.create_string_buffer(200)\n"
        f"assert {describe_own_ring} == -1 and ctypes.get_errno() == 1\n",
        sandbox,
    )


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_millions_of_empty_files_end_at_the_limit(sandbox: Sandbox, folder: str) -> None:
    endless = (
        "import os, itertools\n"
        f"for number in itertools.count():\n    os.close(os.open(f'{folder}/{{number}}', os.O_CREAT))\n"
    )
    limits = Limits(files=500, wall_seconds=200, cpu_seconds=200)
    assert run_program(endless, sandbox=sandbox, limits=limits).status == "memory"


def test_processes_outside_are_neither_seen_nor_reached(sandbox: Sandbox) -> None:
    holds(
        "import os, signal\n"
        f"assert refused(lambda: os.kill({os.getpid()}, 0)) or {os.getpid()} < 10\n"
        "assert os.getppid() in (0, 1)\n"
        "for number in range(300, 40_000, 7):\n"
        "    assert refused(lambda: os.kill(number, signal.SIGKILL)), number\n",
        sandbox,
    )


@pytest.mark.parametrize("target", ["-1", "os.getppid()", "0", "1"])
def test_killing_ends_nothing_outside(sandbox: Sandbox, target: str) -> None:
    run_program(f"import os\nos.kill({target}, 9)", sandbox=sandbox)  # this process runs on
    assert run_program("pass", sandbox=sandbox).status == "ok"


def test_a_daemon_ends_with_its_program(sandbox: Sandbox) -> None:
    word = f"daemon-{os.getpid()}-{time.monotonic_ns()}"
    daemon = (
        "import os, subprocess, sys\n"
        f"command = [sys.executable, '-c', 'import time; time.sleep(600)  # {word}']\n"
        "subprocess.Popen(command, start_new_session=True, close_fds=True, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL)\n"
    )
    assert run_program(daemon, sandbox=sandbox).status == "ok"
    assert processes_with(word) == []
    assert run_program(daemon + "os._exit(0)", sandbox=sandbox).status == "failed"
    assert processes_with(word) == []


def test_no_new_namespaces_no_mounts_no_privileges(sandbox: Sandbox) -> None:
    holds(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for flag in (0x10000000, 0x20000000, 0x40000000, 0x00020000):\n"
        "    assert libc.unshare(flag) == -1, hex(flag)\n"
        "assert libc.mount(b'none', b'/tmp', b'tmpfs', 0, b'') == -1\n"
        "assert libc.umount2(b'/tmp', 2) == -1\n"
        "assert libc.chroot(b'/tmp') == -1\n"
        "assert libc.setuid(0) == -1 or os.getuid() != 0\n"
        "assert refused(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))\n",
        sandbox,
    )


def test_tracing_reaches_the_sandbox_alone(sandbox: Sandbox) -> None:
    holds(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for number in range(300, 40_000, 7):\n"
        "    assert libc.ptrace(16, number, 0, 0) == -1\n",
        sandbox,
    )
    stops_the_first_process = "import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == -1"
    run_program(stops_the_first_process, sandbox=sandbox, limits=Limits(wall_seconds=0.5))  # returns
    assert run_program("pass", sandbox=sandbox).status == "ok"


def test_limits_cannot_be_raised(sandbox: Sandbox) -> None:
    holds(
        "import resource\n"
        "for name in ('CPU', 'AS', 'FSIZE', 'NPROC', 'NOFILE', 'CORE'):\n"
        "    limit = getattr(resource, 'RLIMIT_' + name)\n"
        "    hard = resource.getrlimit(limit)[1]\n"
        "    assert hard != resource.RLIM_INFINITY\n"
        "    try:\n        resource.setrlimit(limit, (hard + 1, hard + 1))\n"
        "    except (ValueError, OSError):\n        continue\n"
        "    raise AssertionError(name)\n",
        sandbox,
    )
