"""The command line, thin over `api`. Results go to stdout; progress and messages go to stderr.

Exit codes: 0 done, 1 the job failed, 2 bad usage or bad input, 3 `cure` finished and the target was not met,
130, 143 and 129 stopped by ctrl-C, SIGTERM and SIGHUP with what it had reached written.
"""

from __future__ import annotations

import click

import tagfit
from tagfit.cli.command import CommandGroup
from tagfit.cli.folder import cache, report
from tagfit.cli.labels import labels, review, suggest
from tagfit.cli.look import diagnose, inspect
from tagfit.cli.predict import predict
from tagfit.cli.train import cure, demo, fit
from tagfit.cli.use import evaluate, export, serve

_SECTIONS = {
    "Look at data": (inspect, diagnose, labels, suggest, review),
    "Train": (demo, cure, fit),
    "Judge a model": (evaluate, report),
    "Use a model": (predict, export, serve),
    "Disk": (cache,),
}


@click.group(cls=CommandGroup, sections=_SECTIONS)
@click.version_option(tagfit.__version__, prog_name="tagfit")
def main() -> None:
    """Train multi-label classifiers, find out why they overfit, and cure them.

    DATA is a folder with a label file in it or with keywords in its images, a label file (CSV, TSV, JSONL, COCO,
    ARFF), an arrays file (.npz), or postcards:COUNT, the embedded set.
    """
