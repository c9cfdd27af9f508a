"""What varies from image to image of a training set: drawn, and put into the experiment."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.tilt import TiltGradient
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.scan import AngleAxis
from weakbeam.experiment.vary import INSTRUMENT, OFFSETS, Vary
from weakbeam.instrument.detector import Detector
from weakbeam.run.render import Renderer, Surroundings

SHAPES = {
    "background_slope_adu": (2,),
    "tilt_gradient_mrad_per_um": (2, 2),
    "drift_um": (2,),
}
"""How many numbers a key stands for; the others for one."""

_UNITS = {
    "mrad_per_um": "mrad/um",
    "mrad": "mrad",
    "um": "um",
    "nm": "nm",
    "px": "pixel",
    "adu": "ADU",
}
_OF_ACCEPTANCE = (
    "bandwidth_rms",
    "divergence_vertical_fwhm_mrad",
    "divergence_vertical_clip_mrad",
    "divergence_horizontal_fwhm_mrad",
    "acceptance_fwhm_mrad",
    "aperture_mrad",
    "phi_blur_mrad",
)
"""Keys that the acceptance depends on, which a table has been made for."""

_OF_BACKGROUND = ("background_adu", "background_slope_adu")


def unit_of(key: str) -> str:
    """Unit of a key's values; empty for numbers without one."""
    return next((unit for end, unit in _UNITS.items() if key.endswith(f"_{end}")), "")


@dataclass(frozen=True)
class Variation:
    """What varies in the images of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The experiment that they have in common.
    vary : Vary
        The ranges.
    seed : int
        Of what is drawn.
    """

    experiment: Experiment
    vary: Vary
    seed: int

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges by their key; none if nothing varies."""
        return self.vary.ranges

    @property
    def changes_instrument(self) -> bool:
        """Whether any value is one of the instrument's or the scan's."""
        return any(key in OFFSETS or key in INSTRUMENT for key in self.ranges)

    @property
    def tells_apart(self) -> bool:
        """Whether types that look alike under one instrument may differ in another image."""
        return self.changes_instrument or "tilt_gradient_mrad_per_um" in self.ranges

    def draw(self, number: int) -> dict[str, Floats]:
        """Values of an image, which depend on its number, the seed and their range alone.

        Parameters
        ----------
        number : int
            The image.

        Returns
        -------
        dict of str to ndarray
            By key, in the order of `Vary`; shapes are those of `SHAPES`.
        """
        values = {}
        for key, (low, high) in self.ranges.items():
            # A stream for each key: it gives the same values whatever else varies.
            random = np.random.default_rng([self.seed, number, zlib.crc32(key.encode())])
            values[key] = np.asarray(random.uniform(low, high, SHAPES.get(key, ())))
        return values

    def applied(self, values: Mapping[str, Floats]) -> Experiment:
        """The experiment with what it has keys for typed in.

        Raises
        ------
        InputError
            If a value is not allowed.
        """
        changes: dict[str, Any] = {}
        for key, value in values.items():
            if key in OFFSETS:
                motor = key.rpartition("_")[0]
                axis = _moved(getattr(self.experiment.scan, motor), float(value))
                changes.setdefault("scan", {})[motor] = axis
            elif key in INSTRUMENT:
                changes.setdefault(INSTRUMENT[key], {})[key] = float(value)
        return self.experiment.replace(**changes) if changes else self.experiment

    def surroundings(self, values: Mapping[str, Floats], renderer: Renderer) -> Surroundings:
        """What images show besides the dislocations and the instrument."""
        tilt = values.get("tilt_gradient_mrad_per_um")
        gradient = np.zeros((3, 3))
        if tilt is not None:
            gradient[:2, :2] = 1e-3 * tilt
        return Surroundings(
            None if tilt is None else TiltGradient(gradient),
            _light(values, renderer.setups[0].detector.readout.shape),
            values.get("drift_um"),
        )

    def background(self, values: Mapping[str, Floats], detector: Detector) -> Floats32 | None:
        """Light besides the image on every stored pixel, relative to the perfect crystal's peak."""
        level = values.get("background_adu")
        slopes = values.get("background_slope_adu")
        if level is None and slopes is None:
            return None
        rows, columns = (_from_edge_to_edge(count) for count in detector.shape)
        along_rows, along_columns = (0.0, 0.0) if slopes is None else slopes
        total = along_rows * rows[:, None] + along_columns * columns
        total = total + (0.0 if level is None else level)
        return np.asarray(total / detector.unit_signal, dtype=np.float32)

    def check(self, renderer: Renderer) -> None:
        """Refuse what cannot vary in this experiment, and values that are not allowed in it.

        Raises
        ------
        InputError
            With the key of the range, the value and what would be right.
        """
        for key, reason in self._obstacles(renderer):
            raise InputError(f"identify.vary.{key}", list(self.ranges[key]), reason)
        for key, ends in self.ranges.items():
            for end in ends if key in OFFSETS or key in INSTRUMENT else ():
                try:
                    renderer.with_instrument(self.applied({key: np.asarray(end)}))
                except InputError as error:
                    raise InputError(f"identify.vary.{key}", end, error.allowed) from None

    def _obstacles(self, renderer: Renderer) -> list[tuple[str, str]]:
        """Keys that cannot vary, with the reason."""
        experiment, ranges = self.experiment, self.ranges
        found = []
        if "height_fwhm_um" in ranges and experiment.beam.profile == "tabulated":
            found.append(("height_fwhm_um", 'has no meaning with beam.profile = "tabulated"'))
        if "bandwidth_rms" in ranges and experiment.beam.spectrum is not None:
            found.append(("bandwidth_rms", "beam.spectrum is given in its place"))
        if "two_theta_mrad" in ranges and experiment.scan.strain.moving:
            found.append(("two_theta_mrad", "moves in a strain scan already"))
        if experiment.acceptance.method != "closed-form":
            reason = 'needs acceptance.method = "closed-form": a table holds for one instrument'
            found += [(key, reason) for key in _OF_ACCEPTANCE if key in ranges]
        if not experiment.camera.is_counting:
            reason = 'needs a camera that counts: camera.model = "pco_edge"'
            found += [(key, reason) for key in _OF_BACKGROUND if key in ranges]
        if "background_slope_adu" in ranges:
            # Half of either slope is taken away at a corner.
            steepest = max(map(abs, ranges["background_slope_adu"]))
            least = ranges.get("background_adu", (0.0, 0.0))[0]
            if steepest > least:
                reason = f"makes light negative: at most the least of background_adu, {least:g}"
                found.append(("background_slope_adu", reason))
        frames = len(renderer.conditions) // len(renderer.setups)
        if "drift_um" in ranges and frames < 2:
            found.append(("drift_um", "needs a scan of two or more frames; psf_px blurs one"))
        return found


