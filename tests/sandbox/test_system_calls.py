"""The filter of system calls, by an interpreter of the kernel's instructions written from its documentation."""

import struct

import pytest

from balora.sandbox.system_calls import REFUSED, refusing_filter

ALLOWED, NOT_PERMITTED = 0x7FFF0000, 0x00050000 + 1
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7


def verdict(code: bytes, number: int, architecture: int) -> int:
    """Run a filter on one call, as the kernel does; it fails on an instruction that is not needed here."""
    words, data = list(struct.iter_unpack("=HBBI", code)), {0: number, 4: architecture}
    place, register = 0, 0
    while True:
        operation, yes, no, value = words[place]
        place += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            register = data[value]
        else:
            holds = {0x15: register == value, 0x35: register >= value}[operation]
            place += yes if holds else no


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", X86_64), ("aarch64", AARCH64)])
def test_exactly_the_listed_calls_are_refused(machine: str, architecture: int) -> None:
    code, listed = refusing_filter(machine), set(REFUSED[machine][1].values())
    refused = {number for number in range(1000) if verdict(code, number, architecture) != ALLOWED}
    assert refused == listed
    assert {verdict(code, number, architecture) for number in listed} == {NOT_PERMITTED}


def test_the_second_ways_to_call_the_kernel_are_closed() -> None:
    """As x32 and i386 the same calls have other numbers; a filter that forgets them is passed by."""
    code = refusing_filter("x86_64")
    assert verdict(code, 0x40000000 + 319, X86_64) == NOT_PERMITTED
    assert verdict(code, 356, I386) == NOT_PERMITTED  # memfd_create of i386


def test_a_machine_whose_numbers_are_not_known_has_no_filter() -> None:
    assert refusing_filter("riscv64") == b""
