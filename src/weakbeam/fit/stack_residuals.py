"""What a state of the model leaves of a stack: misfit, mean residuals, shifts of curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.fit.stack_climb import Normal, normal_equations
from weakbeam.fit.stack_curves import ShiftMaps
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_model import Columns, StackModel, State


@dataclass(frozen=True, eq=False)
class Residuals:
    """What is left of a stack.

    Parameters
    ----------
    misfit, noise_misfit, mean : (rows, columns) ndarray
        Mean square of the residuals of each pixel over their variances, and over those of the noise
        alone; their sum over its error.
    maps : ShiftMaps
        The shift of every pixel's curve along the motors that explains most of them.
    normal : Normal
        Normal equations with the scores of the pixels.
    """

    misfit: Floats
    noise_misfit: Floats
    mean: Floats
    maps: ShiftMaps
    normal: Normal

    @classmethod
    def of(cls, model: StackModel, data: StackData, state: State) -> Residuals:
        """Compare a stack with a state."""
        shape = data.shape
        squares, total, weight, counted, noisy = (np.zeros(shape) for _ in range(5))
        moving = np.ptp(data.positions, axis=0) > 0.0
        motors = tuple(int(m) for m in np.flatnonzero(moving))
        met, norm = np.zeros((len(motors), *shape)), np.zeros((len(motors), *shape))
        vectors = model.per_motor[list(motors)].astype(np.float32)

        def each(batch: Columns, residual: Floats32, weights: Floats32) -> None:
            nonlocal squares, total, weight, counted, noisy
            squares += (residual**2 * weights).sum(axis=0)
            _, noise, good = data.read(batch.numbers, 0.0)
            noisy += np.where(good, residual**2 / noise, 0.0).sum(axis=0)
            total += (residual * weights).sum(axis=0)
            weight += weights.sum(axis=0)
            counted += (weights > 0.0).sum(axis=0)
            for n, vector in enumerate(vectors):
                slope = np.tensordot(vector, batch.slopes[:3], 1)
                met[n] += (slope * residual * weights).sum(axis=0)
                norm[n] += (slope * slope * weights).sum(axis=0)

        normal = normal_equations(model, data, state, each, scored=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            misfit = squares / counted
            noise_misfit = noisy / counted
            mean = total / np.sqrt(weight)
            shifts = np.where(norm > 0.0, met / norm, 0.0)
            errors = np.sqrt(np.maximum(misfit, 1.0) / norm)
        errors[:, counted == 0] = np.inf
        light = np.full(shape, float(state.light[0]))
        maps = ShiftMaps(motors, shifts, errors, light, 0.0 * light)
        return cls(misfit, noise_misfit, mean, maps, normal)
