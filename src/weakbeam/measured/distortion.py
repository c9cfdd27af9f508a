"""The nine components of the distortion from scans of several reflections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import scipy.ndimage

from weakbeam.analysis.distortion_solution import ChangeSolution, solve_changes
from weakbeam.analysis.ray_means import excess_of_mean
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.diffraction.lattice_change import displacement_gradient
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES
from weakbeam.measured.distortion_result import FRAMES, Distortion, SeenReflection
from weakbeam.measured.reflection_map import (
    MEMORY_BYTES,
    ReflectionMap,
    less_information,
    reduce_reflection,
)
from weakbeam.measured.reflection_scan import ReflectionScan, Source, reflection_scans
from weakbeam.measured.registration import Registration, register
from weakbeam.measured.sheet import Correction, Sheet, sampled, sheet_of

REFERENCES = ("bragg", "mean")
METHODS = ("curves", "com")
REGISTRATIONS = ("geometry", "shift", "full")

_SURE = 8.0
"""Standard deviations from which on a fitted shift is believed."""
_LEAST_SHIFT = 0.25
"""Part of a place up to which a shift is left to the geometry."""

_BAD_CHI2, _BAD_SHARE = 4.0, 0.1
"""Median χ² and unexplained share from which on the reflections contradict each other."""
_BETTER = 0.4
"""Part of the unexplained share at which exchanged files explain the scans instead."""

_HEIGHT_ROUNDS = 2
_MOST_DOUBT = 0.25
"""Next order, relative to the second, up to which means over the beam's height are taken off."""
_COARSE = 3.0
"""Steps of a scan, in widths of the acceptance along its motor, that are said to be coarse."""
_MOST_TRIED = 4000
_TRIMMED = 3.0


