"""``weakbeam plan``: what to know before a beamtime, on one page."""

from __future__ import annotations

from pathlib import Path

import click

from weakbeam.cli.options import (
    experiment_of,
    experiment_options,
    naming_flags,
    output_option,
    overwrite_option,
    workers_option,
)


@click.command()
@experiment_options
@click.option(
    "--readout",
    "readout_s",
    type=float,
    default=0.01,
    show_default=True,
    metavar="S",
    help="Time from the end of an exposure to the next one.",
)
@click.option(
    "--row",
    "row_s",
    type=float,
    default=1.0,
    show_default=True,
    metavar="S",
    help="Time from one row of a scan to the next, while slower motors move.",
)
@click.option(
    "--reflection",
    "reflection_s",
    type=float,
    default=600.0,
    show_default=True,
    metavar="S",
    help="Time from one reflection to the next.",
)
@output_option("Write the page: .pdf, .html, .png or .svg.  [default: print the text]")
@overwrite_option("a page that is there")
@workers_option
def plan(
    config: Path | None,
    settings: tuple[str, ...],
    readout_s: float,
    row_s: float,
    reflection_s: float,
    output: Path | None,
    overwrite: bool,
    workers: int | None,
) -> None:
    """Put together what to know before a beamtime, on one page.

    Angles of the reflections, visibility of the dislocations, optics, counts per frame, frames,
    time, motor speeds and disk of the scans, where kinematical theory holds, and predicted images
    at the peak, on its flank and in the weak beam.

    \b
    Examples:
      weakbeam plan -c experiment.toml
      weakbeam plan -c experiment.toml -o plan.pdf
      weakbeam plan -c experiment.toml --row 5 -o plan.html
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.run.planning import Timing
    from weakbeam.run.planning import plan as planned

    experiment = experiment_of(config, settings)
    flags = {"readout_s": "--readout", "row_s": "--row", "reflection_s": "--reflection"}
    with naming_flags(None, **flags):
        timing = Timing(readout_s, row_s, reflection_s)
    sheet = planned(experiment, timing, workers)
    if output is None:
        click.echo(str(sheet))
        return
    sheet.save(output, overwrite=overwrite)
    click.echo(str(output))
