"""The figure of a calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.fit.calibration_result import Calibration, Parameter
from weakbeam.fit.curve_model import ANGLES
from weakbeam.imaging.motors import MOTORS
from weakbeam.plot.calibration import CalibrationCurve
from weakbeam.plot.drawing import Drawing
from weakbeam.plot.view import View

_LEVEL = 1e-7
"""Positions (rad) that differ by less are one."""

_SHORT: Mapping[str, str] = {
    "clip": "condenser ±",
    "divergence_vertical": "divergence, FWHM",
    "bandwidth": "bandwidth, rms",
    "lens": "lens, FWHM",
    "aperture": "aperture ±",
}
_MOST_TITLE = 95


def calibration_drawing(result: Calibration, view: View | None = None) -> Drawing:
    """Describe the figure of a calibration.

    Parameters
    ----------
    result : Calibration
        From :func:`weakbeam.fit.calibrate.calibrate`.
    view : View, optional
        What rows and columns of its images are; by default what the camera read.
    """
    image = result.cells.image
    shape = int(image.shape[0]), int(image.shape[1])
    chi2 = f"χ² per degree of freedom {result.fit.chi2:.3g}"
    source = result.source.rpartition("/")[2]
    title = f"{source}: {chi2}" if source else chi2
    return Drawing(
        "weakbeam.plot.calibration.calibration_figure",
        (region_curves(result), image, view or View.of_pixels(shape), result.region),
        {
            "left_out": _left_out(result),
            "lines": _lines(result),
            "title": title if len(title) < _MOST_TITLE else chi2,
        },
    )


def region_curves(result: Calibration) -> list[CalibrationCurve]:
    """Mean curve of the blocks that were fitted over each motor, summed over the others."""
    fit, used = result.fit, result.fit.used
    share = fit.blocks.pixels[used] / fit.blocks.pixels[used].sum()
    level = float(share @ fit.dark[used])
    peak = float(share @ fit.brightness[used])
    measured = (share @ fit.blocks.counts[used] - level) / peak
    fitted = (share @ fit.curves[used] - level) / peak
    variance = (share**2 @ fit.blocks.variance[used]) / peak**2
    curves = []
    true = fit.model.positions + fit.model.offsets(fit.z)
    for k, motor in enumerate(ANGLES):
        if motor not in fit.model.moving:
            continue
        x, place = _levels(true[:, k])
        many = np.maximum(np.bincount(place, minlength=len(x)), 1)

        def mean(values: Floats, place: Ints = place, many: Ints = many) -> Floats:
            return np.bincount(place, values, len(many)) / many

        label = MOTORS[motor].label.replace(" (", ", with its zero offset (")
        sigma = np.sqrt(mean(variance) / many)
        curves.append(CalibrationCurve(label, 1e3 * x, mean(measured), mean(fitted), sigma))
    return curves


def _levels(x: Floats) -> tuple[Floats, Ints]:
    """Distinct positions, increasing, and which of them each frame has."""
    order = np.argsort(x, kind="stable")
    new = np.concatenate([[0], np.cumsum(np.diff(x[order]) > _LEVEL)])
    place = np.empty(len(x), dtype=np.int64)
    place[order] = new
    return np.bincount(place, x) / np.bincount(place), place


def _left_out(result: Calibration) -> list[tuple[float, float, float, float]]:
    """Edges of the blocks that were left out, in pixels of the image."""
    r0, r1, c0, c1 = result.region
    blocks = result.fit.blocks
    found = []
    for number in np.flatnonzero(~result.fit.used):
        (u, v), (high, wide) = blocks.places[number], blocks.size[number]
        rows = [r0 + 0.5 * (1.0 + end) * (r1 - r0) for end in (u - 0.5 * high, u + 0.5 * high)]
        columns = [c0 + 0.5 * (1.0 + end) * (c1 - c0) for end in (v - 0.5 * wide, v + 0.5 * wide)]
        found.append((rows[0], rows[1], columns[0], columns[1]))
    return found


def _lines(result: Calibration) -> list[str]:
    """What was found, a line each."""
    lines = [parameter_line(parameter) for parameter in result.parameters]
    if not result.noise.noiseless:
        lines.append(
            f"gain  {with_error(result.noise.gain, result.noise.gain_error)} counts/photon"
        )
    if (dark := result.dark) is not None:
        lines.append(f"dark level  {with_error(*dark)} counts")
    if (read := result.read_noise) is not None:
        lines.append(f"noise without light  {with_error(*read)} counts")
    if (edge := result.edge) is not None:
        lines.append(f"blur  ≤ {with_error(edge.sigma, edge.error)} px")
    return lines


def parameter_line(parameter: Parameter) -> str:
    """A parameter with its error, or that it is not determined."""
    motor = parameter.name.removesuffix(" offset")
    name = _SHORT.get(parameter.name) or f"{MOTORS[motor].symbol} offset"
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.determined:
        return f"{name}  {with_error(parameter.value, parameter.error)}{unit}"
    return f"{name}  not determined: {parameter.value:.4g} ± {parameter.prior:.2g}{unit} as given"


def with_error(value: float, error: float) -> str:
    """A number and its error, to two digits of the error."""
    if not (0.0 < error < np.inf):
        return f"{value:.6g}"
    power = int(np.floor(np.log10(error)))
    if value == 0.0 or abs(value) >= 1e-3:
        digits = max(1 - power, 0)
        text = f"{value:.{digits}f} ± {error:.{digits}f}"
    else:
        scale = int(np.floor(np.log10(max(abs(value), error))))
        digits = max(scale - power + 1, 0)
        text = f"({value / 10**scale:.{digits}f} ± {error / 10**scale:.{digits}f})e{scale}"
    return text.replace("-", "−")
