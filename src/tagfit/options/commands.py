"""What only the command line has records of: `predict` to files, and `serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tagfit.options.checks import FRACTION, SWITCH, megapixels, number, place, several, text, whole
from tagfit.options.data import ReadKeywords, ReadOptions
from tagfit.options.option import Options, option
from tagfit.options.shared import device_option, on_option, seed_option


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """What `predict` writes, and where."""

    calibrated: bool = option(
        False, "Write calibrated probabilities instead of the network's raw scores.", SWITCH, "Labels"
    )
    explain: str | None = option(
        None,
        "Write heat maps to this new folder: which parts of each image speak for its labels.",
        place("DIR"),
        "Labels",
    )
    write_xmp: bool = option(False, "Add the labels to XMP sidecars beside the images.", SWITCH, "Labels")
    min_score: float | None = option(
        None, "With --write-xmp: write only labels with at least this score.", FRACTION, "Labels"
    )
    only_unlabelled: bool = option(
        False, "With --write-xmp: leave images alone that have a keyword already.", SWITCH, "Labels"
    )
    undo: bool = option(
        False, "With --write-xmp: take back the keywords that tagfit wrote, and write none.", SWITCH, "Labels"
    )
    dry_run: bool = option(False, "With --write-xmp: print what would be added, and write nothing.", SWITCH, "Labels")
    output: str | None = option(
        None, "The .csv, .jsonl or .parquet file to write.", place("FILE"), "Output", usual="stdout", short="-o"
    )
    resume: bool = option(False, "Continue the -o file after an interruption.", SWITCH, "Output")
    json: bool = option(False, "Print the result as JSON, and nothing else.", SWITCH, "Output")
    on: str | None = on_option()

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        there = {option for option, value in given.items() if value}
        if "on" in there and ("output" not in there or there & {"explain", "write_xmp", "dry_run", "json"}):
            yield "--on writes a folder of parts: give -o, and neither --explain, --write-xmp nor --json"
        if {"json", "output"} <= there:
            yield "--json prints to stdout and -o writes a file: give one of them"
        if "dry_run" in there and ("write_xmp" not in there or there & {"output", "json"}):
            yield "--dry-run goes with --write-xmp, and with neither -o nor --json"
        if stray := sorted(there & {"min_score", "only_unlabelled", "undo"} if "write_xmp" not in there else ()):
            yield f"{', '.join(map(name, stray))}: only with --write-xmp"
        if "undo" in there and there & {"min_score", "only_unlabelled", "output", "json", "explain", "calibrated"}:
            yield "--undo goes with --write-xmp and --dry-run alone: it predicts nothing"
        if "explain" in there and there & {"resume", "dry_run"}:
            yield "--explain goes with neither --resume nor --dry-run"
        if "resume" in there and "output" not in there:
            yield "--resume continues a file: name it with -o"


@dataclass(frozen=True, kw_only=True)
class SuggestOptions(ReadOptions):
    """How data is read, and how much of it is suggested to be labelled next."""

    count: int = option(50, "How many samples to suggest.", whole(1), "Labels", short="-n")
    seed: int = seed_option("Draw the random share differently.")


class SuggestKeywords(ReadKeywords, total=False):
    """`SuggestOptions` as keyword arguments."""

    count: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class ListenOptions(Options):
    """Where a server listens, and who may ask."""

    host: str = option(
        "127.0.0.1",
        "The address to listen on. Any address other than this machine's own needs --token-file.",
        text("ADDRESS"),
        "Server",
    )
    port: int = option(8000, "The port to listen on; 0 picks a free one.", whole(0, 65535), "Server")
    token_file: str | None = option(
        None,
        "The file that holds the token. Each request must send it as Authorization: Bearer TOKEN.",
        place("FILE"),
        "Server",
    )
    allow_host: Sequence[str] = option(
        (),
        "Another host name that clients use for this server. Repeat it for each name.",
        several("NAME"),
        "Server",
        several=True,
    )


@dataclass(frozen=True, kw_only=True)
class ReviewOptions(SuggestOptions, ListenOptions):
    """How data is read, what is asked about it, and where the page is."""

    count: int = option(200, "How many samples to suggest for labelling.", whole(1), "Labels", short="-n")
    output: str | None = option(
        None,
        "The file that your decisions are appended to.",
        place("FILE"),
        "Output",
        usual="corrections.jsonl, for a run in the folder that holds it",
        short="-o",
    )


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ListenOptions):
    """Where a server listens, and what one request may ask for."""

    device: str = device_option("Server")
    max_megabytes: int = option(32, "The largest request, in megabytes.", whole(1, 1024), "Limits")
    max_pixels: int = option(
        100_000_000,
        "The largest image, in megapixels.",
        whole(1),
        "Limits",
        flag="--max-megapixels",
        typed=megapixels(),
    )
    max_images: int = option(64, "The most images in one request.", whole(1, 1024), "Limits")
    max_seconds: float = option(
        30.0, "The most seconds that a request may take.", number("a number from 0.1 to 3600", 0.1, 3600), "Limits"
    )
    queue: int = option(256, "The most images that may wait; further requests are refused.", whole(1), "Limits")
