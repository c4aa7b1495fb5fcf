"""Images decoded on a Ray cluster, in tasks of one CPU; the cache is written where the command runs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from tagfit.cluster.connection import demand_version, told, version
from tagfit.images.workers import Decode, DecodeOutcome, Decoders, Source, Wanted
from tagfit.records.form import ImageForm

#: images of one task
AT_ONCE = 64

#: tasks that are sent ahead, for each CPU
AHEAD = 2

#: of this process, a worker: what decodes, which stays for the next task
_DECODERS: dict[tuple[ImageForm, int], Decoders] = {}


def decoding(ray: Any) -> Decode:
    """What decodes on the cluster, as `images.decoder.decoded` does here: the same outcomes, as they come."""

    def decoded(
        sources: Iterable[Source], form: ImageForm, max_pixels: int, wanted: Wanted = lambda digest: True
    ) -> Generator[tuple[int, DecodeOutcome]]:
        remote = ray.remote(_decoded).options(num_cpus=1)
        numbered = enumerate(sources)
        coming = iter(lambda: list(islice(numbered, AT_ONCE)), [])
        running: dict[Any, tuple[int, ...]] = {}
        while True:
            room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(running)
            for chunk in islice(coming, max(0, room)):
                numbers, given = zip(*chunk, strict=True)
                running[remote.remote([_anywhere(one) for one in given], form, max_pixels, version())] = numbers
            if not running:
                return
            (ended,), _ = ray.wait(list(running))
            numbers = running.pop(ended)
            try:
                outcomes = ray.get(ended)
            except ray.exceptions.RayError as error:
                raise told(error, "the cluster could not decode images") from error
            for number, outcome in zip(numbers, outcomes, strict=True):
                known = outcome.pixels is not None and not wanted(outcome.digest)
                yield number, replace(outcome, pixels=None) if known else outcome

    return decoded


def _anywhere(source: Source) -> Source:
    """A path that does not depend on the folder one works in."""
    return source.absolute() if isinstance(source, Path) else source


def _decoded(
    sources: Sequence[Source], form: ImageForm, max_pixels: int, expected: tuple[str, str]
) -> list[DecodeOutcome]:
    """On a worker: the outcome of each, hashed."""
    demand_version(expected)
    if (form, max_pixels) not in _DECODERS:
        _DECODERS[form, max_pixels] = Decoders(form, max_pixels, processes=1)
    outcomes = dict(_DECODERS[form, max_pixels].decoded(sources, lambda digest: True))
    return [outcomes[number] for number in range(len(sources))]
