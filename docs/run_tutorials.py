"""Run tutorials and how-to pages, and write what their blocks print into the pages.

    python docs/run_tutorials.py docs/tutorials/1-cure-98-70.md ...

Blocks run in order, in one empty folder a page: `python` blocks in one namespace, lines of `console` blocks that begin
with `$ ` in a shell. A `text` block after a block is replaced by what that block printed.
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

#: what makes a page quick to test: fewer images, fewer recipes
SHORT = {"postcards:2400": "postcards:150", "size=4000": "size=400", "4000": "400"}


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
        shown = "" if output is None else f"\n```text\n{printed.rstrip()}\n```\n"
        return f"```{kind}\n{code}```\n{shown}"

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return BLOCK.sub(run, page)
        finally:
            os.chdir(before)


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
        page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
