"""Beam, lens, stop and camera of a dfxm-geo file."""

from __future__ import annotations

import math
from typing import Any

from weakbeam.compat.keys import Keys, Notes
from weakbeam.instrument.beam import FWHM_PER_SIGMA

Section = dict[str, Any]

DIVERGENCE_FACTOR = 2.355
"""Full width at half maximum over standard deviation, as dfxm-geo has it for the divergence."""

BEAM_HEIGHT_RMS_UM = 0.15 / 2.35
"""Standard deviation (µm) of the height of the beam in dfxm-geo, which has no key for it."""

NA_RMS = 7.31e-4 / 2.35
"""Default angular acceptance of the lens in dfxm-geo (rad, rms)."""

GRID = (100_000_000, 400, 200, 200)
"""Default rays and voxels of a kernel."""

RANGES = (5e-4, 7.5e-3, 7.5e-3)
"""Default widths of the grid of a kernel, in units of |Q|."""


def rounded(x: float) -> float:
    """Return a converted number without the digits that the conversion added."""
    return float(f"{x:.12g}")


def beam_of(reciprocal: Keys) -> Section:
    """Take the keys of the incident beam."""
    vertical = reciprocal.number("zeta_v_fwhm", 5.3e-4)
    horizontal = reciprocal.number("zeta_h_fwhm", 0.0)
    clip = reciprocal.number("zeta_v_clip", 1.4e-4)
    factor = 1e3 * FWHM_PER_SIGMA / DIVERGENCE_FACTOR
    return {
        "energy_keV": reciprocal.positive("keV", 17.0),
        "bandwidth_rms": reciprocal.number("eps_rms", 6.0e-5),
        "divergence_vertical_fwhm_mrad": rounded(vertical * factor),
        "divergence_vertical_clip_mrad": rounded(1e3 * clip),
        "divergence_horizontal_fwhm_mrad": rounded(horizontal * factor),
        "height_fwhm_um": rounded(BEAM_HEIGHT_RMS_UM * FWHM_PER_SIGMA),
    }


def objective_of(reciprocal: Keys, notes: Notes) -> Section:
    """Take the keys of the lens and of what stands in its back focal plane."""
    lens: Section = {
        "acceptance_fwhm_mrad": rounded(1e3 * FWHM_PER_SIGMA * reciprocal.number("NA_rms", NA_RMS))
    }
    backend = reciprocal.choice("backend", "auto", ("auto", "analytic", "mc"))
    stopped = reciprocal.flag("beamstop", True)
    diameter = reciprocal.positive("D", 2.0 * math.sqrt(50e-6 * 1.6e-3))
    distance = reciprocal.positive("d1", 0.274)
    analytic = backend == "analytic" or (backend == "auto" and not stopped)
    if analytic and not stopped:
        lens["aperture_mrad"] = math.inf
        notes.change(
            "reciprocal.D, d1: objective.aperture_mrad = inf, as the analytic backend of dfxm-geo "
            f"has no aperture; D / 2 d1 = {500 * diameter / distance:.4g} mrad"
        )
    else:
        lens["aperture_mrad"] = rounded(500.0 * diameter / distance)
    stop = _stop_of(reciprocal, stopped, notes)
    if stop:
        lens["stop"] = stop
    return lens


def _stop_of(reciprocal: Keys, stopped: bool, notes: Notes) -> Section | None:
    size = reciprocal.positive("bs_height", 25e-3)
    square = reciprocal.flag("aperture", True)
    edge = reciprocal.flag("knife_edge", False)
    if not stopped:
        return None
    # dfxm-geo compares the position of half of the angle with half of the size: the same angles
    # pass a hole that is twice as large.
    um = rounded(1e3 * size)
    if edge:
        key, value = "position_um", um
        stop: Section = {"kind": "knife_edge", "position_um": um, "side": "above"}
    elif square:
        key, value = "size_um", 2.0 * um
        stop = {"kind": "square_aperture", "size_um": value}
    else:
        key, value = "diameter_um", 2.0 * um
        stop = {"kind": "wire", "diameter_um": value, "material": "W"}
        notes.change(
            "reciprocal.beamstop: a wire absorbs along its whole chord; that of dfxm-geo along a "
            "quarter of it"
        )
    notes.change(
        f"reciprocal.bs_height = {size:g} mm: objective.stop.{key} = {value:g}, which passes the "
        "same angles; dfxm-geo takes half of each angle, and its constants of 17 keV at any energy"
    )
    return stop


def kernel_of(reciprocal: Keys, wanted: bool) -> Section:
    """Take what only a kernel needs: rays, voxels and widths of the grid.

    Unless it is `wanted`, keys that are given are noted as ignored.
    """
    reciprocal.ignore("it follows from hkl, keV and the cell", "theta")
    reciprocal.ignore("it belongs to the run: `folder`", "date", "pkl_fpath")
    names = ["Nrays", "npoints1", "npoints2", "npoints3", "qi1_range", "qi2_range", "qi3_range"]
    if not wanted:
        reciprocal.ignore(
            "the acceptance is computed in closed form, without a kernel", *names, "seed"
        )
        return {}
    rays, *bins = (reciprocal.integer(n, d, least=1) for n, d in zip(names, GRID, strict=False))
    ranges = [reciprocal.number(n, d) for n, d in zip(names[4:], RANGES, strict=True)]
    grid: Section = {"rays": float(rays), "bins": tuple(bins), "ranges": tuple(ranges)}
    seed = reciprocal.integer_or_none("seed")
    return grid if seed is None else grid | {"seed": seed}


def geometry_of_camera(table: Keys, notes: Notes) -> Section:
    """Take the pixels: three times as many columns as rows."""
    columns = table.integer("Npixels", 510, least=30)
    camera: Section = {"pixels": [columns // 3, columns]}
    if "pixel_size" in table or "magnification" in table:
        camera["camera_pixel_um"] = rounded(1e6 * table.positive("pixel_size"))
        camera["magnification"] = table.positive("magnification")
    else:
        table.ignore("", "pixel_size", "magnification")
        camera["pixel_nm"] = rounded(1e9 * table.positive("object_psize", 4.0e-8))
    count = table.integer("Nsub", 1, least=1)
    camera["oversampling"] = "point" if count == 1 else count
    table.finish()
    notes.restate(
        "images: rows run along 2theta and columns along y; dfxm-geo writes them transposed, and "
        "2theta backwards"
    )
    return camera


def detector_of(table: Keys, old: bool, notes: Notes) -> Section:
    """Take what makes counts of the images; `old` files, of dfxm-geo 2, have intensities."""
    names = ("Npixels", "psize", "psf_kernel_size", "psf_sigma_px", "thermal_mean", "thermal_std")
    old = old or any(name in table for name in names)
    table.ignore("dfxm-geo 2 does not use it", *names, "dynamic_range_bits")
    given = "model" in table
    default = "ideal" if old else "pco_edge_4.2_id03"
    model = table.choice("model", default, ("ideal", "pco_edge_4.2_id03"))
    exposure = table.number("exposure_time", 1.0)
    counts, seed = table.number("counts_scale", 1.0e4), table.integer("rng_seed", 0)
    table.finish()
    if model == "ideal":
        return {"model": "ideal"}
    if not given:
        notes.change(
            'detector: counts of a PCO camera, the default of dfxm-geo 3; camera.model = "ideal" '
            "gives intensities, as dfxm-geo 2 did"
        )
    notes.restate("detector.rng_seed: the same noise model, but other random numbers")
    return {"model": "pco_edge", "exposure_s": exposure, "counts_per_s": counts, "seed": seed}
