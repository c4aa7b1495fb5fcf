"""What the tests of sources share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tagfit.errors import DataError

Folder = Callable[..., Path]
Faults = Callable[..., tuple[str, ...]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder of files with the given text or bytes; names that end in .jpg become empty images."""

    def make(*images: str, **files: str | bytes) -> Path:
        for name in images:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, content in files.items():
            path = tmp_path / name.replace("__", "-").replace("_", ".")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return make


@pytest.fixture
def faults() -> Faults:
    """The faults that a call raises."""

    def of(call: Callable[..., object], *args: object, **kwargs: object) -> tuple[str, ...]:
        with pytest.raises(DataError) as caught:
            call(*args, **kwargs)
        return (*caught.value.faults, caught.value.todo)

    return of