def _moved(axis: AngleAxis, by: float) -> dict[str, object]:
    """A motor's axis with an offset added to all its positions."""
    if axis.values_mrad is not None:
        return {"values_mrad": tuple(position + by for position in axis.values_mrad)}
    if axis.value_mrad is not None:
        return {"value_mrad": axis.value_mrad + by}
    return {"center_mrad": (axis.center_mrad or 0.0) + by}


def _light(values: Mapping[str, Floats], shape: tuple[int, int]) -> Floats32 | None:
    brightness, slope = values.get("brightness"), values.get("illumination_slope")
    if brightness is None and slope is None:
        return None
    light = np.full(shape, 1.0 if brightness is None else float(brightness))
    if slope is not None:
        light *= 1.0 + slope * _from_edge_to_edge(shape[1])
    return light.astype(np.float32)


def _from_edge_to_edge(count: int) -> Floats:
    """Places of pixels from -1/2 at one edge of the image to 1/2 at the other."""
    return np.asarray((np.arange(count) + 0.5) / count - 0.5)


def labels_of(values: Mapping[str, Floats]) -> dict[str, float]:
    """Values of an image, a number each; those of several have places, as in ``drift_um[0]``.

    Parameters
    ----------
    values : mapping of str to ndarray
        As :meth:`Variation.draw` gives them.
    """
    labels = {}
    for key, value in values.items():
        for place in itertools.product(*map(range, value.shape)):
            labels[key + "".join(f"[{index}]" for index in place)] = float(value[place])
    return labels
