"""A model at work: evaluate, export, serve."""

from __future__ import annotations

from typing import Literal

import click

from tagfit.cli.command import command, json_option, option, say, takes
from tagfit.cli.output import name_of, read, show, show_json
from tagfit.options.commands import ServeOptions
from tagfit.options.data import LabelOptions
from tagfit.options.runs import EvaluateOptions

_RUNTIMES = {"onnx": "ONNX Runtime", "keras": "Keras"}


@command("tagfit evaluate run held-out/", "tagfit evaluate run held-out/ --by camera --compare other-run")
@click.argument("bundle")
@click.argument("data")
@takes(reading=LabelOptions, scoring=EvaluateOptions)
@option("--compare", metavar="BUNDLE", help="Another model to score on the same samples.", group="Scores")
@json_option
def evaluate(
    bundle: str, data: str, reading: LabelOptions, scoring: EvaluateOptions, compare: str | None, as_json: bool
) -> None:
    """Score a BUNDLE (or RUN) on labelled DATA, with 95% intervals."""
    from tagfit.cli.progress import working

    with working("loading the model"):
        from tagfit import api
        from tagfit.inference.tagger import Tagger

        tagger = Tagger.load(bundle, runtime="torch")
        other = None if compare is None else Tagger.load(compare, runtime="torch")
    samples = theirs = read(data, reading, tagger)
    if other is not None and other.preprocessing != tagger.preprocessing:
        theirs = read(data, reading, other)
    with working("scoring, computing intervals"):
        found = api.evaluate(tagger, samples, compare=other, compare_data=theirs, **scoring.changed())
    if as_json:
        show_json(found)
        return
    from tagfit.report.table import evaluation_table

    show(evaluation_table(found))


@command(
    "tagfit export run",
    "tagfit export run --to keras-script -o train.py",
)
@click.argument("bundle")
@option(
    "--to",
    "to",
    type=click.Choice(["onnx", "keras", "keras-script"]),
    metavar="onnx|keras|keras-script",
    help="The format of the file; keras-script is a Keras program that trains the recipe.  "
    "[default: by FILE's ending, else onnx]",
)
@option(
    "--output", "-o", metavar="FILE", help="The file to write.  [default: the folder's name with .onnx, .keras or .py]"
)
@json_option
def export(bundle: str, to: Literal["onnx", "keras", "keras-script"] | None, output: str | None, as_json: bool) -> None:
    """Write a BUNDLE (or RUN) as one file for other runtimes.

    An ONNX file also calibrates and decides; a Keras file gives raw scores. Either is checked against the bundle
    before it is written. A Keras script holds no weights: it is a readable program that trains the recipe anew.
    """
    from tagfit.cli.progress import working

    if to == "keras-script":
        _export_script(bundle, output or f"{name_of(bundle)}.py", as_json)
        return
    with working("exporting"):
        import tagfit

        exported = tagfit.export(bundle, output or f"{name_of(bundle)}.{to or 'onnx'}", to=to)
    if as_json:
        show_json(exported)
        return
    shape = ", ".join(map(str, exported.input["shape"]))
    aside = "; label names, calibration and rule are in its tagfit.json" if exported.format == "keras" else ""
    show(
        f"takes    {exported.input['name']}, {exported.input['dtype']} ({shape})\n"
        f"gives    {', '.join(exported.outputs)}{aside}\n"
        f"checked  on {exported.samples} samples in {_RUNTIMES[exported.format]}: raw scores differ by at most "
        f"{exported.max_difference:.1e}\n"
        f"written to {exported.file} ({exported.bytes / 1e6:,.1f} MB)"
    )


def _export_script(bundle: str, file: str, as_json: bool) -> None:
    from tagfit.inference.export.keras_script import write_keras_script

    trains = write_keras_script(bundle, file)
    if as_json:
        show_json({"file": file, "format": "keras-script", "trains": trains})
        return
    show(f"{trains}\nwritten to {file}; run it where Keras 3 is installed: python {file} data.npz")


@command(
    "tagfit serve run",
    "tagfit serve run --host 0.0.0.0 --token-file token.txt --max-images 16",
    renamed={"--max-pictures": "--max-images"},
)
@click.argument("bundle")
@takes(serving=ServeOptions)
def serve(bundle: str, serving: ServeOptions) -> None:
    """Serve a model over HTTP, with a page to drop photos on.

    BUNDLE is what `fit` or `cure` wrote: its run folder, or the bundle in it.

    Only this machine can connect unless you set --host. SIGTERM or ctrl-C ends the server once accepted
    requests are answered.
    """
    from tagfit import api

    api.serve(bundle, name_of(bundle), serving, say)
