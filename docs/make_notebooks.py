"""Make notebooks of tutorials: their text, their blocks as cells, and what the blocks printed.

python docs/make_notebooks.py
"""

from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from run_tutorials import BLOCK

DOCS = Path(__file__).parent

#: the tutorials that are notebooks, too
TUTORIALS = ("1-cure-98-70", "3-start-from-a-backbone", "5-decide-for-what-matters")


def page_of(tutorial: str) -> Path:
    return DOCS / "tutorials" / f"{tutorial}.md"


def notebook_of(tutorial: str) -> Path:
    return DOCS / "notebooks" / f"{tutorial}.ipynb"


def notebook(page: str) -> NotebookNode:
    """The page as a notebook, commands behind an exclamation mark."""
    cells, told = [], 0
    for block in BLOCK.finditer(page):
        cells += [_text(page[told : block.start()]), _code(*block.groups())]
        told = block.end()
    cells = [cell for cell in [*cells, _text(page[told:])] if cell.source]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # at random otherwise, so that no two notebooks were the same
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _text(markdown: str) -> NotebookNode:
    return v4.new_markdown_cell(markdown.strip())


def _code(kind: str, code: str, output: str | None) -> NotebookNode:
    source = code.rstrip("\n")
    if kind == "console":
        source = "\n".join(f"!{line[2:]}" for line in source.splitlines())
    printed = output and output.strip().removeprefix("```text\n").removesuffix("```")
    return v4.new_code_cell(source, outputs=[v4.new_output("stream", text=printed)] if printed else [])


def page(made: NotebookNode) -> str:
    """The page that gives this notebook."""
    return "\n\n".join(map(_block, made.cells)) + "\n"


def _block(cell: NotebookNode) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source)
    shown = "".join(f"\n\n```text\n{output.text}```" for output in cell.outputs)
    if cell.source.startswith("!"):
        commands = "\n".join(f"$ {line[1:]}" for line in cell.source.splitlines())
        return f"```console\n{commands}\n```{shown}"
    return f"```python\n{cell.source}\n```{shown}"


def main() -> None:
    for tutorial in TUTORIALS:
        notebook_of(tutorial).parent.mkdir(exist_ok=True)
        nbformat.write(notebook(page_of(tutorial).read_text(encoding="utf-8")), notebook_of(tutorial))


if __name__ == "__main__":
    main()
