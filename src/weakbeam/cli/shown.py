"""What ``weakbeam show`` draws of each kind of file, and what it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from weakbeam.cli.options import (
    naming_flags,
    text_with_flags,
)
from weakbeam.cli.scan_options import SCAN_FLAGS, ScanChoice
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.io.export import Exported
    from weakbeam.io.foreign import MeasuredScan, Source
    from weakbeam.io.region import Region

Scale = Literal["linear", "log", "asinh"]


def is_grid(file: Path) -> bool:
    """Whether a file holds deformation on a grid, and is none of our own."""
    from weakbeam.io.field_file import is_field
    from weakbeam.io.kernel_file import is_kernel
    from weakbeam.io.maps_file import is_maps
    from weakbeam.io.reading import is_own_file

    if not file.is_file() or is_kernel(file) or is_maps(file) or is_own_file(file):
        return False
    return is_field(file)


def grid_figures(file: Path, options: dict[str, Any], as_json: bool) -> dict[str, Figure]:
    """Print what a file with deformation on a grid holds, and draw slices of it."""
    import json

    from weakbeam.run.field_slices import shown_field

    with naming_flags(increment="--increment", mask="--phase", grain="--grain"):
        found = shown_field(str(file), mask=options.pop("phase"), **options)
    if as_json:
        click.echo(json.dumps(found.numbers(), indent=2))
    else:
        for line in found.lines():
            click.echo(line)
    return {name: drawing.figure() for name, drawing in found.drawings().items()}


def network_figures(
    file: Path, burgers_length_nm: float | None, as_json: bool
) -> dict[str, Figure]:
    """Print what a network holds, and draw it."""
    import json

    from weakbeam.io.networks.reading import read_network
    from weakbeam.run.network_statistics import network_drawing, network_statistics

    network = read_network(str(file))
    found = network_statistics(network, burgers_length_nm)
    if as_json:
        click.echo(json.dumps(found.numbers(), indent=2))
    else:
        for line in found.lines():
            click.echo(line)
    drawing = network_drawing(network, burgers_length_nm)
    return {} if drawing is None else {"network": drawing.figure()}


def map_figures(file: Path, choice: ScanChoice) -> tuple[dict[str, Figure], list[Exported]]:
    """Figures of a file of maps, and what is exported of it."""
    from dataclasses import replace

    from weakbeam.io.maps_file import read_maps
    from weakbeam.measured.exports import exported_maps
    from weakbeam.measured.figures import measured_figures
    from weakbeam.measured.stored import mapped_of
    from weakbeam.measured.units import in_unit

    if choice.changes_frames:
        raise InputError("file", str(file), "is a file of maps; it has no frames")
    name, stored = read_maps(file)
    mapped = mapped_of(stored)
    mapped = replace(mapped, scan=in_unit(mapped.scan, choice.unit))
    return measured_figures(mapped), exported_maps(file, name, stored)


def fit_figures(file: Path, as_json: bool) -> dict[str, Figure]:
    """Print what a fit has found, and draw its figure."""
    import json

    from weakbeam.fit.stack_figure import stored_drawing
    from weakbeam.fit.stack_record import told_of
    from weakbeam.io.fit_file import read_fit

    stored = read_fit(file)
    if as_json:
        click.echo(json.dumps(stored.record, indent=2, ensure_ascii=False))
    else:
        for line in [*told_of(stored.record), *stored.record["remarks"]]:
            click.echo(line)
    return {"fit": stored_drawing(stored.maps, stored.figure).figure()}


def holds_members(file: Path) -> bool:
    """Whether the frames of a file are the members of a library."""
    from weakbeam.io.entry import MEMBER
    from weakbeam.io.foreign import scan_names

    return any(title.split()[1:2] == [MEMBER] for title in scan_names(file).values())


def usual_figures(
    file: Path, entry: int, scale: Scale, clim: tuple[float, float] | None, lit_only: bool
) -> dict[str, Figure]:
    """Figures of a file of our own, or of a kernel."""
    from weakbeam.io.kernel_file import is_kernel
    from weakbeam.run.acceptance_figures import draw_kernel
    from weakbeam.run.figures import draw_file

    if is_kernel(file):
        return draw_kernel(file)
    return draw_file(file, entry - 1, {"scale": scale, "limits": clim, "lit_only": lit_only})


def scan_of(file: Source, entry: int, choice: ScanChoice) -> MeasuredScan:
    """The scan of a file as it was chosen, less its background; prints what to know of it."""
    from weakbeam.io.edf import is_edf
    from weakbeam.measured.alignment import align_scan
    from weakbeam.measured.background import with_level
    from weakbeam.measured.pictures import scan_or_image

    choice.check()
    name: str | None = f"{entry}.1"
    if is_edf(file):
        # Scans of SPEC have numbers of their own.
        given = click.get_current_context().get_parameter_source("entry")
        name = None if given is ParameterSource.DEFAULT else str(entry)
    scan = scan_or_image(file, name)
    level = choice.level(file, scan)
    scan = choice.of(scan)
    if choice.align:
        scan, _, _ = align_scan(scan)
    for warning in scan.warnings:
        click.echo(f"weakbeam: {text_with_flags(warning, SCAN_FLAGS)}", err=True)
    return with_level(scan, level)


def curve_figures(
    scan: MeasuredScan, pixels: tuple[str, ...], regions: tuple[str, ...]
) -> dict[str, Figure]:
    """Intensity of pixels and regions over the scan."""
    from weakbeam.io.region import Region
    from weakbeam.measured.pictures import curve_picture

    wanted = []
    for flag, texts in (("--pixel", pixels), ("--region", regions)):
        for text in texts:
            region = _pixel(text) if flag == "--pixel" else Region.of_text(text, flag)
            try:
                region.check(scan.shape, scan.first)
            except InputError as error:
                raise InputError(flag, text, error.allowed) from None
            wanted.append(region)
    return {"curves": curve_picture(scan, wanted)} if wanted else {}


def _pixel(text: str) -> Region:
    from weakbeam.io.region import Region

    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text)
    if match is None:
        raise InputError("--pixel", text, "must be ROW,COLUMN, such as 85,255")
    row, column = int(match[1]), int(match[2])
    return Region(slice(row, row + 1), slice(column, column + 1))


def comparison_figures(file: Path, entry: int, as_json: bool) -> dict[str, Figure]:
    """Print the comparison with the model, and draw it."""
    import json

    from weakbeam.imaging.motors import MOTORS
    from weakbeam.plot.comparison import comparison_figure
    from weakbeam.run.comparison import PREDICTIONS, compare_file, comparison_table

    comparison = compare_file(file, entry - 1)
    if as_json:
        click.echo(json.dumps(comparison.numbers(), indent=2))
    else:
        for line in comparison_table(comparison):
            click.echo(line)
    angles = {name: MOTORS[name] for name in comparison.centers}
    figure = comparison_figure(
        {
            motor.offset_symbol: motor.shown(comparison.centers[name])
            for name, motor in angles.items()
        },
        {
            motor.offset_symbol: {
                PREDICTIONS[rule]: motor.shown(center)
                for rule, center in comparison.predicted[name].items()
            }
            for name, motor in angles.items()
        },
        {
            motor.offset_symbol: {
                PREDICTIONS[rule]: (a.correlation, a.slope, float(motor.shown(a.rms)))
                for rule, a in comparison.agreement[name].items()
            }
            for name, motor in angles.items()
        },
        title=f"{file.name}, {entry}.1",
    )
    return {"comparison": figure}


def exported_files(
    file: Path,
    entry: int,
    exported: list[Exported],
    folder: Path,
    formats: tuple[str, ...],
    overwrite: bool,
) -> list[Path]:
    """Write numbers: those of the pictures, or the maps of a run."""
    from weakbeam.io.export import write_exports
    from weakbeam.io.reading import is_own_file
    from weakbeam.measured.exports import exported_run

    if not exported and file.is_file() and is_own_file(file):
        exported = exported_run(file, f"{entry}.1")
    if not exported:
        raise InputError("--export", " ".join(formats), f"{file} has no maps; name a --frame")
    return write_exports(
        exported, folder, dict.fromkeys(formats), overwrite=overwrite, inputs=[file]
    )
