"""The digest of the code: it follows what runs compute, and nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from balora.folders import CACHE_VARIABLE
from balora.training import code_digest as code
from balora.training.code_digest import code_fingerprint, tree_digest

SOURCE = b'''"""About the file."""

SCALE = 2.0
"""Of the answer."""


def answer(x: float, name: str = "x") -> float:
    """Twice x."""
    # doubled
    return SCALE * x
'''
SAME = {
    "comment": (b"    # doubled\n", b""),
    "docstring": (b'    """Twice x."""\n', b"    '''Two times x.'''\n"),
    "no docstring": (b'    """Twice x."""\n', b""),
    "attribute": (b'"""Of the answer."""', b'"""Of what is said."""'),
    "module": (b"About the file.", b"What the file says."),
    "layout": (b'(x: float, name: str = "x")', b"(\n    x: float,\n    name: str = 'x',\n)"),
}
OTHER = {
    "number": (b"SCALE = 2.0", b"SCALE = 2.5"),
    "type of a number": (b"SCALE = 2.0", b"SCALE = 2"),
    "operator": (b"SCALE * x", b"SCALE + x"),
    "order": (b"SCALE * x", b"x * SCALE"),
    "string": (b'"x")', b'"y")'),
    "name": (b"def answer", b"def reply"),
}


def digest(change=(b"", b""), name="maths/a.py"):
    assert change[0] in SOURCE
    return tree_digest({name: SOURCE.replace(*change)})


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_how_it_is_written_does_not_count(change):
    assert digest(change) == digest()


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_it_computes_counts(change):
    assert digest(change) != digest()


def test_names_count_and_the_order_of_reading_does_not():
    two = {"maths/a.py": SOURCE, "tasks/b.py": b"x = 1"}
    assert tree_digest(two) == tree_digest(dict(reversed(two.items())))
    assert tree_digest({"maths/a.py": b"x = 1", "tasks/b.py": SOURCE}) != tree_digest(two)
    assert digest(name="maths/b.py") != digest()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of balora whose fingerprint is taken, as if in a process of its own, with an empty cache."""
    copy = tmp_path / "balora"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "models"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return copy


def taken():
    return code_fingerprint.__wrapped__()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_it_follows_the_rooms_that_decide_numbers_wherever_they_lie(package):
    first = taken()
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert first == code_fingerprint()  # the package itself, at another place and with other times
    for path in package.rglob("*.py"):
        if path.name not in ("consistency.py", "wording.py"):
            path.unlink()  # parsing all of it again and again would take seconds
    first = taken()
    edit(package / "maths" / "consistency.py", "temperature**2", "temperature**3")
    changed = taken()
    assert changed != first
    edit(package / "maths" / "consistency.py", "temperature**3", "temperature**2")
    edit(package / "maths" / "consistency.py", "    return ", "    # as published\n    return ")
    assert taken() == first
    edit(
        package / "report" / "records" / "wording.py",
        '"""',
        '"""Changed. ',
    )
    (package / "report" / "new.py").write_text("x = 1\n")
    assert taken() == first
    for room in ("maths", "objective", "adapters", "tasks", "tasks/testbed", "training"):
        (package / room / "new.py").write_text("x = 1\n")
        assert taken() != first
        (package / room / "new.py").unlink()


def test_it_is_parsed_once_and_kept_by_the_bytes_of_the_files(package, tmp_path, monkeypatch):
    first = taken()
    (kept,) = (tmp_path / "cache" / "code").iterdir()
    assert kept.read_text()[:64] == first
    monkeypatch.setattr(code, "tree_digest", None)
    assert taken() == first


WRONG_ENTRIES = {
    "torn": lambda entry: entry[:40],
    "empty": lambda entry: "",
    "any 64 characters": lambda entry: "0" * 64,
    "a digest alone, as older versions wrote": lambda entry: entry[:64],
    "one character of the digest": lambda entry: ("0" if entry[0] != "0" else "1") + entry[1:],
    "one character of the checksum": lambda entry: entry[:70] + ("0" if entry[70] != "0" else "1") + entry[71:],
    "an entry for other files": lambda entry: code._entry("0" * 64, entry[:64]),
    "something behind": lambda entry: entry + "x",
    "no text": lambda entry: "\udcff",
    "endless": lambda entry: entry * 1000,
}


@pytest.mark.parametrize("change", WRONG_ENTRIES.values(), ids=WRONG_ENTRIES)
def test_a_cached_entry_that_does_not_agree_with_its_checksum_is_made_anew(tmp_path, monkeypatch, change):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(code, "tree_digest", lambda files: "5" * 64)
    assert taken() == "5" * 64
    (kept,) = (tmp_path / "code").iterdir()
    sound = kept.read_text()
    kept.write_bytes(change(sound).encode("utf-8", "surrogateescape"))
    assert taken() == "5" * 64
    assert kept.read_text() == sound


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_cached_entry_that_is_no_file_is_not_waited_for(tmp_path, monkeypatch, make):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(code, "tree_digest", lambda files: "5" * 64)
    taken()
    (kept,) = (tmp_path / "code").iterdir()
    kept.unlink()
    make(kept)
    assert taken() == "5" * 64


def test_a_cache_that_cannot_be_written_is_done_without(package, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert taken() == taken()


def test_it_needs_neither_torch_nor_transformers():
    script = (
        "import sys; from balora.training.code_digest import code_fingerprint; print(code_fingerprint());"
        "print(sorted({'torch', 'transformers', 'numpy', 'peft'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.split("\n")[:2] == [code_fingerprint(), "[]"]


def test_the_walk_of_the_tree_is_fixed():
    """A change of the walk itself would make every record of a study one of other code: it should be meant."""
    words = ["Module", "body", "[", "Assign", "targets", "[", "Name", "id", "'x'", "ctx", "Store", "]"]
    words += ["value", "Constant", "value", "1", "]"]
    inner = hashlib.sha256("\n".join(words).encode()).hexdigest()
    assert tree_digest({"a.py": b"x = 1"}) == hashlib.sha256(f"a.py:{inner}".encode()).hexdigest()
