"""The nine components of the distortion from scans of several reflections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.measured.contradictions import contradictions
from weakbeam.measured.distortion_notes import (
    open_remarks,
    registration_remarks,
    scan_remarks,
)
from weakbeam.measured.distortion_result import FRAMES, Distortion
from weakbeam.measured.layers import layers_of
from weakbeam.measured.mid_height import at_mid_height, stiffness_of, with_rays
from weakbeam.measured.on_sheet import less_changes, mean_changes, seen_reflection, solved_at
from weakbeam.measured.reflection_files import Source, reflection_scans
from weakbeam.measured.reflection_map import MEMORY_BYTES, ReflectionMap, reduce_reflection
from weakbeam.measured.registration import Registration, register
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import Correction, Sheet, sheet_of

REFERENCES = ("bragg", "mean")
METHODS = ("curves", "com")
REGISTRATIONS = ("geometry", "shift", "full")

_SURE = 8.0
"""Standard deviations from which on a fitted shift is believed."""
_LEAST_SHIFT = 0.25
"""Part of a place up to which a shift is left to the geometry."""


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
        one simulated file with all of them. Scans at several heights of the sample make layers.
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
        The layer in the middle, which knows the others, if there are several.

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
    layers = layers_of(found)
    tell = teller(progress, 1.0)
    total = sum(one.frames for layer in layers for one in layer)
    middle = len(layers) // 2
    gains: list[float | None] = [gain] * len(found)
    maps: dict[int, list[ReflectionMap]] = {}
    for number in sorted(range(len(layers)), key=lambda number: abs(number - middle)):
        maps[number] = [
            reduce_reflection(
                one,
                gain=known,
                dark=dark,
                memory=memory,
                workers=workers,
                progress=None
                if tell is None
                else lambda share, one=one: tell(0.9 * share * one.frames / total),  # type: ignore[misc]
            )
            for one, known in zip(layers[number], gains, strict=True)
        ]
        if number == middle:
            # The camera is the same in all layers.
            gains = [
                one.noise.gain if one.noise.found else known
                for one, known in zip(maps[number], gains, strict=True)
            ]
    result = distortion_of_layers(
        [maps[number] for number in range(len(layers))],
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


def distortion_of_layers(
    layers: Sequence[Sequence[ReflectionMap]],
    *,
    frame: str = "sample",
    reference: str | None = None,
    method: str = "curves",
    registration: str = "shift",
    step_um: float | None = None,
    smooth_um: float = 0.0,
    robust: bool = True,
) -> Distortion:
    """The same from what each reflection shows in each layer; see :func:`distortion`."""
    if method == "com":
        layers = [[one.by_center_of_mass() for one in maps] for maps in layers]
    own = all(one.scan.own for maps in layers for one in maps)
    mean = reference == "mean" or (reference is None and not own)
    middle = len(layers) // 2
    sheet = sheet_of(layers[middle], step_um)
    how = _How(sheet, registration, robust, frame, smooth_um)
    solved: dict[int, Distortion] = {}
    said: list[str] = []
    offsets = None if mean else np.zeros((len(layers[middle]), 3))
    # What counts as undistorted is the same lattice in all layers.
    for number in sorted(range(len(layers)), key=lambda number: abs(number - middle)):
        maps = layers[number]
        solved[number], notes, offsets = _solved_layer(maps, how, offsets)
        alarms = contradictions(solved[number], maps, mean)
        notes = alarms + notes
        if number != middle:
            notes = [f"layer at z = {solved[number].z:.4g} µm: {note}" for note in notes]
        said += [text for text in notes if text not in said]
        said += [text for one in maps for text in scan_remarks(one) if text not in said]
    if mean:
        said.append(
            "the mean of the places that all reflections see counts as undistorted: only "
            "differences of the distortion are known"
        )
    if len(layers) == 2:
        said.append("two layers tell no derivatives along z: three do, in the one between")
    others = tuple(solved[number] for number in sorted(solved) if number != middle)
    return replace(solved[middle], notes=tuple(said), others=others)


def distortion_of_maps(maps: Sequence[ReflectionMap], **options: Any) -> Distortion:
    """The same of a single layer."""
    return distortion_of_layers([maps], **options)


@dataclass(frozen=True)
class _How:
    """What is the same in all layers."""

    sheet: Sheet
    registration: str
    robust: bool
    frame: str
    smoothing: float


def _solved_layer(
    maps: Sequence[ReflectionMap], how: _How, offsets: Floats | None
) -> tuple[Distortion, list[str], Floats]:
    """One layer, what to know of it, and the changes that count as undistorted.

    Those are the mean of this layer unless they are given.
    """
    sheet, first = how.sheet, maps[0].scan.setup
    geometry = Registration((Correction(),) * len(maps), np.empty(0), 0, False)
    seen = [seen_reflection(one) for one in maps]
    known = np.zeros((len(maps), 3)) if offsets is None else offsets
    if offsets is None:
        known = mean_changes(sheet, seen, geometry)
    seen = less_changes(seen, known)
    stiffness = stiffness_of(first, sheet)
    turn = sheet.axes @ first.sample_from_crystal
    raw = seen = with_rays(sheet, maps, seen)
    # What rays show beside the middle of the sheet looks like a shift, so it is taken off first.
    seen = at_mid_height(sheet, raw, geometry, stiffness, turn)
    fitted = _registered(sheet, seen, how.registration)
    notes = registration_remarks(fitted, sheet, seen, how.registration)
    if any(correction != Correction() for correction in fitted.corrections):
        seen = at_mid_height(sheet, raw, fitted, stiffness, turn)
    if offsets is None:
        more = mean_changes(sheet, seen, fitted)
        seen, known = less_changes(seen, more), known + more
    solution = solved_at(sheet, seen, fitted, sheet.places.reshape(-1, 2), how.robust)
    result = Distortion(
        sheet=sheet,
        crystal=first.crystal,
        sample_from_crystal=turn,
        reflections=tuple(seen),
        registration=fitted,
        solution=solution,
        frame=how.frame,
        smoothing=how.smoothing,
        # The sheet is lower in a sample that is raised; no zero has a sign.
        z=0.0 - maps[0].scan.height,
    )
    return result, notes + open_remarks(result), known


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
    numbers = np.array([[c.x, c.y, c.rotation, c.magnification] for c in fitted.corrections])
    # Nothing tells where all cameras look together: most of them are taken to be in place.
    numbers -= np.median(numbers, axis=0)
    sure = np.abs(numbers) > np.maximum(_SURE * errors, least)
    # What is not sure stays with the geometry, which is rarely off; a shift goes as a whole.
    sure[:, :2] = sure[:, :2].any(axis=1, keepdims=True)
    kept = [Correction(*row) for row in np.where(sure, numbers, 0.0).tolist()]
    return replace(fitted, corrections=tuple(kept))
