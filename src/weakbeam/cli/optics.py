"""``weakbeam optics``: what the objective does, as a table and as a drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from weakbeam.cli.options import (
    experiment_of,
    experiment_options,
    output_option,
    overwrite_option,
)

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.objective import CompoundRefractiveLens


class Quantity(NamedTuple):
    """A row of the table, in the unit that its key ends with."""

    key: str
    label: str
    value: float | int | str
    unit: str = ""


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
    lens, material = lens_of(experiment, lens_options)
    if output is not None:
        draw_layout(output, lens, experiment, material, overwrite=overwrite)
        click.echo(f"wrote {output}", err=True)
    groups = quantities(lens, experiment, material)
    click.echo(_json(groups.values()) if as_json else _table(groups))


def lens_of(
    experiment: Experiment, options: Mapping[str, object]
) -> tuple[CompoundRefractiveLens, str]:
    """Return the lens of the experiment, or that of ID06, as changed by the options.

    Parameters
    ----------
    experiment : Experiment
        The description.
    options : mapping
        Values for keys of ``objective.lens``; None where an option was not given.

    Returns
    -------
    lens : CompoundRefractiveLens
    material : str
        What it is made of.

    Raises
    ------
    InputError
        If there is no such lens, or it forms no image.
    """
    from weakbeam.assemble import instrument as assemble_instrument
    from weakbeam.errors import InputError
    from weakbeam.experiment.toml_text import toml_value

    objective = experiment.objective
    table = objective.lens or assemble_instrument.ID06_LENS
    with_lens = experiment.model_copy(
        update={"objective": objective.model_copy(update={"lens": table})}
    )
    given = {key: value for key, value in options.items() if value is not None}
    try:
        changed = with_lens.with_settings(
            [f"objective.lens.{key}={toml_value(value)}" for key, value in given.items()]
        )
        lens = assemble_instrument.lens_of(changed)
    except InputError as error:
        key = error.key.removeprefix("objective.lens.")
        if key in given:
            option = "--" + key.replace("_", "-")
            raise InputError(option, error.value, error.allowed) from None
        raise
    assert lens is not None
    assert changed.objective.lens is not None
    return lens, changed.objective.lens.material


def quantities(
    lens: CompoundRefractiveLens, experiment: Experiment, material: str
) -> dict[str, list[Quantity]]:
    """Return the rows of the table by their headings."""
    from weakbeam.assemble.instrument import accepted_angles

    acceptance_mrad, aperture_mrad = accepted_angles(experiment)
    bandwidth = experiment.beam.total_bandwidth_rms
    blur = lens.chromatic_object_shift * bandwidth * lens.acceptance_rms
    return {
        "lens": [
            Quantity("material", "material", material),
            Quantity("energy_keV", "photon energy", lens.energy, "keV"),
            Quantity("lenslets", "lenslets N", lens.lenslets),
            Quantity("radius_um", "radius R", lens.radius, "µm"),
            Quantity("pitch_mm", "pitch T", 1e-3 * lens.pitch, "mm"),
            Quantity("web_um", "web", lens.web, "µm"),
            Quantity("decrement", "refractive index decrement δ", lens.decrement),
            Quantity("attenuation_per_m", "attenuation μ", 1e6 * lens.attenuation, "1/m"),
            Quantity(
                "lenslet_focal_length_m",
                "focal length of a lenslet f",
                1e-6 * lens.lenslet_focal_length,
                "m",
            ),
            Quantity("phase_mrad", "phase per lenslet φ", 1e3 * lens.phase, "mrad"),
            Quantity(
                "characteristic_length_m",
                "characteristic length Z",
                1e-6 * lens.characteristic_length,
                "m",
            ),
            Quantity("length_mm", "length N T", 1e-3 * lens.length, "mm"),
            Quantity("focal_length_m", "focal length", 1e-6 * lens.focal_length, "m"),
        ],
        "image": [
            Quantity("magnification", "magnification M", lens.magnification),
            Quantity("distance_m", "sample to lens d1", 1e-6 * lens.distance, "m"),
            Quantity("image_distance_m", "lens to camera d2", 1e-6 * lens.image_distance, "m"),
            Quantity("total_length_m", "sample to camera", 1e-6 * lens.total_length, "m"),
            Quantity(
                "back_focal_distance_m",
                "lens to back focal plane",
                1e-6 * lens.back_focal_distance,
                "m",
            ),
            Quantity(
                "back_focal_scale_mm_per_rad",
                "scale of the back focal plane",
                1e-3 * lens.focal_length,
                "mm/rad",
            ),
        ],
        "what passes": [
            Quantity("acceptance_rms_mrad", "acceptance, rms", 1e3 * lens.acceptance_rms, "mrad"),
            Quantity(
                "acceptance_fwhm_mrad", "acceptance, FWHM", 1e3 * lens.acceptance_fwhm, "mrad"
            ),
            Quantity(
                "experiment_acceptance_fwhm_mrad",
                "  the experiment has",
                acceptance_mrad,
                "mrad",
            ),
            Quantity("aperture_um", "diameter of the lenslets D", lens.aperture, "µm"),
            Quantity("half_angle_mrad", "largest angle that clears", 1e3 * lens.half_angle, "mrad"),
            Quantity(
                "entrance_half_angle_mrad",
                "angle of the entrance D / 2 d1",
                1e3 * lens.entrance_half_angle,
                "mrad",
            ),
            Quantity("experiment_aperture_mrad", "  the experiment has", aperture_mrad, "mrad"),
            Quantity("axial_transmission", "transmission on the axis", lens.axial_transmission),
            Quantity(
                "effective_transmission",
                "transmission of the aperture",
                lens.effective_transmission,
            ),
            Quantity(
                "vignetting_mrad_per_um",
                "shift of the acceptance per height",
                1e3 * lens.vignetting,
                "mrad/µm",
            ),
            Quantity("field_rms_um", "field of view, rms", lens.field_rms, "µm"),
        ],
        "sharpness": [
            Quantity("resolution_fwhm_nm", "diffraction, FWHM", 1e3 * lens.resolution_fwhm, "nm"),
            Quantity("depth_of_field_um", "depth of field", lens.depth_of_field, "µm"),
            Quantity(
                "chromatic_object_shift_um",
                "focus moves by, for ΔE/E = 10⁻⁴",
                1e-4 * lens.chromatic_object_shift,
                "µm",
            ),
            Quantity(
                "chromatic_image_shift_mm",
                "image moves by, for ΔE/E = 10⁻⁴",
                1e-7 * lens.chromatic_image_shift,
                "mm",
            ),
            Quantity(
                "chromatic_blur_rms_nm", "blur by the bandwidth of the beam, rms", 1e3 * blur, "nm"
            ),
        ],
    }


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
