"""``weakbeam optics``: what the objective does, as a table and as a drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    experiment_of,
    experiment_options,
    naming_flags,
    output_option,
    overwrite_option,
)
from weakbeam.run.lens_quantities import Quantity, lens_of, quantities

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.objective import CompoundRefractiveLens


@click.command()
@experiment_options
@click.option("--lenslets", type=int, help="Number of lenslets.")
@click.option(
    "--radius-um", type=float, help="Radius of curvature at the apex of each of their surfaces."
)
@click.option("--pitch-mm", type=float, help="Distance from lenslet to lenslet.")
@click.option("--material", metavar="NAME", help="Be, Al, diamond, SU-8 or Ni.")
@click.option("--web-um", type=float, help="Material left between the apices of a lenslet.")
@click.option(
    "--thickness-mm", type=float, help="Thickness of a lenslet, which limits its aperture."
)
@click.option("--distance-m", type=float, help="Distance from the sample to the lens.")
@click.option("--magnification", type=float, help="Instead of the distance.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@output_option("Also draw the layout of the beam path: .png, .svg or .pdf.")
@overwrite_option("a figure that is there")
def optics(
    config: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
    output: Path | None,
    overwrite: bool,
    **lens_options: object,
) -> None:
    """Print what the objective lens does: focus, image, acceptance, sharpness.

    The lens is that of the experiment, or else the lens of ID06; options change it.

    \b
    Example:
      weakbeam optics --magnification 17.31 -o layout.png
      weakbeam optics --set beam.energy_keV=19.1 --lenslets 100 --json
    """  # noqa: D301 (click needs the character \b itself)
    experiment = experiment_of(config, settings)
    flags = {name: "--" + name.replace("_", "-") for name in lens_options}
    with naming_flags(None, **flags):
        lens, material = lens_of(experiment, lens_options)
    if output is not None:
        draw_layout(output, lens, experiment, material, overwrite=overwrite)
        click.echo(f"wrote {output}", err=True)
    groups = quantities(lens, experiment, material)
    click.echo(_json(groups.values()) if as_json else _table(groups))


def draw_layout(
    path: Path,
    lens: CompoundRefractiveLens,
    experiment: Experiment,
    material: str,
    *,
    overwrite: bool = False,
) -> None:
    """Draw the beam path to the edge of the camera's field and write it.

    Raises
    ------
    InputError
        If the file cannot be written or may not be replaced, or has another ending than .png,
        .svg or .pdf.
    """
    from weakbeam.errors import InputError
    from weakbeam.plot.optics import layout_figure
    from weakbeam.plot.style import save

    camera = experiment.camera
    field_height = 0.5 * max(camera.pixels) * camera.pixel_um
    title = (
        f"{lens.lenslets} lenslets of {material}, R = {lens.radius:g} µm, "
        f"{lens.energy:g} keV, M = {lens.magnification:.4g}"
    )
    try:
        save(layout_figure(lens, field_height, title=title), path, overwrite=overwrite)
    except InputError:
        raise
    except ValueError as error:
        raise InputError("--output", str(path), str(error)) from None


def _table(groups: dict[str, list[Quantity]]) -> str:
    width = max(len(row.label) for rows in groups.values() for row in rows)
    lines: list[str] = []
    for heading, rows in groups.items():
        lines += ["", heading] if lines else [heading]
        lines += [
            f"  {row.label:<{width}}  {_text(row.value):>10} {row.unit}".rstrip() for row in rows
        ]
    return "\n".join(lines)


def _text(value: float | int | str) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _json(groups: Iterable[list[Quantity]]) -> str:
    # JSON has no infinity: an experiment without aperture shows null.
    finite = {
        row.key: None if isinstance(row.value, float) and math.isinf(row.value) else row.value
        for rows in groups
        for row in rows
    }
    return json.dumps(finite, indent=2)
