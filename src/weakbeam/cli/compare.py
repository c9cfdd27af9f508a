"""``weakbeam compare``: runs, scans, maps and images side by side."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from weakbeam.cli.options import (
    check_target,
    choice_option,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    text_with_flags,
    workers_option,
)
from weakbeam.cli.scan_options import SCAN_FLAGS, PixelChoice, background_level, pixel_options
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.measured.side_by_side import Compared

_TABLE = "comparison.csv"

_FLAGS = {**SCAN_FLAGS, "align_peaks": "--align-peaks", "background": "--background"}


@click.command()
@click.argument("sources", metavar="A B [C ...]", nargs=-1, required=True)
@folder_option("Folder for the figures and comparison.csv.", "comparison")
@click.option(
    "--align-peaks",
    is_flag=True,
    help="Shift the curves of the others onto that of the first, along each motor.",
)
@click.option(
    "--match-brightness/--no-match-brightness",
    default=None,
    help="Multiply the intensities of the others by one factor each.  [default: where one is in "
    "counts and the other is not]",
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="MOTOR=MOTOR",
    help="A motor of the first and what the others call it, such as mu=phi, or mu=-phi if it turns "
    "the other way; may be given several times.",
)
@click.option(
    "--frame",
    type=click.IntRange(min=0),
    metavar="N",
    help="Show frame N of the first and those of the others nearest to its place, after the "
    "shift.  [default: the light of the whole scan]",
)
@click.option(
    "--background",
    metavar="WHAT",
    help="Subtracted from frames of counts: none, a number, minimum or median of each pixel over "
    "the scan.  [default: median; minimum of fewer than 16 frames]",
)
@pixel_options
@click.option(
    "--threshold",
    default="0",
    show_default=True,
    metavar="LEVEL",
    help="Pixels that are nowhere brighter have no maps: intensity above the background, or a "
    "share of the brightest pixel, such as 5%.",
)
@click.option(
    "--floor",
    type=float,
    metavar="K",
    help="Noise floor of the maps, as of weakbeam maps.  [default: 5 for counts]",
)
@choice_option(
    "--scale",
    of=["linear", "log", "asinh"],
    default="linear",
    help="Intensity to colour.",
)
@click.option(
    "--clim",
    type=(float, float),
    metavar="LO HI",
    help="Intensities of the darkest and the brightest colour.  [default: those of the lit pixels]",
)
@choice_option(
    "--against",
    of=["difference", "ratio"],
    default="difference",
    help="What is drawn beside two images: second less first, or second over first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@format_option("none")
@overwrite_option("a comparison that is there")
@names_only_option
@workers_option
def compare(
    sources: tuple[str, ...],
    output: Path,
    align_peaks: bool,
    match_brightness: bool | None,
    pairs: tuple[str, ...],
    frame: int | None,
    choice: PixelChoice,
    background: str | None,
    threshold: str,
    floor: float | None,
    scale: Literal["linear", "log", "asinh"],
    clim: tuple[float, float] | None,
    against: Literal["difference", "ratio"],
    as_json: bool,
    suffix: str,
    overwrite: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Compare runs, scans, maps or images, ours or a beamline's, with the first of them.

    Each is FILE, FILE::ENTRY or FILE#FRAME: an HDF5 file with scans, the folder of a run, a file of
    weakbeam maps, EDF images (a folder, a pattern in quotes), or an image (npy, TIFF, EDF).
    Pictures of all stand side by side on one scale, curves over one axis, and numbers in a table:
    correlation, difference relative to the first, shift. They are labelled by the keys in which
    their experiments differ, or by their files. What is done to the others (a shift, a factor,
    other pixels) is printed and stands in the figures.

    \b
    Examples:
      weakbeam compare screw/ edge/
      weakbeam compare run/weakbeam.h5::1.1 run/weakbeam.h5::2.1 --scale log
      weakbeam compare measured.h5::2.1 run/ --align-peaks
      weakbeam compare measured.h5::2.1 run/ --align-peaks --pair mu=phi --frame 30
      weakbeam compare before.h5::2.1 after.h5::2.1 --roi 200:500,100:700 --mask mask.npy
      weakbeam compare before_maps/maps.h5 after_maps/maps.h5 --json
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.maps import _threshold
    from weakbeam.cli.progress import progress
    from weakbeam.io.stills import read_mask
    from weakbeam.io.targets import COMPARED, PICTURE, claim, place_bytes
    from weakbeam.measured.side_by_side import compare as compared_sides
    from weakbeam.measured.treatment import Treatment

    target = check_target(output, _TABLE, overwrite, COMPARED)
    if clim is not None and not clim[0] < clim[1]:
        raise InputError("--clim", clim, "must be two increasing intensities")
    if clim is not None and scale == "log" and clim[0] <= 0.0:
        raise InputError("--clim", clim, "must be positive on a log scale")
    least, relative = _threshold(threshold)
    level = None if background is None else background_level(background)
    sizes = choice.sizes
    with naming_flags(mask="--mask"):
        mask = None if choice.mask is None else read_mask(choice.mask)
    treatment = Treatment(
        level,
        least,
        relative,
        floor,
        workers,
        roi=choice.roi,
        mask=mask,
        hot=choice.hot,
        pixel_nm=sizes,
        align=choice.align,
        unit=choice.unit,
    )
    flags = naming_flags(
        {"pixel_nm": lambda _: choice.pixel_nm},
        frame="--frame",
        pairs="--pair",
        align_peaks="--align-peaks",
        threshold="--threshold",
        floor="--floor",
        roi="--roi",
        mask="--mask",
        hot="--hot",
        pixel_nm="--pixel-nm",
        align="--align",
        sources="A B",
    )
    with flags, progress(100.0, "percent", "scans", quiet) as update:
        compared = compared_sides(
            sources,
            treatment=treatment,
            align_peaks=align_peaks,
            match_brightness=match_brightness,
            pairs=dict(map(_pair, pairs)),
            frame=frame,
            progress=lambda share: update(100.0 * share),
        )
    for side in compared.sides:
        for warning in () if side.mapped is None else side.mapped.warnings:
            click.echo(f"weakbeam: {text_with_flags(warning, _FLAGS)}", err=True)
    pictures = {}
    if suffix != "none":
        from weakbeam.measured.side_figures import side_figures
        from weakbeam.plot.style import render

        figures = side_figures(compared, scale=scale, limits=clim, against=against)
        pictures = {
            claim(output / f"{name}.{suffix}", PICTURE, overwrite=overwrite): render(
                figure, f".{suffix}"
            )
            for name, figure in figures.items()
        }
    place_bytes(target, _table(compared).encode())
    for path, picture in pictures.items():
        place_bytes(path, picture)
    if as_json:
        click.echo(json.dumps(compared.numbers(), indent=2, ensure_ascii=False))
    elif not quiet:
        _tell(compared)
    for path in (target, *pictures):
        click.echo(str(path), err=as_json)


def _pair(text: str) -> tuple[str, str]:
    first, equals, second = (part.strip() for part in text.partition("="))
    if not (first and equals and second.lstrip("-")):
        raise InputError("--pair", text, "must be two motors, such as mu=phi")
    return first, second


def _table(compared: Compared) -> str:
    text = io.StringIO()
    rows = [row.values() for row in compared.rows]
    names = list(rows[0]) if rows else ["quantity", "of", "against", ""]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _tell(compared: Compared) -> None:
    """Print what was done, and the numbers."""
    from weakbeam.measured.units import printed

    first = compared.sides[0].mapped
    for side in compared.sides:
        name = "" if side.label.endswith(f": {side.name}") else f"  ({side.name})"
        click.echo(f"{side.label}{name}")
    for note in compared.notes:
        click.echo(text_with_flags(note, _FLAGS))
    for side in compared.sides[1:]:
        rows = [row for row in compared.rows if row.of == side.label]
        if not rows:
            click.echo(f"{side.letter}: there is nothing to compare with numbers")
            continue
        against = f"{side.letter} against {compared.sides[0].letter}"
        head = f"{against:20}{'values':>9}{'r':>9}{'rel. L2':>11}{'slope':>11}"
        click.echo(f"{head}{'offset':>12}{'rms':>11}  unit")
        for row in rows:
            found = row.agreement
            factor, unit = (1.0, row.unit) if first is None else printed(first.scan, row.unit)
            offset, rms = factor * found.offset, factor * found.rms
            click.echo(
                f"{row.quantity:20}{found.pixels:9}{found.correlation:9.4f}{row.relative_l2:11.4g}"
                f"{found.slope:11.4g}{offset:12.4g}{rms:11.4g}  {unit}".rstrip()
            )
        for row in rows:
            if row.place_unit and math.isfinite(row.x_shift):
                axes = ("row", "column") if row.place_unit == "pixel" else ("x", "y")
                click.echo(
                    f"moving {side.letter} by {axes[0]} {row.x_shift:+.3f}, {axes[1]} "
                    f"{row.y_shift:+.3f} {row.place_unit} would lay its picture best (not moved)"
                )
