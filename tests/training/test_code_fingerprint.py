"""The digest of the code: it follows what runs compute, and nothing else."""

import hashlib
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
    assert kept.read_text() == first
    with monkeypatch.context() as patch:
        patch.setattr(code, "tree_digest", None)
        assert taken() == first
    kept.write_text("torn")
    assert taken() == first
    assert kept.read_text() == first


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
