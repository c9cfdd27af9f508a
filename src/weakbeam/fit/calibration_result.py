"""What a calibration has found: numbers, remarks, and the experiment with its values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.analysis.photon_transfer import PhotonTransfer
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.html import lines_html
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.calibration import CurveFit
from weakbeam.fit.curve_model import ANGLES, WIDTHS, Priors
from weakbeam.fit.scan_tables import plain, rounded, tables_of
from weakbeam.fit.sharp_edge import SharpEdge
from weakbeam.instrument.beam import FWHM_PER_SIGMA
from weakbeam.instrument.optics import Optics
from weakbeam.measured.cells import CellScan
from weakbeam.measured.perfect_region import FoundRegion
from weakbeam.run.records import Records

KEYS = {
    "clip": ("beam.divergence_vertical_clip_mrad", "mrad", 1e3),
    "divergence_vertical": ("beam.divergence_vertical_fwhm_mrad", "mrad", 1e3 * FWHM_PER_SIGMA),
    "bandwidth": ("beam.bandwidth_rms", "", 1.0),
    "lens": ("objective.acceptance_fwhm_mrad", "mrad", 1e3 * FWHM_PER_SIGMA),
    "aperture": ("objective.aperture_mrad", "mrad", 1e3),
}
"""Key of each width in the experiment, its unit there, and how many of it are one (or one rad)."""

_SURE = 5.0
_MODEL_ERROR = 0.05
_MANY = 0.25
_SHOWN = 0.3
_DARK_TOLD = 0.005
"""Share of the peak up to which the error of a dark level may be."""


@dataclass(frozen=True, eq=False)
class ScanOfMotors:
    """How the motors moved.

    Parameters
    ----------
    positions : (frames, 3) ndarray
        Of φ, χ and 2θ, from the Bragg setting (rad), as they were read.
    names : mapping of str to (str, int)
        What the scan calls each of them, and -1 where it turns the other way.
    units : mapping of str to str
        Units of the scan's motors.
    """

    positions: Floats
    names: Mapping[str, tuple[str, int]]
    units: Mapping[str, str]


@dataclass(frozen=True)
class Parameter:
    """A number that was calibrated, or was to be.

    Parameters
    ----------
    name, key, unit : str
        What it is; its key in an experiment, empty of zero offsets; its unit.
    given, prior : float
        What was known: its value, and the standard deviation of that.
    value, error : float
        What is known now; of one that is not determined what was known before.
    determined : bool
        Whether the scan tells at least as much of it as was known.
    """

    name: str
    key: str
    unit: str
    given: float
    prior: float
    value: float
    error: float
    determined: bool


@dataclass(frozen=True, eq=False)
class Calibration:
    """Instrument and motors as a region of a scan shows them.

    Parameters
    ----------
    fit : CurveFit
        The fit of its curves.
    noise : PhotonTransfer
        Gain and noise of its pixels.
    darkest : (n,) ndarray of int
        The frames with the least light.
    cut : (float, float) or None
        Half width of the aperture (rad) and its error, where curves over χ end at it.
    given, priors
        What was known of the optics, and how well.
    edge : SharpEdge or None
        The sharpest edge in the image.
    cells : CellScan
        The scan.
    found : FoundRegion
        The region.
    chosen : bool
        Whether the region was given.
    experiment : Experiment
        What was known.
    moved : ScanOfMotors
        The motors.
    bragg : mapping of str to float
        Where φ, χ and 2θ stand at the Bragg setting (rad).
    source : str
        File and entry.
    notes : tuple of str
        What is odd about the scan; :attr:`remarks` adds what is about the calibration.
    """

    fit: CurveFit
    noise: PhotonTransfer
    darkest: Ints
    cut: tuple[float, float] | None
    given: Optics
    priors: Priors
    edge: SharpEdge | None
    cells: CellScan
    found: FoundRegion
    chosen: bool
    experiment: Experiment
    moved: ScanOfMotors
    bragg: Mapping[str, float]
    source: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = (
            f"{p.name} {p.value:.6g} ± {p.error:.2g} {p.unit}".rstrip()
            for p in self.parameters
            if p.determined
        )
        return f"Calibration({'; '.join(shown)}; chi2 {self.fit.chi2:.3g})"

    def _repr_html_(self) -> str:
        return f"<div>{self._records._repr_html_()}{lines_html(self.remarks)}</div>"

    def to_pandas(self) -> Any:
        """The parameters as a `pandas.DataFrame`, a row each."""
        return self._records.to_pandas()

    @property
    def _records(self) -> Records:
        return Records(f"calibration, chi2 {self.fit.chi2:.3g}", list(map(vars, self.parameters)))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Zero offsets and widths of the optics.

        A zero offset is what is to be added to the readings of a motor: on the mean over the
        region, the lattice then stands at the Bragg setting where φ, χ and 2θ are 0.
        """
        fit, errors, scales = self.fit, self.fit.errors, self.fit.model.scales
        found = []
        for k, name in enumerate(fit.model.names):
            told, scale = bool(fit.determined[k]), float(scales[k])
            if name.startswith("offset_"):
                motor = name.removeprefix("offset_")
                given = 1e3 * float(fit.model.start[ANGLES.index(motor)])
                value = given + 1e3 * scale * float(fit.z[k])
                prior, error = 1e3 * scale, 1e3 * scale * float(errors[k])
                found.append(
                    Parameter(f"{motor} offset", "", "mrad", given, prior, value, error, told)
                )
            elif name in WIDTHS:
                key, unit, factor = KEYS[name]
                given = factor * float(getattr(self.given, name))
                value = factor * float(getattr(fit.model.acceptance.optics, name))
                value *= math.exp(scale * float(fit.z[k]))
                error = value * scale * float(errors[k])
                if name == "aperture" and self.cut is not None:
                    told, scale = True, self.priors.aperture
                found.append(Parameter(name, key, unit, given, given * scale, value, error, told))
        return tuple(found)

    def parameter(self, name: str) -> Parameter:
        """One of them by its name, such as ``"phi offset"`` or ``"clip"``.

        Raises
        ------
        KeyError
            If there is none.
        """
        return {parameter.name: parameter for parameter in self.parameters}[name]

    @property
    def covariance(self) -> Floats:
        """Covariance of their errors, in their units, in the order of `parameters`."""
        n = len(self.parameters)
        units = np.array([1e3 * scale for scale in self.fit.model.scales[:n]])
        for k, parameter in enumerate(self.parameters):
            if parameter.key:
                units[k] = parameter.value * self.fit.model.scales[k]
        return np.asarray(self.fit.covariance[:n, :n] * np.outer(units, units))

    @property
    def region(self) -> tuple[int, int, int, int]:
        """First and last row, first and last column, the last ones excluded."""
        return self.cells.region(self.found.cells)

    @property
    def undetermined(self) -> tuple[dict[str, float], ...]:
        """Directions of which the scan tells less than was known, as weights of parameters.

        Eigenvectors of the information, with parameters in units of their priors; weights below
        0.3 are left out.
        """
        _, values, vectors = self.fit.information()
        names = [parameter.name for parameter in self.parameters]
        found = []
        for value, vector in zip(values, vectors.T, strict=True):
            if value >= 1.0:
                break
            if self.cut is not None and names[int(np.abs(vector).argmax())] == "aperture":
                continue
            vector = vector * math.copysign(1.0, vector[np.abs(vector).argmax()])
            order = np.argsort(-np.abs(vector))
            found.append({names[k]: float(vector[k]) for k in order if abs(vector[k]) >= _SHOWN})
        return tuple(found)

    @property
    def brightness(self) -> float:
        """Counts at the peak of the perfect crystal, above the dark level; mean of the blocks."""
        return float(self.fit.brightness[self.fit.used].mean())

    @property
    def dark(self) -> tuple[float, float] | None:
        """Mean counts without light, and their error; None where the scan does not tell."""
        level, error = float(self.fit.dark[self.fit.used].mean()), self.fit.dark_error
        error *= math.sqrt(self.fit.inflation)
        return (level, error) if error < _DARK_TOLD * abs(self.brightness) else None

    @property
    def read_noise(self) -> tuple[float, float] | None:
        """Standard deviation (counts) of a pixel without light, and its error."""
        if self.noise.noiseless or self.dark is None:
            return None
        used = self.fit.used
        least = self.fit.curves[used][:, self.darkest].mean(axis=1) - self.fit.dark[used]
        return self.noise.read_noise(float(least.mean()))

    @property
    def tilt(self) -> dict[str, dict[str, float]]:
        """How the lattice turns over the region, by the motor that would undo it.

        From its first to its last row and column (mrad), with errors; the mean is in the offsets.
        """
        fit, errors = self.fit, self.fit.errors
        found = dict[str, dict[str, float]]()
        for motor in fit.model.moving:
            first = fit.model.names.index(f"tilt_{motor}_0")
            unit = 2e3 * fit.model.priors.tilt
            found[motor] = {
                "rows_mrad": unit * float(fit.z[first]),
                "rows_error_mrad": unit * float(errors[first]),
                "columns_mrad": unit * float(fit.z[first + 1]),
                "columns_error_mrad": unit * float(errors[first + 1]),
            }
        return found

    @property
    def bragg_readings(self) -> dict[str, tuple[float, float]]:
        """What motors of the scan read (deg) where the region is at its Bragg setting, errors."""
        found = dict[str, tuple[float, float]]()
        for name, (motor, way) in self.moved.names.items():
            offset = self.parameter(f"{name} offset")
            if offset.determined:
                reading = way * math.degrees(self.bragg[name] - 1e-3 * offset.value)
                found[motor] = reading, math.degrees(1e-3 * offset.error)
        return found

    @property
    def explained(self) -> bool:
        """Whether the curves agree with the model up to their noise, with all blocks but some."""
        return not any(self._doubts())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know before these numbers are trusted, a line each."""
        told = [*self.notes, *self._doubts()]
        if self.noise.noiseless:
            told.append(
                "the frames hold no noise: errors are those of a deviation of 1 % of the brightest "
                "in each pixel, and there is no gain"
            )
        elif not self.noise.gain > 2.0 * self.noise.gain_error:
            told.append("the noise does not grow with the counts: the scan does not tell the gain")
        untold = [parameter.name for parameter in self.parameters if not parameter.determined]
        if untold:
            told.append(
                f"this scan does not determine {', '.join(untold)}: they stay as they were, with "
                "the errors of their priors"
            )
        if self.dark is None:
            told.append("the scan has no frames without light: the dark level is not known")
        if self.edge is None:
            told.append("nothing in the image is sharp: the blur is not known")
        else:
            told.append(
                f"blur from the edge at {self.edge.axis} {self.edge.place:.1f}: an upper limit "
                "unless that edge is sharp"
            )
        if self.scan_tables() is None:
            told.append("the scan is on no grid of an experiment: `scan` stays as it was given")
        return tuple(told)

    def _doubts(self) -> list[str]:
        fit, told = self.fit, list[str]()
        if self.cells.full is not None:
            told.append(
                f"many pixels have {self.cells.full:g} counts and no more: if they are full, "
                "curves are cut off and all numbers wrong"
            )
        limit = 1.0 + _MODEL_ERROR + _SURE * math.sqrt(2.0 / fit.freedom)
        if (fit.chi2 > limit or fit.mean_deviates) and not self.noise.noiseless:
            told.append(
                f"the model does not explain the curves: chi2 is {fit.chi2:.3g} per degree of "
                f"freedom, {fit.chi2_of_mean:.3g} of the mean curve; errors are stated "
                f"{math.sqrt(fit.inflation):.2g} times larger for it, and may be larger still"
            )
        out = int((~fit.used).sum())
        if out:
            share = out / len(fit.used)
            many = share > _MANY
            told.append(
                f"{out} of {len(fit.used)} blocks of the region have other curves and are left out"
                + (": the region is not nearly perfect" if many else "")
            )
        if not fit.converged:
            told.append("the fit has not converged")
        if fit.brightness[fit.used].min() <= 0.0:
            told.append("some blocks are darkest where they should be brightest")
        return told

    def scan_tables(self) -> dict[str, Any] | None:
        """Table ``scan`` of an experiment that takes this scan, with the zero offsets added.

        None where the positions are on no grid.
        """
        offsets = self.fit.model.offsets(self.fit.z)
        true = self.moved.positions + offsets
        moving = {
            name: true[:, k] for k, name in enumerate(ANGLES) if name in self.fit.model.moving
        }
        return tables_of(moving)

    def calibrated(self) -> Experiment:
        """The experiment with what was determined, and with this scan."""
        data: dict[str, Any] = plain(self.experiment.model_dump(exclude_unset=True))
        tables = self.scan_tables()
        if tables is not None:
            kept = {
                key: value
                for key, value in data.get("scan", {}).items()
                if key in ("order", "continuous", "z")
            }
            if len(tables) < 2:
                kept.pop("order", None)
            for parameter in self.parameters:
                motor = parameter.name.removesuffix(" offset")
                still = not parameter.key and motor not in (*tables, *self.fit.model.moving)
                if still and parameter.determined:
                    tables[motor] = {"value_mrad": rounded(parameter.value)}
            data["scan"] = kept | tables
        settings = [
            f"{parameter.key}={rounded(parameter.value)!r}"
            for parameter in self.parameters
            if parameter.determined and parameter.key
        ]
        if self.edge is not None and 0.1 <= self.edge.sigma <= 50.0:
            settings.append(f"camera.psf_px={rounded(self.edge.sigma)!r}")
        try:
            return Experiment.model_validate(data).with_settings(settings)
        except InputError as error:
            raise InputError(error.key, error.value, f"{error.allowed} (calibrated)") from None

    def numbers(self) -> dict[str, Any]:
        """All of it for JSON."""
        r0, r1, c0, c1 = self.region
        fit = self.fit
        _, values, vectors = fit.information()
        dark, read = self.dark, self.read_noise
        return {
            "kind": "calibration",
            "source": self.source,
            "region": {
                "rows": [r0, r1],
                "columns": [c0, c1],
                "chosen": "given" if self.chosen else "automatically",
                "blocks": len(fit.used),
                "left_out": int((~fit.used).sum()),
            },
            "frames": len(self.moved.positions),
            "parameters": [
                {
                    "name": parameter.name,
                    "key": parameter.key or None,
                    "unit": parameter.unit,
                    "value": parameter.value,
                    "error": parameter.error,
                    "determined": parameter.determined,
                    "given": parameter.given,
                    "prior": parameter.prior,
                }
                for parameter in self.parameters
            ],
            "covariance": self.covariance.tolist(),
            "information": {
                "eigenvalues": values.tolist(),
                "eigenvectors": vectors.T.tolist(),
                "undetermined": list(self.undetermined),
            },
            "bragg_readings_deg": {
                motor: {"value": value, "error": error}
                for motor, (value, error) in self.bragg_readings.items()
            },
            "tilt_over_region": self.tilt,
            "detector": {
                "gain": None if self.noise.noiseless else self.noise.gain,
                "gain_error": None if self.noise.noiseless else self.noise.gain_error,
                "dark": None if dark is None else dark[0],
                "dark_error": None if dark is None else dark[1],
                "read_noise": None if read is None else read[0],
                "read_noise_error": None if read is None else read[1],
                "counts_at_peak": self.brightness,
                "hot_or_dead_pixels": int(self.cells.odd.sum()),
            },
            "blur": None
            if self.edge is None
            else {
                "sigma_px": self.edge.sigma,
                "error_px": self.edge.error,
                "edge": self.edge.axis,
                "place": self.edge.place,
                "upper_limit": True,
            },
            "chi2": fit.chi2,
            "degrees_of_freedom": fit.freedom,
            "chi2_of_mean_curve": fit.chi2_of_mean,
            "errors_multiplied_by": math.sqrt(fit.inflation),
            "explained": self.explained,
            "remarks": list(self.remarks),
        }

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(self.numbers(), indent=2, ensure_ascii=False) + "\n"
