"""Reflections on the grid that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.analysis.distortion_solution import ChangeSolution, solve_changes
from weakbeam.core.arrays import Floats
from weakbeam.errors import RunError
from weakbeam.measured.reflection_map import ReflectionMap
from weakbeam.measured.registration import Registration
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import Sheet, sampled

_TRIMMED = 3.0
"""Deviation from the median, in spreads of the map, from which on a place is no usual one."""


def seen_reflection(one: ReflectionMap) -> SeenReflection:
    """What one reflection tells, in the crystal frame."""
    setup = one.scan.setup
    normal = setup.crystal.cell.plane_normal(setup.hkl)
    change, information = one.in_crystal()
    return SeenReflection(
        setup.hkl,
        one.scan.where,
        normal / np.linalg.norm(normal),
        one.known_in_crystal(),
        change,
        information,
        one.scan.frames,
        facts={
            "gain": one.noise.gain,
            "gain_found": float(one.noise.found),
            "read_noise": one.noise.read,
            "exact": float(one.noise.exact),
            "curve_chi2": float(np.nanmedian(one.chi2)),
            "lit": float(one.lit.mean()),
        },
    )


def mean_changes(sheet: Sheet, seen: Sequence[SeenReflection], fitted: Registration) -> Floats:
    """Mean change of each reflection, (reflections, 3), over the places that all cameras see.

    One distortion explains them all.
    """
    places = sheet.places.reshape(-1, 2)
    values = [
        sampled(view, places, correction, one.change)[0]
        for view, correction, one in zip(sheet.views, fitted.corrections, seen, strict=True)
    ]
    stack = np.stack(values)
    common = np.isfinite(stack).all(axis=(0, 2))
    if not common.any():
        raise RunError("no place is seen, and lit, in all reflections")
    here = stack[:, common]
    middle = np.median(here, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(here - middle), axis=1, keepdims=True)
    usual = (np.abs(here - middle) <= _TRIMMED * spread + 1e-30).all(axis=(0, 2))
    return np.asarray(here[:, usual].mean(axis=1) if usual.any() else middle[:, 0])


def less_changes(seen: Sequence[SeenReflection], changes: Floats) -> list[SeenReflection]:
    """Reflections with changes (reflections, 3) taken off everywhere."""
    return [
        replace(one, change=one.change - offset) for one, offset in zip(seen, changes, strict=True)
    ]


def solved_at(
    sheet: Sheet,
    seen: Sequence[SeenReflection],
    fitted: Registration,
    places: Floats,
    robust: bool,
) -> ChangeSolution:
    """H at places (n, 2) of the sheet, from all reflections that see them."""
    pairs = [
        sampled(view, places, correction, one.change, one.information)
        for view, correction, one in zip(sheet.views, fitted.corrections, seen, strict=True)
    ]
    return solve_changes(
        np.array([one.direction for one in seen]),
        np.stack([value for value, _ in pairs]),
        np.stack([told for _, told in pairs if told is not None]),
        [one.measured for one in seen],
        robust,
    )
