"""``weakbeam maps``: maps of a measured scan."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    file_and_entry,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    one_entry,
    overwrite_option,
    text_with_flags,
    workers_option,
)
from weakbeam.cli.scan_options import SCAN_FLAGS, ScanChoice, scan_options
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.io.foreign import Source
    from weakbeam.measured.maps import MeasuredMaps

_MOST_FRAMES = 10**6
_NOTHING = 1e-12


@click.command()
@click.argument("files", metavar="FILE [ENTRY]", nargs=-1, required=True)
@folder_option(
    "Folder for maps.h5 and the figures.  [default: STEM_maps in the current folder, or "
    "STEM_ENTRY_maps]"
)
@scan_options
@click.option(
    "--threshold",
    default="0",
    show_default=True,
    metavar="LEVEL",
    help="Pixels that are nowhere brighter have no maps: counts above the background, or a share "
    "of the brightest pixel, such as 5%.",
)
@click.option(
    "--floor",
    type=float,
    metavar="K",
    help="Sums of a pixel run over the part of the scan where it is K times the noise of dark "
    "frames above the background; 0: over all of it.  [default: 5 for counts and for a background "
    "from the scan, else 0]",
)
@click.option(
    "--skip",
    metavar="FRAMES",
    help="Frames to leave out, counted from 0, such as 12,40-60.",
)
@click.option(
    "--monitor",
    metavar="NAME",
    help="A counter of the beam, such as pico4, by which the frames are divided.",
)
@click.option(
    "--entry", metavar="ENTRY", help="The entry to map; FILE::ENTRY and FILE ENTRY say the same."
)
@click.option(
    "--entries",
    metavar="ENTRIES",
    help="Entries to put together, such as 1.1-9.1 or 1,3,5, with --over.",
)
@click.option(
    "--over",
    metavar="MOTOR",
    help="The motor that moved between these entries and stood still in each.",
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
    files: tuple[str, ...],
    output: Path | None,
    choice: ScanChoice,
    threshold: str,
    floor: float | None,
    skip: str | None,
    monitor: str | None,
    entry: str | None,
    entries: str | None,
    over: str | None,
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
    """Map a scan of a BLISS file of ESRF ID03 or ID06, of EDF images, or of one of ours.

    For each motor: centre of mass, width, skewness, kurtosis, peak and second maximum;
    misorientation, mosaicity with its colour key, and strain where the arm or the monochromator
    moved. ENTRY is 1.1, 2.1, ...; by default the first scan of the file. EDF images with the motors
    in their headers (ID06) are a folder, a pattern in quotes, or several files, and ENTRY is the
    number of a scan. Files are only read. What is odd about a scan is said, with its frames.

    \b
    Examples:
      weakbeam maps mosa_scan.h5 --list
      weakbeam maps mosa_scan.h5 1.1 --background median --threshold 5%
      weakbeam maps run/weakbeam.h5 -o run/maps
      weakbeam maps strain.h5 --entries 1.1-9.1 --over ccmth --monitor pico4
      weakbeam maps "2017/strain/*.edf" --background median
      weakbeam maps mosa_scan.h5 --roi 200:500,100:700 --hot 8 --align --pixel-nm 110,40
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.io.foreign import entry_range, read_scan, scan_names
    from weakbeam.io.maps_file import check_maps_target, write_maps
    from weakbeam.measured.combine import combined_scan
    from weakbeam.measured.figures import measured_figures
    from weakbeam.measured.maps import map_scan
    from weakbeam.measured.stored import stored_maps
    from weakbeam.plot.files import claim_pictures, save_all

    file, entry = _source(files, entry)
    if only_list:
        for name, title in scan_names(file).items():
            click.echo(f"{name}  {title}")
        return
    if (entries is None) != (over is None):
        raise InputError("--entries", entries, "goes together with --over")
    if entries is not None and entry is not None:
        raise InputError("--entries", entries, f"cannot be combined with the entry {entry}")
    number = "" if entry in (None, "1", "1.1") else f"_{entry}"
    folder = Path(f"{_stem(file)}{number}_maps") if output is None else output
    target = folder / "maps.h5"
    read = [file] if isinstance(file, str | os.PathLike) else [*file]
    # Of a folder only its images are read, none of which is a file of maps.
    check_maps_target(target, overwrite, [name for name in read if not os.path.isdir(name)])
    choice.check()
    least, relative = _threshold(threshold)
    with naming_flags(
        motor="--motor",
        detector="--detector",
        monitor="--monitor",
        entries="--entries",
        over="--over",
    ):
        if len(set(motors)) < len(motors):
            raise InputError("motor", " ".join(motors), "names a motor twice")
        if entries is None or over is None:
            scan = read_scan(file, entry, detector, motors, monitor)
        else:
            parts = entry_range(file, entries)
            scan = combined_scan(
                [read_scan(file, name, detector, motors, monitor) for name in parts], over
            )
    level = choice.level(file, scan)
    scan = choice.of(scan)
    flags = naming_flags(
        threshold="--threshold", kernel="--kernel", floor="--floor", skip="--skip", theta="--theta"
    )
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
            floor=floor,
            skip=() if skip is None else _frames(skip),
            align=choice.align,
        )
    for warning in mapped.warnings:
        click.echo(f"weakbeam: {text_with_flags(warning, SCAN_FLAGS)}", err=True)
    figures = {} if suffix == "none" else measured_figures(mapped)
    claim_pictures(figures, folder, f".{suffix}", overwrite=overwrite)
    write_maps(target, scan.entry, stored_maps(mapped, choice.noted, threshold), overwrite)
    if not quiet:
        _tell(mapped)
    click.echo(str(target))
    if figures:
        for path in save_all(figures, folder, f".{suffix}", overwrite=overwrite):
            click.echo(str(path))


