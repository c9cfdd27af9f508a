"""What to say where reflections do not agree on one distortion, and what would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from weakbeam.errors import RunError
from weakbeam.measured.distortion_result import Distortion
from weakbeam.measured.on_sheet import less_changes, mean_changes, seen_reflection
from weakbeam.measured.reflection_map import ReflectionMap
from weakbeam.measured.reflection_scan import ReflectionScan
from weakbeam.measured.registration import Registration
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import Correction, Sheet, sampled, sheet_of

_BAD_CHI2, _BAD_SHARE = 4.0, 0.1
"""Median χ² and unexplained share from which on the reflections contradict each other."""
_BETTER = 0.4
"""Part of the unexplained share at which exchanged files explain the scans instead."""
_MOST_TRIED = 4000


def contradictions(result: Distortion, maps: Sequence[ReflectionMap], mean: bool) -> list[str]:
    """Say loudly where the reflections do not agree on one distortion, and what would."""
    freedom = int(result.solution.freedom.max(initial=0))
    if freedom <= 0:
        return [
            "the reflections tell no more than the distortion: a wrong hkl or exchanged files "
            "would not show"
        ]
    chi2 = float(np.nanmedian(np.where(result.seen == len(maps), result.chi2, np.nan)))
    share = _unexplained(result.sheet, result.reflections, result.registration)
    exact = not result.has_errors
    if not (share > _BAD_SHARE and (exact or chi2 > _BAD_CHI2)):
        return []
    said = [
        f"THE REFLECTIONS CONTRADICT EACH OTHER: {share:.0%} of what they show fits no distortion "
        f"(χ² {chi2:.3g}, should be 1): a wrong hkl, a wrong file, or another place?"
    ]
    geometry = Registration((Correction(),) * len(maps), np.empty(0), 0, False)
    best: tuple[float, str] | None = None
    for a, b in combinations(range(len(maps)), 2):
        if maps[a].scan.shape != maps[b].scan.shape:
            continue
        swapped = list(maps)
        swapped[a], swapped[b] = _with_scan_of(maps[a], maps[b]), _with_scan_of(maps[b], maps[a])
        seen = [seen_reflection(one) for one in swapped]
        sheet = sheet_of(swapped, result.sheet.step)
        try:
            if mean:
                seen = less_changes(seen, mean_changes(sheet, seen, geometry))
            other = _unexplained(sheet, seen, geometry)
        except RunError:
            continue
        if best is None or other < best[0]:
            names = f"{maps[a].scan.name} and {maps[b].scan.name}"
            best = other, names
    if best is not None and best[0] < _BETTER * share:
        said.append(f"EXCHANGE THE SCANS of {best[1]}: with that {best[0]:.0%} stays unexplained")
    return said


def _with_scan_of(one: ReflectionMap, other: ReflectionMap) -> ReflectionMap:
    """The map of one scan, taken for that of the reflection of another."""
    scan: ReflectionScan = replace(one.scan, setup=other.scan.setup)
    # Curves were fitted as those of the other reflection; where the motors stood is what it is.
    return replace(one, scan=scan).by_center_of_mass()


def _unexplained(sheet: Sheet, seen: Sequence[SeenReflection], fitted: Registration) -> float:
    """Root of the share of the changes' squares that no distortion explains."""
    places = sheet.places.reshape(-1, 2)
    places = places[:: max(len(places) // _MOST_TRIED, 1)]
    h = np.stack(
        [
            sampled(view, places, correction, one.change)[0]
            for view, correction, one in zip(sheet.views, fitted.corrections, seen, strict=True)
        ]
    )
    common = np.isfinite(h).all(axis=(0, 2))
    if not common.any():
        raise RunError("no place is seen in all reflections")
    h = h[:, common]
    # Each component of the change by its own usual size, which noise is the least part of.
    rows = [np.einsum("mi,j->mij", one.measured, one.direction).reshape(-1, 9) for one in seen]
    values = [np.einsum("mi,ni->nm", one.measured, part) for one, part in zip(seen, h, strict=True)]
    sizes = [np.median(np.abs(value), axis=0) + 1e-30 for value in values]
    largest = max(float(size.max()) for size in sizes)
    widths = [np.maximum(size, 0.2 * largest) for size in sizes]
    matrix = np.concatenate([row / width[:, None] for row, width in zip(rows, widths, strict=True)])
    told = np.concatenate([value / width for value, width in zip(values, widths, strict=True)], 1).T
    solved = np.linalg.lstsq(matrix, told, rcond=None)[0]
    away = np.linalg.norm(told - matrix @ solved, axis=0)
    size = np.linalg.norm(told, axis=0)
    return float(np.median(away) / max(float(np.median(size)), 1e-300))
