"""Pages run: tutorials on less data, how-to pages and those of checks as they are; notebooks are their tutorials."""

import re
from pathlib import Path

import nbformat
import pytest

import make_notebooks
import run_tutorials
from making import PROVE
from tagfit.diagnosis.registry import CHECKS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "tutorials").glob("[0-9]*.md"))
CHECK_PAGES = sorted((DOCS / "checks").glob("TAG*.md"))
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))


def shorter(code):
    for long, short in {} if PROVE else run_tutorials.SHORT.items():
        code = code.replace(long, short)
    return code


def as_read(page):
    """The page's text or, where it is a notebook too, that of the notebook's cells."""
    if page.stem in make_notebooks.TUTORIALS:
        return make_notebooks.page(nbformat.read(make_notebooks.notebook_of(page.stem), 4))
    return page.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray leaves files open
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs(page):
    text = as_read(page)
    if run_tutorials.lacks_backbones(text):
        pytest.skip(f"needs the real backbones at {run_tutorials.BACKBONES}")
    written = run_tutorials.rewritten(text, shorter)
    assert len(run_tutorials.BLOCK.findall(written)) == len(run_tutorials.BLOCK.findall(text)) >= 3


@pytest.mark.parametrize("tutorial", make_notebooks.TUTORIALS)
def test_a_notebook_is_what_its_page_gives(tutorial):
    page = make_notebooks.page_of(tutorial).read_text(encoding="utf-8")
    made = nbformat.read(make_notebooks.notebook_of(tutorial), 4)
    nbformat.validate(made)
    assert made == make_notebooks.notebook(page), "make tutorials writes it again"
    assert make_notebooks.page(made) == page


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_runs_and_is_short(page):
    text = page.read_text(encoding="utf-8")
    assert run_tutorials.BLOCK.findall(run_tutorials.rewritten(text))
    assert len(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).split()) <= 300


def findings(page):
    """What blocks print of findings of the page's own check, line breaks aside."""
    printed = " ".join(" ".join(re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)).split())
    return re.findall(rf"\d\. ([^\[\]]+) \[{page.stem}\]", printed)


@pytest.mark.parametrize("page", CHECK_PAGES, ids=lambda page: page.stem)
def test_the_planted_fault_on_the_page_of_a_check_is_found(page, tmp_path):
    again = tmp_path / page.name
    again.write_text(run_tutorials.rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
    assert findings(page)
    assert findings(again) == findings(page), "run make tutorials"


def test_every_check_has_its_page():
    assert [page.stem for page in CHECK_PAGES] == sorted(check.code for check in CHECKS.values())
    for page, (name, check) in zip(CHECK_PAGES, sorted(CHECKS.items(), key=lambda one: one[1].code), strict=True):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {check.code}: {check.title}\n")
        for part in ("## What to do", "## How it is found", "## How often it is wrong", f"`--ignore {name}`"):
            assert part in text


def test_a_page_leaves_the_environment_as_it_is(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run_tutorials.rewritten("```python\nimport os\n\nos.environ['RAY_ADDRESS'] = 'x'\n```\n")
    assert "RAY_ADDRESS" not in run_tutorials.os.environ


def test_what_fails_is_told():
    with pytest.raises(RuntimeError, match="there is no command 'nothing'"):
        run_tutorials.rewritten("```console\n$ tagfit nothing\n```\n")


def test_what_a_block_prints_replaces_the_text_after_it():
    page = "```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n"
    assert run_tutorials.rewritten(page) == page.replace("\n1\n", "\n2\n")
