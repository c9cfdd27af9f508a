"""What the files of a distortion hold."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

import numpy as np

from weakbeam.analysis.distortion_tensors import COMPONENT_NAMES
from weakbeam.core.arrays import Floats
from weakbeam.io.entry import ImageAxis
from weakbeam.io.maps_file import StoredMaps
from weakbeam.measured.circuit import Circuit
from weakbeam.measured.distortion_figures import STRAINS, lattice_text
from weakbeam.measured.distortion_result import Distortion

CIRCUIT_HEAD = (
    "circuit",
    "z_um",
    "frame",
    "bx_um",
    "by_um",
    "bz_um",
    "bx_error_um",
    "by_error_um",
    "bz_error_um",
    "bx_crystal_um",
    "by_crystal_um",
    "bz_crystal_um",
    "lattice_vector",
    "corners_um",
)
"""Columns of the table of circuits."""

_AT = {"x": 0, "y": 1, "z": 2}


def stored_distortion(result: Distortion) -> StoredMaps:
    """The maps of a distortion with their units and what tells how they came about."""
    maps: dict[str, tuple[Floats, str, str]] = {}
    frame = f"{result.frame} axes"

    def add(name: str, values: Floats, unit: str, text: str) -> None:
        if np.isfinite(values).any():
            maps[name] = np.asarray(values, dtype=np.float64), unit, text

    beta, error = (x.reshape(*result.shape, 9) for x in (result.beta, result.beta_error))
    for k, name in enumerate(COMPONENT_NAMES):
        add(f"beta_{name}", beta[..., k], "", f"distortion β_{name}, {frame}")
    for k, name in enumerate(COMPONENT_NAMES):
        add(f"beta_{name}_error", error[..., k], "", f"standard deviation of β_{name}")
    strain, strain_error = result.strain, result.strain_error
    for name in STRAINS:
        i, j = _AT[name[0]], _AT[name[1]]
        add(f"strain_{name}", strain[..., i, j], "", f"strain ε_{name}, {frame}")
        add(f"strain_{name}_error", strain_error[..., i, j], "", f"standard deviation of ε_{name}")
    turn, turn_error = result.rotation, result.rotation_error
    for k, name in enumerate("xyz"):
        add(f"rotation_{name}", turn[..., k], "rad", f"rotation of the lattice ω_{name}, {frame}")
        add(f"rotation_{name}_error", turn_error[..., k], "rad", f"standard deviation of ω_{name}")
    stress, stress_error = result.stress, result.stress_error
    if stress is not None and stress_error is not None:
        for name in STRAINS:
            i, j = _AT[name[0]], _AT[name[1]]
            add(f"stress_{name}", stress[..., i, j], "MPa", f"stress σ_{name}, {frame}")
            add(
                f"stress_{name}_error",
                stress_error[..., i, j],
                "MPa",
                f"standard deviation of σ_{name}",
            )
    nye = result.nye.reshape(*result.shape, 9)
    for k, name in enumerate(COMPONENT_NAMES):
        add(f"nye_{name}", nye[..., k], "1/um", f"Nye tensor α_{name}, sample axes")
    which = "" if np.isfinite(nye[..., 0]).any() else " that cross the sheet"
    add(
        "dislocation_density",
        result.dislocation_density,
        "1/um^2",
        f"least density of dislocations{which}",
    )
    add("chi2", result.chi2, "", "χ² per degree of freedom of the reflections together")
    add("reflections_seen", result.seen.astype(np.float64), "", "how many reflections are lit here")
    axes = tuple(
        ImageAxis(name, values, f"{name} (µm)")
        for name, values in (("y", result.y), ("x", result.x))
    )
    return StoredMaps(
        title="distortion from "
        + ", ".join(one.name for one in result.reflections)
        + (f", layer at z = {result.z:.4g} µm" if result.others else ""),
        maps=maps,
        image_axes=(axes[0], axes[1]),
        process=_process(result),
    )


def stored_layers(result: Distortion) -> dict[str, StoredMaps]:
    """The maps of all layers under the names of their entries, the lowest layer first."""
    return {
        f"{number}.1": stored_distortion(layer) for number, layer in enumerate(result.layers, 1)
    }


def _process(result: Distortion) -> dict[str, object]:
    shifts = np.array(
        [[c.x, c.y, c.rotation, c.magnification] for c in result.registration.corrections]
    )
    left = result.open_combinations
    covariance = result.covariance.astype(np.float32)
    process: dict[str, object] = {
        "frame": result.frame,
        "z_um": (result.z, "um"),
        "reflections": np.array([one.hkl for one in result.reflections]),
        "scans": "\n".join(one.source for one in result.reflections),
        "frames": np.array([one.frames for one in result.reflections]),
        "gain": np.array([one.facts["gain"] for one in result.reflections]),
        "read_noise": np.array([one.facts["read_noise"] for one in result.reflections]),
        "curve_chi2": np.array([one.facts["curve_chi2"] for one in result.reflections]),
        "camera_shift_um": (shifts[:, :2], "um"),
        "camera_rotation": (shifts[:, 2], "rad"),
        "camera_magnification": 1.0 + shifts[:, 3],
        "camera_shift_error_um": (result.registration.errors[:, :2], "um"),
        "sample_from_crystal": result.sample_from_crystal,
        "grid_axes": result.sheet.axes,
        "smoothing_um": (result.smoothing, "um"),
        "open_combinations": "\n".join(one.text for one in left),
        "notes": "\n".join(result.notes),
        "covariance": covariance,
    }
    if left:
        process["open_tensors"] = np.array([one.tensor for one in left])
    return process


def circuits_text(circuits: Sequence[tuple[int, Circuit]], frame: str) -> str:
    """The table of circuits (CSV), a row each; of layers the same number in each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CIRCUIT_HEAD)
    for number, one in circuits:
        corners = "; ".join(f"{x:.6g} {y:.6g}" for x, y in one.vertices.tolist())
        errors = ["" if math.isnan(x) else f"{x:.6g}" for x in one.error.tolist()]
        writer.writerow(
            [
                number,
                f"{one.z:.6g}",
                frame,
                *(f"{x:.8g}" for x in one.burgers.tolist()),
                *errors,
                *(f"{x:.8g}" for x in one.crystal.tolist()),
                "" if one.lattice is None else lattice_text(one),
                corners,
            ]
        )
    return text.getvalue()
