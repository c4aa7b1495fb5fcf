"""Run tutorials and how-to pages, and write what their blocks print into the pages.

    python docs/run_tutorials.py docs/tutorials/1-cure-98-70.md ...

Blocks run in order, in one empty folder a page: `python` blocks in one namespace, lines of `console` blocks that begin
with `$ ` in a shell. A `text` block after a block is replaced by what that block printed. If a page uses `backbones/`,
that is the folder of real backbones beside the project; without one the page is left as it is.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

BLOCK = re.compile(r"```(python|console)\n(.*?)```\n(\n```text\n.*?```\n)?", re.DOTALL)

#: pretrained networks beside the project
BACKBONES = Path(__file__).resolve().parents[2] / "shared" / "backbones"

#: what makes a page quick to test: fewer images, fewer recipes
SHORT = {
    "postcards:2400": "postcards:150",
    "postcards:200": "postcards:60",
    "folds=5": "folds=2",
    'recipe="cnn"': 'recipe="dense-regularised"',
    "postcards:1200": "postcards:100",
    "--val-at-least 0.7": "--trials 1",
    "--trials 8": "--trials 1",
    "size=(1000": "size=(300",
    "size=4000": "size=400",
    "4000": "400",
}


def uses_backbones(page: str) -> bool:
    return any('"backbones/' in code for _, code, _ in BLOCK.findall(page))


def lacks_backbones(page: str) -> bool:
    """Whether the page's blocks use real backbones, and there are none."""
    return uses_backbones(page) and not BACKBONES.is_dir()


def rewritten(page: str, change: Callable[[str], str] = lambda code: code) -> str:
    """The page with what its blocks print now.

    Args:
        change: of each block's code before it runs.

    Raises:
        RuntimeError: a command failed, with what it printed.
    """
    names: dict[str, object] = {"__name__": "tutorial"}

    def run(match: re.Match[str]) -> str:
        kind, code, output = match.groups()
        printed = _python(change(code), names) if kind == "python" else _console(change(code))
        printed = printed.replace(f"{Path.cwd()}/", "")
        shown = "" if output is None else f"\n```text\n{printed.rstrip()}\n```\n"
        return f"```{kind}\n{code}```\n{shown}"

    before, environment = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if uses_backbones(page):
            Path("backbones").symlink_to(BACKBONES)
        try:
            return BLOCK.sub(run, page)
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(environment)


def _python(code: str, names: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "tutorial", "exec"), names)
    return out.getvalue()


def _console(code: str) -> str:
    """What the commands print to stdout; 3 says that a target is not met, which is no failure."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = []
    for command in [line[2:] for line in code.splitlines() if line.startswith("$ ")]:
        ran = subprocess.run(
            command, shell=True, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path}
        )
        if ran.returncode not in (0, 3):
            raise RuntimeError(f"{command}\n{ran.stdout}{ran.stderr}")
        printed.append(ran.stdout)
    return "".join(printed)


def main() -> None:
    for page in map(Path, sys.argv[1:]):
        text = page.read_text(encoding="utf-8")
        if lacks_backbones(text):
            print(f"{page} is left as it is: there is no {BACKBONES}")
        else:
            page.write_text(rewritten(text), encoding="utf-8")


if __name__ == "__main__":
    main()
