"""Libraries and training sets of dfxm-identify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weakbeam.compat.defects import mixed_lines
from weakbeam.compat.keys import Keys, Notes, Triple
from weakbeam.errors import InputError

Section = dict[str, Any]

MODES = ("single", "multi", "z-scan")

CRYSTAL_KEYS = frozenset(
    {
        "slip_plane_normal",
        "angle_start_deg",
        "angle_stop_deg",
        "angle_step_deg",
        "b_vector_indices",
        "sweep_all_slip_planes",
        "exclude_invisibility",
        "invisibility_threshold_deg",
    }
)
"""Keys of ``[crystal]`` that only dfxm-identify has."""

_PLANES: tuple[Triple, ...] = ((1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, 1, 1))

_BURGERS: tuple[tuple[Triple, Triple, Triple], ...] = (
    ((-1, 1, 0), (1, 0, -1), (0, 1, -1)),
    ((1, 1, 0), (1, 0, -1), (0, 1, 1)),
    ((1, -1, 0), (1, 0, 1), (0, -1, -1)),
    ((-1, -1, 0), (-1, 0, -1), (0, 1, -1)),
)
"""Burgers vectors of each plane as they are numbered; 3, 4 and 5 are their negatives."""


def is_identification(data: Mapping[str, Any]) -> bool:
    """Whether a file of dfxm-geo is one for dfxm-identify."""
    crystal = data.get("crystal")
    return any(name in data for name in ("mode", "multi", "zscan")) or (
        isinstance(crystal, Mapping) and not CRYSTAL_KEYS.isdisjoint(crystal)
    )


def identify_section(keys: Keys, mode: str, crystal: Keys, counts: bool, seed: int) -> Section:
    """Take what dfxm-identify makes images of.

    Parameters
    ----------
    keys, crystal : Keys
        The file, and its ``[crystal]``.
    mode : {"single", "multi", "z-scan"}
        What is made.
    counts : bool
        Whether the camera counts.
    seed : int
        Seed of the camera.

    Raises
    ------
    InputError
        If a value is not one that dfxm-geo allows.
    """
    notes = keys.notes
    candidates: Section = {"mode": mode, "seed": seed}
    multi = keys.table("multi")
    sweep = crystal.flag("sweep_all_slip_planes", True) or mode == "multi"
    if sweep:
        crystal.ignore("all planes are taken", "slip_plane_normal")
    plane = crystal.indices("slip_plane_normal", (1, 1, 1))
    if not sweep:
        candidates["planes"] = [list(plane)]
    _burgers(crystal, candidates, sweep, plane)
    _characters(crystal, candidates)
    crystal.ignore(
        "candidates that cannot be seen are marked, not left out",
        "exclude_invisibility",
        "invisibility_threshold_deg",
    )
    mixed_lines(notes)
    if mode == "multi":
        _training_set(multi, candidates, notes)
    elif counts:
        candidates["noise"] = True
    multi.finish()
    return candidates


def heights_of(keys: Keys, mode: str, identify: Section) -> Section | None:
    """Take the heights of the sample: an axis of the scan, or None where there are none."""
    table = keys.table("zscan")
    reason = "libraries have one dislocation in each image"
    table.ignore(reason, "include_secondary", "secondary_rng_offset", "render_per_dislocation")
    if mode != "z-scan":
        table.ignore(f'mode is "{mode}"', "z_offsets_um")
        table.finish()
        return None
    heights = [float(z) for z in table.values("z_offsets_um", "numbers", _is_number)]
    table.finish()
    if len(heights) == 1:
        identify["mode"] = "single"
        return {"value_um": heights[0]}
    return {"values_um": heights}


def _training_set(table: Keys, candidates: Section, notes: Notes) -> None:
    candidates["images"] = table.integer("n_samples", 1000, least=1)
    candidates["dislocations"] = 2
    candidates["labels"] = table.flag("render_per_dislocation", False)
    table.ignore("points are drawn evenly over the field of view", "pos_std_um")
    notes.change("multi: the same kind of images, but other random dislocations")


def _burgers(crystal: Keys, candidates: Section, sweep: bool, plane: Triple) -> None:
    name = "b_vector_indices"
    if name not in crystal:
        crystal.ignore("", name)
        return
    indices = crystal.values(name, "integers from 0 to 5", lambda v: v in range(6))
    planes = _PLANES if sweep else (plane,)
    vectors = []
    for glide_plane in planes:
        if glide_plane not in _PLANES:
            raise InputError(crystal.name(name), indices, f"needs a plane among {_PLANES}")
        numbered = _BURGERS[_PLANES.index(glide_plane)]
        for index in indices:
            vector = [n if index < 3 else -n for n in numbered[index % 3]]
            if vector not in vectors:
                vectors.append(vector)
    candidates["burgers"] = vectors
    if sweep:
        crystal.notes.change(
            "crystal.b_vector_indices: identify.burgers has their vectors of all planes, each of "
            "which is taken in every plane that it lies in"
        )


def _characters(crystal: Keys, candidates: Section) -> None:
    start = crystal.number("angle_start_deg", 0.0)
    stop = crystal.number("angle_stop_deg", 350.0)
    step = crystal.number("angle_step_deg", 10.0)
    if step <= 0.0 or stop < start:
        raise InputError(crystal.name("angle_step_deg"), step, "must lead from start to stop")
    count = int(np.floor((stop - start) / step + 1e-9)) + 1
    if start == 0.0 and abs(count * step - 360.0) < 1e-9:
        candidates["character_step_deg"] = step
    else:
        candidates["characters_deg"] = [start + k * step for k in range(count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
