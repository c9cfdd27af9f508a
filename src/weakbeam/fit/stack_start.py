"""Where a fit of a stack begins: its odd pixels, and light, background and tilt by its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.ndimage

from weakbeam.fit.bad_pixels import bad_pixels
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.observation import Bools
from weakbeam.fit.stack_curves import FEWEST_SETTINGS, ShiftMaps
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_maps import MapModel
from weakbeam.fit.stack_model import StackModel, State

_ODD, _ODD_SHARE = 10.0, 0.15
_NEAR_ODD = 5


def odd_pixels(data: StackData, most: int = 24) -> Bools:
    """Hot and dead pixels, by some frames, evenly through the scan.

    Those that differ from their neighbours in every frame, and those that do in the mean of the
    frames, in which no dislocation is as sharp as a pixel: frames without light hide the dead.
    """
    numbers = np.unique(np.linspace(0, len(data) - 1, most).astype(np.intp))
    counts, _, good = data.read(numbers, 0.0)
    odd = bad_pixels(counts, data.noise, good)[0]
    if len(numbers) < FEWEST_SETTINGS:
        return np.asarray(odd)
    counted = good.sum(axis=0)
    mean = counts.sum(axis=0) / np.maximum(counted, 1)
    around = scipy.ndimage.median_filter(mean, _NEAR_ODD, mode="mirror")
    rest = np.abs(mean - around)
    spread = 1.4826 * scipy.ndimage.median_filter(rest, 3 * _NEAR_ODD, mode="mirror")
    return np.asarray(odd | (rest > np.maximum(_ODD * spread, _ODD_SHARE * np.abs(around))))


def start_of(model: StackModel, maps: ShiftMaps, lines: Sequence[FittedDefect]) -> State:
    """Light, background and tilt by the maps, with some lines."""
    known = np.isfinite(maps.errors).any(axis=0) if maps.motors else np.zeros(model.shape, bool)
    if not known.any():
        return model.start(1.0, 0.0)
    light, floor = float(np.median(maps.light[known])), float(np.median(maps.floor[known]))
    state = model.start(light, floor)
    offsets, tilt = state.offsets.copy(), state.tilt.copy()
    whole = MapModel(model, maps, 1)
    for n, motor in enumerate(maps.motors):
        shift = maps.shifts[n].copy()
        for line in lines:
            shift -= whole.of_line(line)[n]
        some = np.isfinite(maps.errors[n])
        terms = np.concatenate([np.ones((1, *model.shape)), model.terms])
        columns = terms[:, some].T
        weight = np.ones(columns.shape[0])
        for _ in range(6):
            best = np.linalg.lstsq(columns * weight[:, None], shift[some] * weight, rcond=None)[0]
            rest = np.abs(shift[some] - columns @ best)
            width = 1.4826 * np.median(rest) + 1e-9
            # Little weight for what is near a core.
            weight = 1.0 / np.sqrt(1.0 + (rest / (2.0 * width)) ** 2)
        offsets[motor] = best[0]
        # About y what φ adds, about x what χ does.
        turn = (1, 0, 2)[motor]
        if turn in model.components:
            along = model.per_motor[motor]
            tilt[turn] = best[1:] * float(along @ along) / float(along @ model.lattice[turn])
    return replace(state, offsets=offsets, tilt=tilt, lines=tuple(lines))
