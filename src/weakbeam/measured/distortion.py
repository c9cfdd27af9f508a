"""The nine components of the distortion from scans of several reflections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.bars import Progress, teller
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES
from weakbeam.measured.contradictions import contradictions
from weakbeam.measured.distortion_result import FRAMES, Distortion, SeenReflection
from weakbeam.measured.mid_height import at_mid_height, stiffness_of, with_rays
from weakbeam.measured.on_sheet import from_mean, seen_reflection, solved_at
from weakbeam.measured.reflection_map import MEMORY_BYTES, ReflectionMap, reduce_reflection
from weakbeam.measured.reflection_scan import ReflectionScan, Source, reflection_scans
from weakbeam.measured.registration import Registration, register
from weakbeam.measured.sheet import Correction, Sheet, sheet_of

REFERENCES = ("bragg", "mean")
METHODS = ("curves", "com")
REGISTRATIONS = ("geometry", "shift", "full")

_SURE = 8.0
"""Standard deviations from which on a fitted shift is believed."""
_LEAST_SHIFT = 0.25
"""Part of a place up to which a shift is left to the geometry."""


_COARSE = 3.0
"""Steps of a scan, in widths of the acceptance along its motor, that are said to be coarse."""


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
    progress: Progress | bool | None = None,
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
    progress : callable or bool, optional
        Told which share of the work is newly done; True shows a bar.

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
    tell = teller(progress, 1.0)
    total = sum(one.frames for one in found)
    maps = [
        reduce_reflection(
            one,
            gain=gain,
            dark=dark,
            memory=memory,
            workers=workers,
            progress=None
            if tell is None
            else lambda share, one=one: tell(0.9 * share * one.frames / total),  # type: ignore[misc]
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
    if tell is not None:
        tell(0.1)
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
    seen = [seen_reflection(one) for one in maps]
    notes = [remark for one in maps for remark in _remarks(one)]
    if mean:
        seen = from_mean(
            sheet, seen, Registration((Correction(),) * len(maps), np.empty(0), 0, False)
        )
        notes.append(
            "the mean of the places that all reflections see counts as undistorted: only "
            "differences of the distortion are known"
        )
    stiffness = stiffness_of(maps[0].scan.setup, sheet)
    turn = sheet.axes @ maps[0].scan.setup.sample_from_crystal
    raw = seen = with_rays(sheet, maps, seen)
    geometry = Registration((Correction(),) * len(maps), np.empty(0), 0, False)
    # What rays show beside the middle of the sheet looks like a shift, so it is taken off first.
    seen = at_mid_height(sheet, raw, geometry, stiffness, turn)
    fitted = _registered(sheet, seen, registration)
    notes += _said_of(fitted, sheet, seen, registration)
    if any(correction != Correction() for correction in fitted.corrections):
        seen = at_mid_height(sheet, raw, fitted, stiffness, turn)
    if mean:
        seen = from_mean(sheet, seen, fitted)
    solution = solved_at(sheet, seen, fitted, sheet.places.reshape(-1, 2), robust)
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
    notes = contradictions(result, maps, mean) + notes + _open(result)
    return replace(result, notes=tuple(notes))


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
