"""The tree is the architecture: imports point one way, without cycles, and files stay short; the guard is proven."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "balora"
MOST_LINES = 250

GROUND = {"errors", "settings", "folders"}
MAY_IMPORT = {
    "errors": set(),
    "settings": {"errors"},
    "folders": {"errors"},
    "doctor": {"errors"},
    "maths": {"errors"},
    "objective": GROUND | {"maths"},
    "adapters": GROUND | {"maths"},
    "tasks": GROUND,
    "training": GROUND | {"maths", "objective", "adapters", "tasks"},
    "study": GROUND | {"maths", "objective", "adapters", "tasks", "training"},
    "report": GROUND | {"objective", "adapters", "tasks", "training", "study"},
    "cli": GROUND | {"doctor", "objective", "adapters", "tasks", "training", "study", "report"},
}
"""What each room may import besides itself."""


def faults(source: Path) -> list[str]:
    """Return every breach of the rules in the package at ``source``, as `file: what`."""
    files = {_name(path, source): path for path in sorted(source.rglob("*.py"))}
    graph = {name: sorted(_imports(path, files)) for name, path in files.items()}
    found = [f"{name}: {fault}" for name, targets in graph.items() for fault in _wrong_way(name, targets)]
    found += [f"{' -> '.join(cycle)}: cycle" for cycle in dict.fromkeys(_cycles(graph))]
    for name, path in files.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        found += [f"{name}: {lines} lines, at most {MOST_LINES}"] if lines > MOST_LINES else []
    return found


def _name(path: Path, source: Path) -> str:
    parts = path.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """Yield every balora module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "balora")
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "balora"  # relative imports hide where they point; reported like an import of the root
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "balora":
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in files else str(node.module) for name in full)


def _wrong_way(name: str, targets: list[str]) -> Iterator[str]:
    if name == "balora":
        return  # the map of the API, which imports at first use
    room = name.split(".")[1]
    for target in targets:
        there = target.split(".")[1] if "." in target else "the root"
        if there != room and there not in MAY_IMPORT.get(room, set()):
            yield f"imports {target}, which {room} may not"


def _cycles(graph: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Yield every cycle that a depth-first walk runs into, once."""
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if name in trail:
            yield (*trail[trail.index(name) :], name)
        elif name not in done:
            for target in graph.get(name, []):
                if target != name:
                    yield from visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        if name != "balora":
            yield from visit(name, ())


def test_imports_point_one_way_and_files_are_short() -> None:
    assert faults(SOURCE) == []


def test_every_room_is_in_the_map() -> None:
    rooms = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(MAY_IMPORT)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package that keeps the rules."""
    source = tmp_path / "balora"
    for room in ("maths", "training", "cli"):
        (source / room).mkdir(parents=True)
        (source / room / "__init__.py").write_text('"""A room."""\n')
    (source / "__init__.py").write_text("def late():\n    from balora.training import run\n    return run\n")
    (source / "errors.py").write_text("import ast\n")
    (source / "maths" / "norm.py").write_text("from balora.errors import Wrong\n")
    (source / "training" / "run.py").write_text("from balora.maths import norm\nimport balora.maths.norm\n")
    return source


def test_a_tree_that_keeps_the_rules_passes(tree: Path) -> None:
    assert faults(tree) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("maths/norm.py", "from balora.training.run import run\n", "balora.maths.norm: imports balora.training.run"),
        ("maths/norm.py", "def f():\n    import balora.cli\n", "balora.maths.norm: imports balora.cli"),
        ("maths/norm.py", "from balora import attach\n", "balora.maths.norm: imports balora, which"),
        ("training/run.py", "from ..maths import norm\n", "balora.training.run: imports balora, which"),
        ("errors.py", "from balora.maths.norm import x\n", "balora.errors: imports balora.maths.norm"),
        ("training/long.py", "x = 1\n" * (MOST_LINES + 1), f"balora.training.long: {MOST_LINES + 1} lines"),
        ("rogue/__init__.py", "import balora.maths\n", "balora.rogue: imports balora.maths"),
    ],
)
def test_the_guard_sees_each_breach(tree: Path, file: str, text: str, fault: str) -> None:
    (tree / file).parent.mkdir(exist_ok=True)
    (tree / file).write_text(text)
    assert any(line.startswith(fault) for line in faults(tree)), faults(tree)


def test_the_guard_sees_cycles_inside_a_room(tree: Path) -> None:
    (tree / "maths" / "a.py").write_text("def f():\n    from balora.maths.b import g\n")
    (tree / "maths" / "b.py").write_text("from balora.maths import norm\n")
    (tree / "maths" / "norm.py").write_text("from balora.maths.a import f\n")
    assert [line for line in faults(tree) if "cycle" in line] == [
        "balora.maths.a -> balora.maths.b -> balora.maths.norm -> balora.maths.a: cycle"
    ]
