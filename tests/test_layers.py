"""The tree is the architecture: imports point one way between rooms and storeys, without cycles; proven below."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "balora"
MOST_LINES = 400

GROUND = {"errors", "settings", "regular_files", "yaml_document", "processes", "folders", "progress"}
RUNS = {"sandbox", "judging", "maths", "objective", "adapters", "tasks", "measures", "training"}
MAY_IMPORT = {
    "errors": set(),
    "settings": {"errors"},
    "regular_files": set(),
    "yaml_document": {"errors", "settings", "regular_files"},
    "processes": set(),
    "folders": {"errors", "regular_files", "processes"},
    "progress": set(),
    "diagnosis": {"errors", "sandbox"},
    "maths": {"errors"},
    "objective": GROUND | {"maths"},
    "adapters": GROUND | {"maths"},
    "sandbox": {"errors", "settings"},
    "judging": GROUND,
    "tasks": GROUND | {"sandbox", "judging"},
    "training": GROUND | {"sandbox", "judging", "maths", "objective", "adapters", "tasks", "measures"},
    "harness": GROUND | RUNS,
    "measures": GROUND | {"tasks"},
    "statistics": set(),
    "study": set(),
    "study.design": GROUND | RUNS,
    "study.plan": GROUND | RUNS | {"statistics", "study.design"},
    "study.store": GROUND | RUNS | {"study.design", "study.plan"},
    "study.engine": GROUND | RUNS | {"statistics", "study.design", "study.plan", "study.store"},
    "importing": GROUND | RUNS | {"study.design"},
    "comparing": GROUND | RUNS | {"statistics", "study.design", "study.store", "report"},
    "report": GROUND | RUNS | {"statistics", "study.design", "study.store"}
    | {"report.records", "report.tables", "report.figures", "report.page"},
    "report.records": GROUND | RUNS | {"statistics", "study.design", "study.plan", "study.store"},
    "report.tables": GROUND | RUNS | {"statistics", "study.design", "report.records"},
    "report.figures": GROUND | RUNS | {"statistics", "report.records", "report.tables", "report"},
    "report.page": GROUND | {"report.records", "report.tables", "report.figures"},
    "report.watch": GROUND | RUNS | {"study.store", "study.engine", "statistics"}
    | {"report.records", "report.tables", "report.page"},
    "cli": GROUND | RUNS | {"sandbox", "diagnosis", "statistics", "study", "importing", "report", "harness"}
    | {"comparing"},
}  # fmt: skip
"""What each room, and each storey of a room that has storeys, may import besides itself. Naming another room allows all
of its storeys; naming one's own (`report` in `report.figures`) allows the files that stand in none."""


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


def _place(name: str) -> str:
    """Return the storey that module ``name`` stands in, or its room where that has no storeys."""
    parts = name.split(".")[1:] or ["the root"]
    storey = ".".join(parts[:2])
    return storey if storey in MAY_IMPORT else parts[0]


def _wrong_way(name: str, targets: list[str]) -> Iterator[str]:
    if name == "balora":
        return  # the map of the API, which imports at first use
    here = _place(name)
    for target in targets:
        there = _place(target)
        other_room = {there.split(".")[0]} - {here.split(".")[0]}
        if there != here and not ({there} | other_room) & MAY_IMPORT.get(here, set()):
            yield f"imports {target}, which {here} may not"


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
    places = {_place(_name(path, SOURCE)) for path in SOURCE.rglob("*.py")} - {"the root"}
    storeys = {
        f"{room}.{path.name}" for room in ("study", "report") for path in (SOURCE / room).iterdir() if path.is_dir()
    }
    assert places | {"study"} == set(MAY_IMPORT)
    assert {name for name in storeys if not name.endswith(("shipped", "__pycache__"))} <= set(MAY_IMPORT)


def test_contributing_shows_the_same_map() -> None:
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    groups = {name: re.findall(r"`(\w+)`", rooms) for name, rooms in re.findall(r"\*(\w+)\*\s+means\s+([^;]+);", text)}
    shown = {}
    for line in text.split("| room |")[1].split("\n\n")[0].splitlines()[2:]:
        room, _, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        words = allowed.split(", ") if allowed else []
        shown[room.strip("`")] = {name for word in words for name in groups.get(word, [word])}
    assert shown == MAY_IMPORT


def test_no_two_files_have_the_same_name() -> None:
    names = Counter(path.stem for path in SOURCE.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} == {"__init__", "config"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package that keeps the rules."""
    source = tmp_path / "balora"
    for room in ("maths", "training", "study/plan", "study/engine", "cli"):
        (source / room).mkdir(parents=True)
        (source / room / "__init__.py").write_text('"""A room."""\n')
    (source / "__init__.py").write_text("def late():\n    from balora.training import run\n    return run\n")
    (source / "errors.py").write_text("import ast\n")
    (source / "study" / "plan" / "plan.py").write_text("import balora.training.run\n")
    (source / "study" / "engine" / "pool.py").write_text("import balora.study.plan.plan\n")
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
        (
            "study/plan/plan.py",
            "import balora.study.engine.pool\n",
            "balora.study.plan.plan: imports balora.study.engine",
        ),
        ("importing/parts.py", "import balora.study.plan.plan\n", "balora.importing.parts: imports balora.study.plan"),
        ("statistics/paired.py", "import balora.errors\n", "balora.statistics.paired: imports balora.errors"),
    ],
)
def test_the_guard_sees_each_breach(tree: Path, file: str, text: str, fault: str) -> None:
    (tree / file).parent.mkdir(exist_ok=True, parents=True)
    (tree / file).write_text(text)
    assert any(line.startswith(fault) for line in faults(tree)), faults(tree)


def test_the_guard_sees_cycles_inside_a_room(tree: Path) -> None:
    (tree / "maths" / "a.py").write_text("def f():\n    from balora.maths.b import g\n")
    (tree / "maths" / "b.py").write_text("from balora.maths import norm\n")
    (tree / "maths" / "norm.py").write_text("from balora.maths.a import f\n")
    assert [line for line in faults(tree) if "cycle" in line] == [
        "balora.maths.a -> balora.maths.b -> balora.maths.norm -> balora.maths.a: cycle"
    ]