def distortion(
    scans: Sequence[Source] | Source,
    experiment: Experiment | None = None,
    *,
    frame: str = "sample",
    reference: str | None = None,
    method: str = "curves",
    registration: str = "shift",
    step_um: float | None = None,
    smooth_um: float = 0.0,
    gain: float | None = None,
    dark: float | None = None,
    robust: bool = True,
    memory: int = MEMORY_BYTES,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Distortion:
    """The distortion of the lattice from scans of several reflections, with errors.

    Parameters
    ----------
    scans : sequence of path, or path
        ``FILE`` or ``FILE::ENTRIES``, one for each reflection of the experiment in its order; or
        one simulated file with all of them.
    experiment : Experiment, optional
        Crystal, instrument, camera and reflections; by default what a simulated file holds.
    frame : {"sample", "crystal"}
        Axes of the tensors.
    reference : {"bragg", "mean"}, optional
        What counts as undistorted: the lattice at the Bragg settings of the experiment, or the mean
        of the places that all reflections see. By default ``bragg`` for simulated files and
        ``mean`` for others, whose zeros are hardly known.
    method : {"curves", "com"}
        Maximum likelihood on the curves, or the linear step from centres of mass alone.
    registration : {"geometry", "shift", "full"}
        Whether shifts, or shifts, rotations and magnifications of the cameras are fitted.
    step_um : float, optional
        Distance of places (µm); by default the side of a pixel.
    smooth_um : float
        Standard deviation of a Gaussian over the maps (µm).
    gain, dark : float, optional
        Counts per photon, and dark level; found from the counts unless given.
    robust : bool
        Whether reflections that contradict the others count less, where there are enough.
    memory : int
        Bytes of frames that are held at once.
    workers : int, optional
        Threads; results do not depend on it.
    progress : callable, optional
        Told which share of the work is newly done.

    Returns
    -------
    Distortion

    Raises
    ------
    InputError
        If a scan cannot be read or does not belong to the experiment, or the reflections cut
        different sheets out of the crystal.
    RunError
        If a scan has no light.
    """
    for key, value, allowed in (
        ("frame", frame, FRAMES),
        ("method", method, METHODS),
        ("registration", registration, REGISTRATIONS),
        ("reference", reference or REFERENCES[0], REFERENCES),
    ):
        if value not in allowed:
            raise InputError(key, value, f"must be one of {', '.join(allowed)}")
    if not (smooth_um >= 0.0 and math.isfinite(smooth_um)):
        raise InputError("smooth_um", smooth_um, "must be a length from 0 on")
    given = [scans] if isinstance(scans, str) or not isinstance(scans, Sequence) else list(scans)
    if not given:
        raise InputError("scan", None, "missing: give a scan of each reflection")
    found = reflection_scans(given, experiment)
    total = sum(one.frames for one in found)
    maps = [
        reduce_reflection(
            one,
            gain=gain,
            dark=dark,
            memory=memory,
            workers=workers,
            progress=None
            if progress is None
            else lambda share, one=one: progress(0.9 * share * one.frames / total),  # type: ignore[misc]
        )
        for one in found
    ]
    result = distortion_of_maps(
        maps,
        frame=frame,
        reference=reference,
        method=method,
        registration=registration,
        step_um=step_um,
        smooth_um=smooth_um,
        robust=robust,
    )
    if progress is not None:
        progress(0.1)
    return result


def distortion_of_maps(
    maps: Sequence[ReflectionMap],
    *,
    frame: str = "sample",
    reference: str | None = None,
    method: str = "curves",
    registration: str = "shift",
    step_um: float | None = None,
    smooth_um: float = 0.0,
    robust: bool = True,
) -> Distortion:
    """The same from what each reflection shows; see :func:`distortion`."""
    if method == "com":
        maps = [one.by_center_of_mass() for one in maps]
    mean = reference == "mean" or (reference is None and not all(one.scan.own for one in maps))
    sheet = sheet_of(maps, step_um)
    seen = [_seen(one) for one in maps]
    notes = [remark for one in maps for remark in _remarks(one)]
    if mean:
        seen = _from_mean(
            sheet, seen, Registration((Correction(),) * len(maps), np.empty(0), 0, False)
        )
        notes.append(
            "the mean of the places that all reflections see counts as undistorted: only "
            "differences of the distortion are known"
        )
    stiffness = _stiffness(maps[0].scan.setup, sheet)
    turn = sheet.axes @ maps[0].scan.setup.sample_from_crystal
    raw = seen = _with_rays(sheet, maps, seen)
    geometry = Registration((Correction(),) * len(maps), np.empty(0), 0, False)
    # What rays show beside the middle of the sheet looks like a shift, so it is taken off first.
    seen = _at_mid_height(sheet, raw, geometry, stiffness, turn)
    fitted = _registered(sheet, seen, registration)
    notes += _said_of(fitted, sheet, seen, registration)
    if any(correction != Correction() for correction in fitted.corrections):
        seen = _at_mid_height(sheet, raw, fitted, stiffness, turn)
    if mean:
        seen = _from_mean(sheet, seen, fitted)
    solution = _solved(sheet, seen, fitted, sheet.places.reshape(-1, 2), robust)
    first = maps[0].scan.setup
    result = Distortion(
        sheet=sheet,
        crystal=first.crystal,
        sample_from_crystal=sheet.axes @ first.sample_from_crystal,
        reflections=tuple(seen),
        registration=fitted,
        solution=solution,
        frame=frame,
        smoothing=smooth_um,
    )
    notes = _contradictions(result, maps, mean) + notes + _open(result)
    return replace(result, notes=tuple(notes))


def _seen(one: ReflectionMap) -> SeenReflection:
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


def _stiffness(setup: Setup, sheet: Sheet) -> Floats:
    """C_ijkl in the axes of the grid, in any unit: of the fields' medium."""
    medium = setup.crystal.medium
    if isinstance(medium, IsotropicMedium):
        delta, nu = np.eye(3), medium.poisson_ratio
        pairs = np.einsum("ik,jl->ijkl", delta, delta) + np.einsum("il,jk->ijkl", delta, delta)
        trace = 2.0 * nu / (1.0 - 2.0 * nu) * np.einsum("ij,kl->ijkl", delta, delta)
        return np.asarray(trace + pairs)
    turned = medium.turned(sheet.axes @ setup.sample_from_crystal)
    return np.asarray(turned.stiffness)


def _with_rays(
    sheet: Sheet, maps: Sequence[ReflectionMap], seen: Sequence[SeenReflection]
) -> list[SeenReflection]:
    """Reflections that know where their rays go through the sheet."""
    first, known = maps[0].scan.setup, []
    for one, reflection in zip(maps, seen, strict=True):
        setup = one.scan.setup
        grid = setup.grids[-1]
        turn = sheet.axes @ first.sample_from_crystal @ setup.sample_from_crystal.T
        x, y, z = turn @ grid.along_ray
        variance = float(grid.weights @ grid.depths**2 - (grid.weights @ grid.depths) ** 2)
        known.append(replace(reflection, height_variance=variance, along=(x / z, y / z)))
    return known


def _at_mid_height(
    sheet: Sheet,
    seen: Sequence[SeenReflection],
    fitted: Registration,
    stiffness: Floats,
    turn: Floats,
) -> list[SeenReflection]:
    """Changes in the middle of the sheet, of means over the height of the beam."""
    corrected = list(seen)
    if not any(one.height_variance > 0.0 for one in seen) or not _HEIGHT_ROUNDS:
        return corrected
    places = sheet.places.reshape(-1, 2)
    for _ in range(_HEIGHT_ROUNDS):
        solution = _solved(sheet, corrected, fitted, places, False)
        whole = solution.open.get((1 << len(seen)) - 1)
        if whole is None or whole.shape[1]:
            # Without all components their derivatives along the normal are not known.
            return list(seen)
        beta = turn @ displacement_gradient(solution.change) @ turn.T
        full = solution.pattern == (1 << len(seen)) - 1
        beta[~full] = np.nan
        maps = beta.reshape(*sheet.shape, 3, 3)
        corrected = []
        for view, correction, one in zip(sheet.views, fitted.corrections, seen, strict=True):
            excess, doubt = excess_of_mean(
                maps, sheet.step, one.along, one.height_variance, stiffness
            )
            excess = turn.T @ excess @ turn
            # h = H g, and H = -βᵀ to first order.
            offset = -np.einsum("rcij,i->rcj", excess, one.direction)
            rows, columns = view.shape
            index = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1)
            at = correction.put_on(view.origin + index @ view.steps)
            # Near a core the series has no end: little is taken off, and little believed.
            believed = 1.0 / (1.0 + (doubt / _MOST_DOUBT) ** 2)
            moved = _on_grid(sheet, offset * believed[..., None], at)
            left = _on_grid(sheet, offset * (1.0 - believed + doubt)[..., None], at)
            corrected.append(
                replace(
                    one,
                    change=one.change - moved,
                    information=less_information(one.information, left),
                )
            )
    return corrected