def _source(files: tuple[str, ...], option: str | None) -> tuple[Source, str | None]:
    """What is mapped, and which entry of it."""
    from weakbeam.io.edf import is_edf

    if len(files) > 1 and all(is_edf(name) for name in files):
        return list(files), option
    if len(files) > 2:
        raise InputError("FILE", " ".join(files), "must be one file, or EDF images")
    file, entry = file_and_entry(files[0])
    beside = files[1] if len(files) == 2 else None
    return file, one_entry({"FILE::ENTRY": entry, "ENTRY": beside, "--entry": option})


def _stem(file: Source) -> str:
    """What the folder of the maps is called after."""
    path = Path(file) if isinstance(file, str | os.PathLike) else Path(file[0]).parent
    name = path.stem if "*" not in path.name and "?" not in path.name else path.parent.name
    return name or path.resolve().name


def _frames(text: str) -> list[int]:
    """Numbers of frames from such as ``12,40-60``."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        first_and_last = first.isdecimal() and (last.isdecimal() if dash else True)
        if not first_and_last or int(last or first) < int(first):
            raise InputError("--skip", text, "must be numbers of frames such as 12,40-60")
        if int(last or first) - int(first) > _MOST_FRAMES:
            raise InputError("--skip", text, "names more frames than any scan has")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _threshold(text: str) -> tuple[float, bool]:
    relative = text.endswith("%")
    try:
        value = float(text.rstrip("%")) * (0.01 if relative else 1.0)
    except ValueError:
        value = math.nan
    if not (0.0 <= value < (1.0 if relative else math.inf)):
        raise InputError("--threshold", text, "must be counts from 0 on, or 0% to below 100%")
    return value, relative


def _tell(mapped: MeasuredMaps) -> None:
    """Print what the scan is and the middle of its maps."""
    import numpy as np

    from weakbeam.measured.units import printed

    scan, grid = mapped.scan, mapped.grid
    places = " x ".join(map(str, grid.shape))
    click.echo(f"{scan.entry}  {scan.title}")
    click.echo(
        f"{scan.frames} frames of {scan.shape[0]} x {scan.shape[1]} pixels of {scan.detector}"
        f"{'' if scan.roi is None else f' ({scan.roi.name})'}, "
        f"{grid.kind}{f' of {places}' if places else ''}; "
        f"{mapped.maps.lit.sum() / max(int(scan.used.sum()), 1):.1%} of the pixels have maps"
    )
    head = f"{'median over the pixels':24}{'centre of mass':>16}{'FWHM':>12}"
    click.echo(f"{head}{'FWHM of sum':>14}{'spread':>12}")
    for motor, by_kind in mapped.maps.motors.items():
        factor, unit = printed(scan, scan.units[motor])
        name = f"{motor} ({unit})" if unit else motor
        whole = mapped.maps.whole.get(motor)
        of_sum = "" if whole is None else f"{factor * whole.fwhm:.4g}"
        widths = by_kind["fwhm"][np.isfinite(by_kind["fwhm"])]
        width = f"{factor * np.median(widths):.4g}" if widths.size else "nan"
        center, spread = (float(factor * f(by_kind["com"])) for f in (np.nanmedian, np.nanstd))
        # What sums of positions leave of 0.
        if abs(center) < _NOTHING * factor * np.ptp(grid.axes.get(motor, (0.0, 1.0))):
            center = 0.0
        click.echo(f"{name:24}{center:16.6g}{width:>12}{of_sum:>14}{spread:12.4g}")
    if mapped.misorientation is not None and np.isfinite(mapped.misorientation).any():
        factor, unit = printed(scan, scan.units[mapped.orientation[0]])
        name = f"misorientation ({unit})"
        oblique = (
            "" if scan.geometry else "  (motors taken for turns across the diffraction vector)"
        )
        middle = factor * np.nanmedian(mapped.misorientation)
        click.echo(f"{name:24}{middle:16.4g}{oblique}")
    if mapped.strain is not None:
        name = "apparent strain, spread" if mapped.apparent else "strain, spread"
        click.echo(f"{name:24}{np.nanstd(mapped.strain):16.4g}")
