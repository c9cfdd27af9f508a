"""``weakbeam maps``: maps of a measured scan."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    text_with_flags,
    workers_option,
)
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.core.arrays import Floats
    from weakbeam.measured.maps import MeasuredMaps


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("entry", required=False)
@folder_option("Folder for maps.h5 and the figures.  [default: STEM_maps in the current folder]")
@click.option(
    "--background",
    default="none",
    show_default=True,
    metavar="WHAT",
    help="Subtracted from every frame: none, a number of counts, or minimum or median: of each "
    "pixel over the scan.",
)
@click.option(
    "--dark",
    metavar="ENTRY",
    help="An entry of the file with dark frames: their mean is subtracted.",
)
@click.option(
    "--threshold",
    default="0",
    show_default=True,
    metavar="LEVEL",
    help="Pixels that are nowhere brighter have no maps: counts above the background, or a share "
    "of the brightest pixel, such as 5%.",
)
@click.option(
    "--motor",
    "motors",
    multiple=True,
    metavar="NAME",
    help="A motor of the scan; may be given several times.  [default: those of the title]",
)
@click.option("--detector", metavar="NAME", help="Which detector, where there are several.")
@click.option(
    "--theta",
    type=float,
    metavar="DEG",
    help="Bragg angle for the strain of a 2theta scan.  [default: half of the arm's position]",
)
@click.option(
    "--kernel",
    type=click.IntRange(min=3),
    default=3,
    show_default=True,
    metavar="PIXELS",
    help="Side of the square of neighbours for the misorientation, odd.",
)
@format_option("none")
@overwrite_option("maps that are there")
@click.option("--list", "only_list", is_flag=True, help="Print the entries of the file and stop.")
@names_only_option
@workers_option
def maps(
    file: Path,
    entry: str | None,
    output: Path | None,
    background: str,
    dark: str | None,
    threshold: str,
    motors: tuple[str, ...],
    detector: str | None,
    theta: float | None,
    kernel: int,
    suffix: str,
    overwrite: bool,
    only_list: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Map a scan of a BLISS file of ESRF ID03 or ID06, or of one of ours.

    For each motor: centre of mass, width, skewness, kurtosis and peak; misorientation, mosaicity
    with its colour key, and strain where the arm or the monochromator moved. ENTRY is 1.1, 2.1,
    ...; by default the first scan of the file. The file itself is only read.

    \b
    Examples:
      weakbeam maps mosa_scan.h5 --list
      weakbeam maps mosa_scan.h5 1.1 --background median --threshold 5%
      weakbeam maps run/weakbeam.h5 -o run/maps
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.io.foreign import read_scan, scan_names
    from weakbeam.io.maps_file import check_maps_target, write_maps
    from weakbeam.measured.figures import measured_figures
    from weakbeam.measured.maps import map_scan
    from weakbeam.measured.stored import stored_maps
    from weakbeam.plot.files import save_all

    if only_list:
        for name, title in scan_names(file).items():
            click.echo(f"{name}  {title}")
        return
    folder = Path(f"{file.stem}_maps") if output is None else output
    target = folder / "maps.h5"
    check_maps_target(target, overwrite)
    if dark is not None and background != "none":
        raise InputError("--dark", dark, "cannot be combined with --background")
    least, relative = _threshold(threshold)
    level = _background(background) if dark is None else _dark_frame(file, dark, detector)
    with naming_flags(motor="--motor", detector="--detector"):
        scan = read_scan(file, entry, detector, motors)
    flags = naming_flags(kernel="--kernel")
    with flags, progress(100.0, "percent", "maps", quiet) as update:
        mapped = map_scan(
            scan,
            level,
            least,
            relative,
            None if theta is None else math.radians(theta),
            kernel,
            workers,
            progress=lambda share: update(100.0 * share),
        )
    for warning in mapped.warnings:
        click.echo(f"weakbeam: {text_with_flags(warning)}", err=True)
    noted = background if dark is None else f"mean of {dark}"
    write_maps(target, scan.entry, stored_maps(mapped, noted, threshold), overwrite)
    if not quiet:
        _tell(mapped)
    click.echo(str(target))
    if suffix != "none":
        for path in save_all(measured_figures(mapped), folder, f".{suffix}"):
            click.echo(str(path))


def _background(text: str) -> str | float:
    from weakbeam.measured.maps import BACKGROUNDS

    if text in BACKGROUNDS:
        return text
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        names = ", ".join(BACKGROUNDS)
        raise InputError("--background", text, f"must be a number or one of {names}")
    return level


def _threshold(text: str) -> tuple[float, bool]:
    relative = text.endswith("%")
    try:
        value = float(text.rstrip("%")) * (0.01 if relative else 1.0)
    except ValueError:
        value = math.nan
    if not (0.0 <= value < (1.0 if relative else math.inf)):
        raise InputError("--threshold", text, "must be counts from 0 on, or 0% to below 100%")
    return value, relative


def _dark_frame(file: Path, entry: str, detector: str | None) -> Floats:
    from weakbeam.measured.maps import mean_frame

    with naming_flags(entry="--dark"):
        return mean_frame(file, entry, detector)


def _tell(mapped: MeasuredMaps) -> None:
    """Print what the scan is and the middle of its maps."""
    import numpy as np

    scan, grid = mapped.scan, mapped.grid
    places = " x ".join(map(str, grid.shape))
    click.echo(f"{scan.entry}  {scan.title}")
    click.echo(
        f"{scan.frames} frames of {scan.shape[0]} x {scan.shape[1]} pixels of {scan.detector}, "
        f"{grid.kind}{f' of {places}' if places else ''}; "
        f"{mapped.maps.lit.mean():.1%} of the pixels have maps"
    )
    click.echo(f"{'median over the pixels':24}{'centre of mass':>16}{'FWHM':>12}{'spread':>12}")
    for motor, found in mapped.maps.motors.items():
        unit = scan.units[motor]
        name = f"{motor} ({unit})" if unit else motor
        values = (np.nanmedian(found["com"]), np.nanmedian(found["fwhm"]), np.nanstd(found["com"]))
        click.echo(f"{name:24}{values[0]:16.6g}{values[1]:12.4g}{values[2]:12.4g}")
    if mapped.misorientation is not None and np.isfinite(mapped.misorientation).any():
        unit = scan.units[mapped.orientation[0]]
        name = f"misorientation ({unit})"
        click.echo(f"{name:24}{np.nanmedian(mapped.misorientation):16.4g}")
    if mapped.strain is not None:
        click.echo(f"{'strain, spread':24}{np.nanstd(mapped.strain):16.4g}")
