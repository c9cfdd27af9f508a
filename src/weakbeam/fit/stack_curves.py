"""How far the curve of every pixel of a stack is shifted along each motor: maps of the lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.turned import AT_BRAGG, motor_shifts
from weakbeam.fit.observation import Bools
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_model import StackModel

FEWEST_SETTINGS = 5
"""Settings of a motor from which on the shift of a curve along it is measured."""

_PER_STEP = 8
"""Nodes of the table of a curve per step of the motor."""

_MUCH = 0.25
_FIT_STEPS = 4
_FWHM = 2.3548
_SMALLEST_ERROR = 5e-7
"""Of a shift (rad): what the model of a single ray per pixel is not better than."""


@dataclass(frozen=True, eq=False)
class ShiftMaps:
    """Shifts of curves.

    Parameters
    ----------
    motors : tuple of int
        Which of φ, χ and 2θ they are along.
    shifts : (motors, rows, columns) ndarray
        Where the crystal stands beside its Bragg setting (rad): what is to be added to the readings
        of the motor.
    errors : (motors, rows, columns) ndarray
        Standard errors, with what the curve leaves unexplained; infinite where nothing is known.
    light : (rows, columns) ndarray
        Counts at the peak of the brightest frame.
    floor : (rows, columns) ndarray
        Counts beside it.
    """

    motors: tuple[int, ...]
    shifts: Floats
    errors: Floats
    light: Floats
    floor: Floats

    def binned(self, step: int) -> ShiftMaps:
        """Maps with squares of pixels together."""
        if step == 1:
            return self
        rows, columns = (size // step * step for size in self.light.shape)
        shape = (-1, rows // step, step, columns // step, step)

        def parts(array: Floats) -> Floats:
            cut = array.reshape(-1, *array.shape[-2:])[:, :rows, :columns]
            squares = np.moveaxis(cut.reshape(shape), 2, 3)
            return np.asarray(squares.reshape(*squares.shape[:3], step * step))

        weight = parts(self.errors**-2.0)
        total = weight.sum(axis=-1)
        shift = parts(self.shifts)
        some = np.maximum(total, 1e-300)
        mean = (weight * shift).sum(axis=-1) / some
        spread = (weight * (shift - mean[..., None]) ** 2).sum(axis=-1) / some
        known = (weight > 0.0).sum(axis=-1)
        with np.errstate(divide="ignore"):
            errors = np.where(
                known > step * step // 2, np.sqrt(1.0 / some + spread / step**2), np.inf
            )
        light, floor = parts(self.light)[0].mean(axis=-1), parts(self.floor)[0].mean(axis=-1)
        return ShiftMaps(self.motors, mean, errors, light, floor)


def shift_maps(model: StackModel, data: StackData) -> ShiftMaps:
    """Fit the curve of every pixel along each motor that moves.

    Counts are summed over the settings of the other motors. A curve is that of the perfect crystal,
    shifted, with brightness and floor of its own.

    Parameters
    ----------
    model : StackModel
        The instrument; its zero offsets are taken as 0.
    data : StackData
        The stack.

    Returns
    -------
    ShiftMaps
        Of motors with 5 settings or more; of none, there is none.
    """
    positions = data.positions
    axes = [np.unique(np.round(positions[:, m], 10), return_inverse=True) for m in range(3)]
    motors = tuple(m for m in range(3) if len(axes[m][0]) >= FEWEST_SETTINGS)
    curves = {m: np.zeros((len(axes[m][0]), *data.shape)) for m in motors}
    variances = {m: np.zeros((len(axes[m][0]), *data.shape)) for m in motors}
    good = data.good.copy()
    for numbers in data.blocks():
        counts, variance, counted = data.read(numbers, model.nuisances.model_error)
        good &= counted.all(axis=0) | ~data.good
        for m in motors:
            for k, number in enumerate(numbers):
                curves[m][axes[m][1][number]] += counts[k]
                variances[m][axes[m][1][number]] += variance[k]
    shifts = np.zeros((len(motors), *data.shape))
    errors = np.full((len(motors), *data.shape), np.inf)
    light = floor = np.zeros(data.shape)
    for n, m in enumerate(motors):
        table = _Table.of(model, positions, axes[m][0], m)
        shifts[n], errors[n], light, floor = _fitted(table, curves[m], variances[m], good)
        errors[n][~good] = np.inf
    return ShiftMaps(motors, shifts, errors, light, floor)


@dataclass(frozen=True, eq=False)
class _Table:
    """The curve of the perfect crystal along a motor.

    Parameters
    ----------
    settings : (n,) ndarray
        Where the motor stood.
    first, step : float
        Nodes.
    values : (k,) ndarray
        The curve at them, summed over the other motors' settings.
    peak : float
        Of the curve in the brightest of these.
    others : int
        How many they are.
    """

    settings: Floats
    first: float
    step: float
    values: Floats
    peak: float
    others: int

    @classmethod
    def of(cls, model: StackModel, positions: Floats, settings: Floats, motor: int) -> _Table:
        """Tabulate it over three times the range of the motor."""
        span = settings[-1] - settings[0]
        spacing = span / (len(settings) - 1)
        nodes = np.arange(settings[0] - span, settings[-1] + span, spacing / _PER_STEP)
        others = np.unique(np.round(np.delete(positions, motor, axis=1), 10), axis=0)
        points = np.zeros((len(others), len(nodes), 3))
        points[..., motor] = nodes
        points[..., [k for k in range(3) if k != motor]] = others[:, None]
        q = np.add(*motor_shifts(model.setup.geometry, AT_BRAGG, points.reshape(-1, 3)))
        each = model.setup.acceptance.relative(q).reshape(len(others), -1)
        return cls(
            settings,
            float(nodes[0]),
            spacing / _PER_STEP,
            np.asarray(each.sum(axis=0)),
            float(each.max()),
            len(others),
        )

    @property
    def width(self) -> float:
        """Standard deviation of a Gaussian of the same full width at half maximum."""
        high = np.flatnonzero(self.values >= 0.5 * self.values.max())
        return float(high[-1] - high[0] + 1) * self.step / _FWHM

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Values and slopes at places, linearly interpolated."""
        place = np.clip((x - self.first) / self.step, 0.0, len(self.values) - 1.001)
        k = place.astype(np.intp)
        low, high = self.values[k], self.values[k + 1]
        return low + (place - k) * (high - low), (high - low) / self.step


