"""How much memory may still be taken, asked before something large is made."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

#: where the system does not say
_USUAL = 16 << 30


#: limit, use and more about it, of a control group of either version
_GROUPS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def memory_fault(size: int, what: str) -> str:
    """What speaks against taking `size` bytes for `what`; nothing where they are free."""
    free = free_memory()
    return f"{what} takes {size:,} bytes of memory; {free:,} are free" if size > free else ""


def free_memory() -> int:
    """Bytes that this process may still take: of the machine and, in a container, of its share."""
    return min(_of_machine(), *map(_of_group, _GROUPS))


def _of_machine() -> int:
    with suppress(OSError):
        if found := re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii")):
            return int(found[1]) << 10
    with suppress(AttributeError, ValueError, OSError):  # all there is, where what is free is not said
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _USUAL


def _of_group(files: tuple[str, str, str]) -> int:
    """As good as any where there is no limit."""
    with suppress(OSError, ValueError):  # "max"
        limit, used, more = (Path("/sys/fs/cgroup", name).read_text(encoding="ascii") for name in files)
        of_files = map(int, re.findall(r"^(?:in)?active_file (\d+)", more, re.MULTILINE))  # given back when needed
        return max(0, int(limit) - int(used) + sum(of_files))
    return 1 << 62
