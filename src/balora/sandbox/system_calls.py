"""Write the filter of system calls for bubblewrap: refuse those that hold memory outside every limit, or reach keys.

The limits of a program bound the memory of its processes and its files. Shared memory of System V and nameless files
in memory (`memfd_create`) belong to neither: three programs could fill the machine with them. The keys of the kernel
(`keyctl`) belong to the user, inside a sandbox too. The rest of the list is of no use to programs, and large parts of
the kernel stand behind it. A refused call fails with "Operation not permitted".
"""

import platform
import struct

REFUSED = {
    "x86_64": (0xC000003E, {
        "shmget": 29, "semget": 64, "msgget": 68, "add_key": 248, "request_key": 249, "keyctl": 250,
        "perf_event_open": 298, "memfd_create": 319, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "memfd_secret": 447,
    }),
    "aarch64": (0xC00000B7, {
        "shmget": 194, "semget": 190, "msgget": 186, "add_key": 217, "request_key": 218, "keyctl": 219,
        "perf_event_open": 241, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
        "memfd_secret": 447,
    }),
}  # fmt: skip
"""By machine: the number of its architecture (linux/audit.h), and the numbers of the refused calls."""
FIRST_FOREIGN = 0x40000000
"""Numbers from here on are those of x32, a second way to call everything on x86_64; no machine has others there."""
ALLOW, REFUSE = 0x7FFF0000, 0x00050001
"""SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM."""
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
"""Instructions of the kernel's filters (linux/bpf_common.h): a word, jumps on A == k and on A >= k, the verdict."""
NUMBER, ARCHITECTURE = 0, 4
"""Where a call's number and its architecture stand in `struct seccomp_data`."""


def refusing_filter(machine: str = "") -> bytes:
    """Return the filter for a kind of machine (empty: this one); nothing where its numbers are not known."""
    known = REFUSED.get(machine or platform.machine())
    if known is None:
        return b""
    architecture, calls = known
    tests = [(EQUAL, number) for number in calls.values()] + [(AT_LEAST, FIRST_FOREIGN)]
    words = [_word(LOAD, ARCHITECTURE), _word(EQUAL, architecture, no=len(tests) + 2), _word(LOAD, NUMBER)]
    words += [_word(code, number, yes=len(tests) - place) for place, (code, number) in enumerate(tests)]
    return b"".join([*words, _word(RETURN, ALLOW), _word(RETURN, REFUSE)])


def _word(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """Return one `struct sock_filter`: how many instructions are skipped if a test holds, or if it does not."""
    return struct.pack("=HBBI", code, yes, no, value)
