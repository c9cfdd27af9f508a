"""``weakbeam identify study``: how well types of dislocations can be told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.options import (
    Number,
    check_figures,
    check_target,
    count_option,
    experiment_of,
    experiment_options,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    workers_option,
)

if TYPE_CHECKING:
    from weakbeam.identify.study.study import Study


@click.command()
@experiment_options
@folder_option("Folder for study.json, types.csv and the figures.", "study")
@count_option(
    "--max-shift",
    default=20,
    least=0,
    metavar="PIXELS",
    help="Largest shift along rows and columns at which images are compared.",
)
@click.option(
    "--level",
    "levels",
    type=Number(0.0, 1e9, min_open=True),
    multiple=True,
    metavar="TIMES",
    help="An exposure as a multiple of the experiment's; may be given several times.  "
    "[default: 0.001, 0.01, 0.1 and 1]",
)
@click.option(
    "--between",
    type=int,
    nargs=2,
    metavar="TYPE TYPE",
    help="Two types, by number, for which the best further image is sought.  "
    "[default: the two that are the hardest to tell apart]",
)
@click.option(
    "--base",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Number of an image of the scan that is there already; may be given several times.  "
    "[default: the first]",
)
@format_option("none")
@workers_option
@overwrite_option("a study that is there")
@names_only_option
def study(
    config: Path | None,
    settings: tuple[str, ...],
    output: Path,
    max_shift: int,
    levels: tuple[float, ...],
    between: tuple[int, int] | None,
    base: tuple[int, ...],
    suffix: str,
    workers: int | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Compare the images of all types, and find the image that would decide between two.

    Every pair of types is correlated at its best shift; each type is measured against the most
    similar ones by the likelihood, for several exposures and for one, two, ... images of the scan.

    \b
    Examples:
      weakbeam identify study -c weak-beam.toml -o study
      weakbeam identify study --set scan.phi.half_range_mrad=0.2 --set scan.phi.steps=9
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.identify.study.report import FIGURES
    from weakbeam.io.targets import STUDY, TYPES, place_bytes

    read = [] if config is None else [config]
    target = check_target(output, "study.json", overwrite, STUDY, read)
    table = check_target(output, "types.csv", overwrite, TYPES, read)
    check_figures(output, FIGURES, suffix, overwrite)
    from weakbeam.cli.progress import progress
    from weakbeam.identify.study.report import (
        check_choice,
        decide,
        figures_of,
        report_of,
        table_of,
    )
    from weakbeam.identify.study.study import LEVELS, run_study
    from weakbeam.plot.files import save_pictures

    experiment = experiment_of(config, settings)
    there = [n - 1 for n in base] or [0]
    with naming_flags({"base": lambda image: image + 1}, between="--between", base="--base"):
        check_choice(experiment, between, there)
    flags = naming_flags(max_shift="--max-shift")
    with flags, progress(100.0, "percent", "study", quiet) as update:
        study_result = run_study(
            experiment,
            max_shift,
            sorted(levels) or LEVELS,
            workers,
            lambda share: update(100.0 * share),
        )
        choice = decide(study_result, between, there, max_shift)
    report = report_of(study_result, choice)
    place_bytes(target, (json.dumps(report, indent=1) + "\n").encode())
    place_bytes(table, table_of(study_result).encode())
    if not quiet:
        _tell(study_result, report)
    click.echo(str(target))
    click.echo(str(table))
    if suffix != "none":
        figures = figures_of(study_result, choice).items()
        pictures = {name: drawing.picture(f".{suffix}") for name, drawing in figures}
        for path in save_pictures(pictures, output, f".{suffix}", overwrite=overwrite):
            click.echo(str(path))


def _tell(study_result: Study, report: dict[str, Any]) -> None:
    counting = study_result.experiment.camera.is_counting
    if not counting:
        click.echo('camera.model = "ideal" has no noise: that of "pco_edge" is taken', err=True)
    click.echo(
        f"{report['types']} types with images of their own; {report['twins']} more have the very "
        "images of one of these"
    )
    click.echo(f"{'pairs that correlate above 0.7':36}{'above':>8}{'pairs':>9}")
    for name, (above, pairs) in report["above"].items():
        click.echo(f"  {name:34}{above:8}{pairs:9}")
    click.echo(f"{'exposure':>10}{'images':>8}{'told apart':>12}{'smallest gap':>14}")
    for row in report["told_apart"]:
        click.echo(
            f"{row['exposure']:10g}{row['images']:8}{row['share']:12.1%}{row['smallest_gap']:14.3g}"
        )
    extra = report["extra"]
    first, second = extra["between"]
    click.echo(
        f"hardest: {first}  and  {second}" if extra["hardest"] else f"{first}  and  {second}"
    )
    click.echo(f"  expected gap {extra['gap']:.3g}")
    for row in extra["images"][:3]:
        click.echo(f"  with {row['condition']}: {row['gap']:.3g}")
