"""Who may import whom: data flows one way, imports point down."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tagfit"

RECORDS = {"errors", "form", "recipes", "records"}
BELOW = RECORDS | {"data", "pictures", "scoring", "models", "training"}
MAY_IMPORT = {
    "errors": set(),
    "form": set(),
    "recipes": {"errors"},
    "records": {"errors", "form", "recipes"},
    "data": RECORDS | {"pictures"},
    "pictures": RECORDS,
    "scoring": RECORDS,
    "models": RECORDS,
    "training": RECORDS | {"models"},
    "curing": RECORDS | {"scoring"},
    "diagnosing": RECORDS | {"scoring", "pictures", "data"},
    "report": RECORDS | {"scoring"},
    "delivery": BELOW,
    "result": BELOW | {"curing", "report", "delivery"},
    "trainer": BELOW | {"curing"},
    "cluster": BELOW | {"curing", "delivery", "trainer"},
    "reporting": RECORDS | {"report", "delivery"},
    "session": BELOW | {"curing", "diagnosing", "report", "delivery", "reporting", "result", "trainer", "cluster"},
    "campaign": BELOW | {"curing", "result", "session"},
    "workflow": BELOW | {"curing", "report", "delivery", "result", "session", "campaign", "cluster"},
    "evaluation": BELOW | {"report", "delivery", "workflow"},
    "diagnosis": BELOW | {"diagnosing", "delivery", "session", "workflow"},
    "estimator": BELOW | {"delivery", "workflow"},
    "serve": RECORDS | {"pictures", "delivery"},
    "progress": RECORDS | {"pictures", "training"},
    "trackers": RECORDS | {"training", "delivery", "result"},
    "cli": BELOW
    | {
        "curing",
        "report",
        "delivery",
        "result",
        "reporting",
        "workflow",
        "evaluation",
        "diagnosis",
        "cluster",
        "serve",
        "trackers",
        "progress",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
MAY_IMPORT_TORCH = {"models", "training", "delivery", "result", "trainer", "session", "cluster"}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: Path) -> set[str]:
    """Modules that a file imports at run time, wherever in it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_room_may(file):
    relative = file.relative_to(SOURCE)
    own = relative.parts[0].removesuffix(".py")
    ours = {room(module) for module in imports(file) if module.startswith("tagfit.")}
    ours -= {own, "__version__"}
    assert ours <= MAY_IMPORT[own], f"{own} may import {sorted(MAY_IMPORT[own])}"
    if own not in MAY_IMPORT_TORCH:
        assert not {module for module in imports(file) if module.split(".")[0] == "torch"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_names_come_from_the_module_that_defines_them(file):
    packages = {".".join(("tagfit", *init.parent.relative_to(SOURCE).parts)) for init in SOURCE.rglob("__init__.py")}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in packages:
            folder = SOURCE.joinpath(*node.module.split(".")[1:])
            for alias in node.names:
                is_module = (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
                assert is_module, f"{node.module} is a package; import {alias.name} from where it is defined"


def test_there_is_no_utils():
    assert not [file for file in FILES if file.stem in {"utils", "helpers", "common", "misc"}]
