"""The documents say what the program does."""

import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest

import tagfit
from making import cure
from tagfit.cli.main import main
from tagfit.recipes import AUGMENTATIONS, LOSSES, RECIPES, SCHEDULES, Recipe, Training
from tagfit.records.data import Preprocessing
from tagfit.records.scores import METRICS, Target
from tagfit.search.candidates import ladder

ROOT = Path(__file__).parents[1]
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

SOURCE = ROOT / "src" / "tagfit"
ROOMS = [path.name for path in SOURCE.iterdir() if path.is_dir()]
#: what the path of a file or folder of ours looks like, and where it begins
PATHS = {r"(tests|benchmarks|docs|src)/[\w/.]+": ROOT, rf"({'|'.join(ROOMS)})/[\w/]+\.py": SOURCE}


_spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


@pytest.mark.parametrize("page", reference.PAGES, ids=lambda page: page.name)
def test_what_is_generated_is_what_the_program_says_now(page):
    text = page.read_text(encoding="utf-8")
    assert reference.PART.search(text)
    assert reference.written(text) == text, "run make reference"


def test_what_was_generated_before_is_replaced():
    page = "by hand\n<!-- generated: tagfit cache -->\nold\n<!-- end -->\nby hand\n"
    assert re.sub(r"(?s)-->\n\n## `tagfit cache`.*--clear.*\n\n<!--", "-->\nold\n<!--", reference.written(page)) == page


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_its_section(command):
    assert f"<!-- generated: tagfit {command} -->" in CLI


OPTIONS = sorted(
    {
        option
        for command in main.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_explained(option):
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", CLI)


def test_no_option_is_explained_that_is_not_there():
    explained = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", CLI))
    assert explained <= {*OPTIONS, "--help", "--version"}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_defined(metric):
    assert f"`{metric}`" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_recipe_in_the_documents_is_the_real_one():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.search(r"```toml\n(.*?)```", text, flags=re.DOTALL)[1]
    assert Recipe.from_dict(tomllib.loads(shown)) == RECIPES["dense-regularised"]
    assert all(f"`{name}`" in text for name in RECIPES)
    assert all(
        f"`{candidate.name}`" in text
        for candidate in ladder(Preprocessing("images", (64, 64, 3)), Target(), augmentation=True)
    )
    assert all(f"`{name}`" in text for name in (*SCHEDULES, *AUGMENTATIONS, *LOSSES))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"__pycache__"}))
def test_every_room_is_in_the_architecture(room):
    assert f"{room}/" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_files_and_modules_that_a_document_names_are_there(document):
    named = re.findall(r"`([\w./]+)`", document.read_text(encoding="utf-8"))
    for pattern, root in PATHS.items():
        for name in filter(re.compile(pattern).fullmatch, named):
            assert (root / name).exists() or (root / f"{name}.py").exists(), name
    for name in filter(re.compile(r"tagfit(\.\w+)+(?<!json)").fullmatch, named):
        assert pkgutil.resolve_name(name), name


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for requirement in (requirement for group in groups for requirement in group):
        name = re.match(r"[\w-]+", requirement)[0]
        assert f"| {name} |" in architecture, f"docs/architecture.md does not say why {name} is there"


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    """The ten lines, with a training that is cut short so that the test is quick."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    short = replace(RECIPES["dense-baseline"], training=Training(epochs=2))
    monkeypatch.setattr(tagfit, "cure", partial(cure, candidates=(), baseline=short))
    exec(compile(code, "README.md", "exec"), {})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documents as `make docs` builds them; a broken link fails."""
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True)
    assert built.returncode == 0, built.stderr.decode()
    return folder


def test_the_site_asks_for_nothing_from_elsewhere(site):
    loads = re.compile(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']?(https?:)?//[^>]*>""")
    for page in site.rglob("*.html"):
        found = [match[0] for match in loads.finditer(page.read_text(encoding="utf-8")) if "canonical" not in match[0]]
        assert not found, (page.name, found)


def test_the_reference_shows_every_public_name(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    for name in set(tagfit.__all__) - {"__version__", "TagfitError"}:
        assert re.search(rf'id="tagfit\.[\w.]*\b{name}"', text), name
    assert "{options}" not in text


def test_the_python_guide_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """All its Python blocks, in one session, with trainings that are cut short so that the test is quick."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    short = replace(RECIPES["dense-baseline"], training=Training(epochs=2))
    monkeypatch.setattr(tagfit, "cure", partial(cure, candidates=(), baseline=short))
    exec(compile("\n".join(blocks), "python.md", "exec"), {})
    assert (tmp_path / "run" / "result.json").exists()