def _on_grid(sheet: Sheet, values: Floats, places: Floats) -> Floats:
    """Values (rows, columns, 3) of the grid at places (..., 2); zero outside (bilinear)."""
    start = np.array([sheet.y[0], sheet.x[0]])
    index = (places[..., ::-1] - start) / sheet.step
    coordinates = np.moveaxis(index, -1, 0)
    return np.stack(
        [
            scipy.ndimage.map_coordinates(values[..., k], coordinates, order=1, cval=0.0)
            for k in range(values.shape[-1])
        ],
        axis=-1,
    )


def _remarks(one: ReflectionMap) -> list[str]:
    """What is odd about a scan and its curves."""
    where = f"{one.scan.name}, {one.scan.where}"
    said = [text for scan in one.scan.scans for text in scan.warnings]
    chi2 = float(np.nanmedian(one.chi2))
    if not one.noise.exact and chi2 > 2.0:
        said.append(
            f"{where}: the curves have χ² {chi2:.3g} per degree of freedom: optics, gain or the "
            "blur of the camera are not those of the experiment; errors were made larger for it"
        )
    said += [f"{where}: {text}" for text in _coarse(one.scan)]
    if one.noise.found:
        said.append(
            f"{where}: {one.noise.gain:.3g} counts per photon, found from the scatter about the "
            "curves"
        )
    if one.noise.exact:
        said.append(f"{where}: intensities without noise: no errors are told")
    setup = one.scan.setup
    if setup.detector.spread is not None:
        said.append(f"{where}: the blur of the camera is not taken out")
    if setup.tracing is not None or setup.kernel is not None:
        said.append(
            f"{where}: curves are fitted by the closed form of the acceptance, not its table"
        )
    return said


def _coarse(scan: ReflectionScan) -> list[str]:
    """Motors whose steps the acceptance falls between."""
    setup, said = scan.setup, []
    precision = np.linalg.inv(setup.acceptance.covariance())
    numbers = [ANGLES.index(name) for name in scan.moving]
    vectors = setup.geometry.motor_vectors[numbers]
    # Whatever a motor does that the others do as well, they make good.
    widths = np.sqrt(np.diag(np.linalg.pinv(vectors @ precision @ vectors.T, hermitian=True)))
    for name, k, width in zip(scan.moving, numbers, widths, strict=True):
        positions = np.unique(np.round(scan.offsets[:, k], 9))
        step = float(np.median(np.diff(positions)))
        if step > _COARSE * width:
            said.append(
                f"steps of {name} are {step / width:.1f} standard deviations of the acceptance: "
                "light falls between frames; is it this motor that rocks?"
            )
    return said


