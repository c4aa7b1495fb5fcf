"""What lies on the disk: report, cache."""

from __future__ import annotations

from pathlib import Path

import click

from tagfit.cli.command import command, json_option, option, say
from tagfit.cli.output import show, show_json
from tagfit.errors import has_extra, install_line


@command("tagfit report run", "tagfit report run --compare other-run -o both.html")
@click.argument("run")
@click.argument("more", nargs=-1, metavar="")
@option("--output", "-o", metavar="FILE", help="The page to write.  [default: report.html in the run folder]")
@option("--compare", multiple=True, metavar="RUN...", help="Other runs, side by side with this one.")
@option("--figures", metavar="DIR", help="Write the page's charts there as well, as SVG and PNG.")
@json_option
def report(
    run: str, more: tuple[str, ...], output: str | None, compare: tuple[str, ...], figures: str | None, as_json: bool
) -> None:
    """Show the result of a RUN again, and write its HTML page.

    With --json the page is written only if -o names it.
    """
    from tagfit.report import files as reporting
    from tagfit.report.table import result_table
    from tagfit.runs.record import read_record

    if more and not compare:
        raise click.UsageError(f"give one run, and the others after --compare: --compare {' '.join(more)}")
    record = read_record(Path(run))
    folder = Path(run).parent if (Path(run) / "manifest.json").is_file() else Path(run)  # of a bundle, its run's
    context = reporting.read_context(Path(run), [Path(one) for one in (*compare, *more)])
    show_json(record) if as_json else show(result_table(record, folder))
    if figures is not None:
        say(f"{reporting.write_figures(context, Path(figures))} charts written to {figures}")
        if not has_extra("figures"):
            say(f"to write PNG as well: {install_line('figures')}")
    if output is not None or not as_json:
        page = reporting.write_report(Path(run), context, None if output is None else Path(output))
        click.echo(f"\nreport: {page}", err=as_json)


@command("tagfit cache", "tagfit cache --clear")
@option("--clear", is_flag=True, help="Delete what is in it.")
@json_option
def cache(clear: bool, as_json: bool) -> None:
    """Show where decoded images are kept, and their size."""
    from tagfit.io import cache as kept

    used = kept.clear() if clear else kept.usage()
    if as_json:
        show_json(used)
    else:
        show(f"{used.folder}: {used.bytes / 1e6:,.1f} MB in {used.files:,} files{', deleted' if clear else ''}")