def curve_widths(model: StackModel, positions: Floats, motors: Sequence[int]) -> Floats:
    """Widths (rad, standard deviations) of the perfect crystal's curves along some motors."""
    widths = [
        _Table.of(model, positions, np.unique(np.round(positions[:, m], 10)), m).width
        for m in motors
    ]
    return np.array(widths)


def resolved(model: StackModel, positions: Floats) -> Floats:
    """Shortest distance along each motor over which the perfect crystal's curve changes much (rad).

    By a quarter of its peak; infinite along a motor that hardly moves.
    """
    found = np.full(3, np.inf)
    for m in range(3):
        settings = np.unique(np.round(positions[:, m], 10))
        if len(settings) >= FEWEST_SETTINGS:
            table = _Table.of(model, positions, settings, m)
            values, much = table.values, _MUCH * float(table.values.max())
            far = (
                n for n in range(1, len(values)) if np.abs(values[n:] - values[:-n]).max() > much
            )
            found[m] = table.step * next(far, len(values))
    return found


def _fitted(
    table: _Table, curves: Floats, variances: Floats, good: Bools
) -> tuple[Floats, Floats, Floats, Floats]:
    """Shift, its error, brightness and floor of every pixel's curve."""
    shape = curves.shape[1:]
    y, weight = curves.reshape(len(curves), -1), 1.0 / variances.reshape(len(curves), -1)
    settings, span = table.settings, table.settings[-1] - table.settings[0]
    tried = np.arange(-0.6 * span, 0.6 * span, span / (len(settings) - 1) / 2)
    patterns = table.at(settings + tried[:, None])[0]
    patterns = patterns - patterns.mean(axis=1, keepdims=True)
    size = np.sqrt((patterns**2).sum(axis=1, keepdims=True))
    best = np.argmax(patterns / np.maximum(size, 1e-3 * size.max()) @ y, axis=0)
    shift = tried[best]
    reach = span / (len(settings) - 1)
    for number in range(_FIT_STEPS + 1):
        value, slope = table.at(settings[:, None] + shift)
        one = np.ones_like(value)
        # Brightness and floor first, then a step of all three.
        basis = np.stack([value, one], axis=1)
        amount = _solve(basis, weight, y)
        rest = y - amount[0] * value - amount[1]
        full = np.stack([value, one, amount[0] * slope], axis=1)
        matrix = np.einsum("fap,fp,fbp->pab", full, weight, full, optimize=True)
        right = np.einsum("fap,fp->pa", full, weight * rest)
        matrix += 1e-12 * np.einsum("paa->p", matrix)[:, None, None] * np.eye(3)
        inverse = np.linalg.inv(matrix)
        if number == _FIT_STEPS:
            break
        step = np.einsum("pa,pa->p", inverse[:, 2], right)
        shift = shift + np.clip(step, -reach, reach)
        shift = np.clip(shift, tried[0], tried[-1])
    chi2 = (weight * rest**2).sum(axis=0) / max(len(settings) - 3, 1)
    error = np.sqrt(np.maximum(inverse[:, 2, 2], 0.0) * np.maximum(chi2, 1.0))
    error = np.hypot(error, _SMALLEST_ERROR)
    lost = (amount[0] <= 0.0) | ~np.isfinite(error) | ~good.ravel() | (error > 0.3 * span)
    error = np.where(lost, np.inf, error)
    return (
        shift.reshape(shape),
        error.reshape(shape),
        (amount[0] * table.peak).reshape(shape),
        (amount[1] / table.others).reshape(shape),
    )


def _solve(basis: Floats, weight: Floats, y: Floats) -> Floats:
    """Weighted least squares of two columns (n, 2, pixels), (2, pixels)."""
    a, b = basis[:, 0], basis[:, 1]
    aa, ab, bb = ((weight * u * v).sum(axis=0) for u, v in ((a, a), (a, b), (b, b)))
    ay, by = (weight * a * y).sum(axis=0), (weight * b * y).sum(axis=0)
    determinant = np.maximum(aa * bb - ab * ab, 1e-300)
    return np.stack([(bb * ay - ab * by) / determinant, (aa * by - ab * ay) / determinant])