def _registered(sheet: Sheet, seen: Sequence[SeenReflection], how: str) -> Registration:
    """Corrections of the cameras, as far as they are sure."""
    count = len(seen)
    none = Registration(
        tuple(Correction() for _ in range(count)), np.full((count, 4), np.nan), 0, False
    )
    told = sum(len(one.measured) for one in seen)
    if how == "geometry" or told <= 9 or count < 4:
        return none
    fitted = register(
        sheet,
        np.array([one.direction for one in seen]),
        [one.change for one in seen],
        [one.information for one in seen],
        4 if how == "full" else 2,
        not any(one.facts.get("exact", 0.0) for one in seen),
    )
    if not fitted.fitted:
        return none
    errors = np.nan_to_num(fitted.errors, nan=np.inf)
    least = np.array([_LEAST_SHIFT * sheet.step] * 2 + [1e-4] * 2)
    kept = []
    for correction, error in zip(fitted.corrections, errors, strict=True):
        numbers = np.array(
            [correction.x, correction.y, correction.rotation, correction.magnification]
        )
        # What is not sure stays with the geometry, which is rarely off.
        sure = np.abs(numbers) > np.maximum(_SURE * error, least)
        kept.append(Correction(*np.where(sure, numbers, 0.0).tolist()))
    return replace(fitted, corrections=tuple(kept))


def _said_of(
    fitted: Registration, sheet: Sheet, seen: Sequence[SeenReflection], how: str
) -> list[str]:
    if how == "geometry":
        return []
    if not fitted.fitted:
        return [
            "cameras lie on each other by their geometry alone: the reflections tell no more than "
            "the distortion, so that no shift between them would show"
        ]
    said = []
    for one, correction, error in zip(seen, fitted.corrections, fitted.errors, strict=True):
        if correction.x or correction.y:
            pixels = math.hypot(correction.x, correction.y) / sheet.step
            said.append(
                f"{one.name}: its camera looks ({correction.x:+.3f} ± {error[0]:.3f}, "
                f"{correction.y:+.3f} ± {error[1]:.3f}) µm off its geometry, {pixels:.1f} places"
            )
        if correction.rotation or correction.magnification:
            said.append(
                f"{one.name}: its camera is turned by {1e3 * correction.rotation:.2f} mrad and "
                f"magnifies {1.0 + correction.magnification:.4f} times"
            )
    return said


def _from_mean(
    sheet: Sheet, seen: Sequence[SeenReflection], fitted: Registration
) -> list[SeenReflection]:
    """Changes from the mean over the places that all cameras see, which is one distortion."""
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
    mean = here[:, usual].mean(axis=1) if usual.any() else middle[:, 0]
    return [
        replace(one, change=one.change - offset) for one, offset in zip(seen, mean, strict=True)
    ]


def _solved(
    sheet: Sheet,
    seen: Sequence[SeenReflection],
    fitted: Registration,
    places: Floats,
    robust: bool,
) -> ChangeSolution:
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


def _open(result: Distortion) -> list[str]:
    """What the reflections leave open, and where."""
    said = []
    left = result.open_combinations
    if left:
        names = "; ".join(one.text for one in left)
        said.append(
            f"{9 - len(left)} of 9 components or combinations are determined ({result.frame} "
            f"axes); open: {names}"
        )
    count = len(result.reflections)
    seen = result.seen
    every, some = int((seen == count).sum()), int(((seen > 0) & (seen < count)).sum())
    said.append(
        f"{every} places are seen in all {count} reflections, {some} in some of them, "
        f"{int((seen == 0).sum())} in none"
    )
    if every == 0:
        said.insert(0, "NO PLACE IS SEEN IN ALL REFLECTIONS")
    return said


# ---------------------------------------------------------------------- contradictions


def _contradictions(result: Distortion, maps: Sequence[ReflectionMap], mean: bool) -> list[str]:
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
        seen = [_seen(one) for one in swapped]
        sheet = sheet_of(swapped, result.sheet.step)
        try:
            if mean:
                seen = _from_mean(sheet, seen, geometry)
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
