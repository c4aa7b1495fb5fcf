"""Who may import whom: a room imports only the rooms that stand above it here."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tagfit"

#: from the ground up, as docs/architecture.md lists them
ROOMS = (
    "__init__",
    "errors",
    "io",
    "recipes",
    "options",
    "records",
    "images",
    "data",
    "metrics",
    "decisions",
    "models",
    "training",
    "search",
    "bundle",
    "inference",
    "diagnosis",
    "runs",
    "labels",
    "report",
    "serve",
    "cluster",
    "api",
    "estimator",
    "trackers",
    "cli",
    "__main__",
)
MAY_IMPORT_TORCH = {"models", "training", "bundle", "inference", "runs", "cluster"}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: Path) -> set[str]:
    """Modules that a file imports, wherever in it, for types as well."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_room_has_its_place():
    there = {file.relative_to(SOURCE).parts[0].removesuffix(".py") for file in FILES}
    assert there == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_imports_only_what_stands_above_its_room(file):
    own = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if own == "__init__":
        return  # the lazy public names
    ours = {room(module) for module in imports(file) if module.startswith("tagfit.")} - {"__version__"}
    assert ours <= set(ROOMS[: ROOMS.index(own) + 1])
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
