"""What the objective does: focus, image, acceptance, sharpness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from weakbeam.run.records import Records

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.objective import CompoundRefractiveLens


class Quantity(NamedTuple):
    """A row of the table, in the unit that its key ends with."""

    key: str
    label: str
    value: float | int | str
    unit: str = ""


class Quantities(Records):
    """Quantities, which are also found by their names.

    Examples
    --------
    >>> import weakbeam as wb
    >>> round(wb.optics(wb.Experiment())["focal_length_m"], 3)
    0.266
    """

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            for row in self:
                if row["name"] == index:
                    return row["value"]
            raise KeyError(f"{index}: there are {', '.join(self.column('name'))}")
        return super().__getitem__(index)


def optics(experiment: Experiment, **lens: float | str) -> Quantities:
    """What the objective lens does: focus, image, acceptance, sharpness.

    Parameters
    ----------
    experiment : Experiment
        The lens is its own, or else that of ID06.
    **lens
        Keys of ``objective.lens`` to change: ``lenslets``, ``radius_um``, ``pitch_mm``,
        ``material``, ``web_um``, ``thickness_mm``, ``distance_m`` or ``magnification``.

    Returns
    -------
    Quantities
        Rows of ``name``, which ends with the unit, ``value``, ``unit``, ``meaning`` and ``group``.

    Raises
    ------
    InputError
        If there is no such lens, or it forms no image.
    """
    made, material = lens_of(experiment, lens)
    rows = [
        {
            "name": row.key,
            "value": row.value,
            "unit": row.unit,
            "meaning": row.label.strip(),
            "group": group,
        }
        for group, quantities_of_group in quantities(made, experiment, material).items()
        for row in quantities_of_group
    ]
    return Quantities("optics of the objective", rows)


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
        raise InputError(key if key in given else error.key, error.value, error.allowed) from None
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
