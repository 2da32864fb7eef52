"""What every reader and every error line stands on: regular files within a size, texts that only show themselves."""

import os
import socket
from pathlib import Path

import pytest
from refusals import contents, nothing_written

from balora.errors import printable, shortened, shown, unknown_name
from balora.regular_files import open_regular, read_regular, read_regular_text

LIMIT = 64


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "file")
    return folder / "file"


def directory(folder: Path) -> Path:
    (folder / "file").mkdir()
    return folder / "file"


def unix_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path may have 108 bytes
        try:
            listener.bind("file")
        finally:
            os.chdir(here)
    return folder / "file"


def large(folder: Path) -> Path:
    (folder / "file").write_bytes(b"x" * (LIMIT + 1))
    return folder / "file"


def endless(folder: Path) -> Path:
    return Path("/dev/zero")


def linked_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    (folder / "file").symlink_to("pipe")
    return folder / "file"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (fifo, "no regular file"),
        (directory, "it is a folder"),
        (unix_socket, "no regular file"),
        (large, "larger than 64 bytes"),
        (endless, "no regular file"),
        (linked_fifo, "no regular file"),
    ],
)
def test_only_a_regular_file_within_the_limit_is_read(make, reason: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=reason):
        read_regular(make(tmp_path), LIMIT)


def test_a_file_of_exactly_the_limit_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * LIMIT)
    assert read_regular(tmp_path / "file", LIMIT) == b"x" * LIMIT


def test_a_link_is_followed_where_it_may_be_and_refused_where_not(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("text\r\n")
    (tmp_path / "file").symlink_to("target")
    assert read_regular_text(tmp_path / "file", LIMIT) == "text\r\n"
    with nothing_written(tmp_path), pytest.raises(OSError, match="it is a symbolic link"):
        open_regular(tmp_path / "file", os.O_RDWR | os.O_CREAT, links=False)


def test_a_file_that_is_not_utf8_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"caf\xe9")
    with pytest.raises(OSError, match="not UTF-8"):
        read_regular_text(tmp_path / "file", LIMIT)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\x00b", "a\\x00b"),
        ("a\nb", "a\\nb"),
        ("a\x9bb", "a\\x9bb"),
        ("abc\u202edef", "abc\\u202edef"),
        ("a\u2028b", "a\\u2028b"),
        ("half \ud83d", "half \\ud83d"),
        ("bad \udce9 byte", "bad \\udce9 byte"),
        ("café 模型 🙂", "café 模型 🙂"),
    ],
)
def test_characters_that_act_are_escaped_and_others_stay(text: str, escaped: str) -> None:
    assert printable(text) == escaped


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        10**5000,
        list(range(10**5)),
        {str(i): "x" * 1000 for i in range(1000)},
        b"\x00" * 10**6,
        "\x1b" * 1000,
        float("nan"),
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_shown_value_is_short_and_on_one_line(value: object) -> None:
    assert len(shown(value)) < 300
    assert shown(value).isprintable()


def test_a_value_that_holds_itself_can_be_shown() -> None:
    value: list[object] = []
    value.append({"self": value})
    assert len(shown(value)) < 300


def test_the_middle_of_a_long_text_is_left_out_with_its_length() -> None:
    assert shortened("a" * 150 + "b" * 700 + "c" * 50) == "a" * 150 + "… (700 more characters) …" + "c" * 50
    assert shortened("a" * 200) == "a" * 200


def test_an_unknown_name_of_any_length_gives_a_short_text() -> None:
    assert len(unknown_name("key", "k" * 10**5, ["rank", "alpha"])) < 400


def test_contents_sees_links_and_special_files(tmp_path: Path) -> None:
    fifo(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    assert sorted(contents(tmp_path).values()) == ["folder", "link to nowhere", "special"]
