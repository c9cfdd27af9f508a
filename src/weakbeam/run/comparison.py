"""How the centres of mass of a simulated scan agree with the deformation that made them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.analysis.agreement import Agreement, compare_maps
from weakbeam.analysis.scan_steps import fine_step, slope_variation
from weakbeam.assemble import assemble_all
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.imaging.motors import MOTORS
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.frames import predicted_centers
from weakbeam.run.scan_data import read_scan_data
from weakbeam.run.stored import stored_experiment

PREDICTIONS = {
    "rule": "COM rule, −R q",
    "crystal": "crystal component",
    "imaging": "imaging component",
}
"""What a centre of mass is compared with; see :func:`predictions`."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Centres of mass beside what the projected deformation predicts.

    Parameters
    ----------
    hkl : (int, int, int)
        The reflection.
    theta : float
        Its Bragg angle (rad).
    centers : mapping of str to (rows, columns) ndarray
        Centre of mass for each moving angle (rad).
    predicted : mapping of str to (mapping of str to (rows, columns) ndarray)
        For each of them the `PREDICTIONS` (rad).
    agreement : mapping of str to (mapping of str to Agreement)
        How they compare.
    correlation : mapping of str to (mapping of str to float)
        For each angle the correlation of its centre of mass with every component of q: ``rock``,
        ``roll``, ``par`` of the crystal and ``rock'``, ``two_theta`` of the image.
    remarks : tuple of str
        What keeps the centres of mass from showing the deformation, a line each.
    """

    hkl: tuple[int, int, int]
    theta: float
    centers: Mapping[str, Floats]
    predicted: Mapping[str, Mapping[str, Floats]]
    agreement: Mapping[str, Mapping[str, Agreement]]
    correlation: Mapping[str, Mapping[str, float]]
    remarks: tuple[str, ...] = ()

    def numbers(self) -> dict[str, Any]:
        """All numbers as plain values, angles in rad; None where one is not defined."""
        angles = {
            motor: {
                "agreement": {
                    name: {key: _plain(value) for key, value in asdict(agreement).items()}
                    for name, agreement in by_name.items()
                },
                "correlation": {k: _plain(v) for k, v in self.correlation[motor].items()},
            }
            for motor, by_name in self.agreement.items()
        }
        return {
            "hkl": list(self.hkl),
            "theta": self.theta,
            "angles": angles,
            "remarks": list(self.remarks),
        }


def compare_file(path: Path, index: int = 0) -> Comparison:
    """Compare the maps of an entry of an output file with the model.

    Parameters
    ----------
    path : Path
        An output file of ``weakbeam forward``.
    index : int
        The entry, from 0.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the file cannot be read, or no angle moves in the entry, or it is not finished.
    """
    from weakbeam.io.reading import read_configuration

    experiment = stored_experiment(read_configuration(path), path)
    acquisitions = acquisitions_of(assemble_all(experiment))
    acquisition = acquisitions[index % len(acquisitions)]
    data = read_scan_data(path, index, acquisition)
    if not data.centers or data.mean_q is None:
        raise InputError(
            "entry", f"{index + 1}.1", "has no maps of an angle to compare with the model"
        )
    return compare(acquisition, data.centers, data.mean_q)


def compare(acquisition: Acquisition, centers: Mapping[str, Floats], mean_q: Floats) -> Comparison:
    """Compare centres of mass with the deformation projected on the rays.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    centers : mapping of str to (rows, columns) ndarray
        Centre of mass for each moving angle (rad).
    mean_q : (3, rows, columns) ndarray
        q in the imaging frame, averaged over the rays of each pixel.

    Returns
    -------
    Comparison
    """
    setup = acquisition.setup
    predicted = predictions(acquisition, mean_q)
    q_crystal = crystal_components(mean_q, setup.geometry.theta)
    components = {
        "rock": q_crystal[0],
        "roll": q_crystal[1],
        "par": q_crystal[2],
        "rock'": mean_q[0],
        "two_theta": mean_q[2],
    }
    return Comparison(
        hkl=setup.hkl,
        theta=setup.geometry.theta,
        centers=centers,
        predicted={motor: predicted[motor] for motor in centers},
        agreement={
            motor: {name: compare_maps(center, q) for name, q in predicted[motor].items()}
            for motor, center in centers.items()
        },
        correlation={
            motor: {name: compare_maps(center, q).correlation for name, q in components.items()}
            for motor, center in centers.items()
        },
        remarks=tuple(coarse_steps(acquisition, list(centers))),
    )


def coarse_steps(acquisition: Acquisition, motors: Sequence[str]) -> list[str]:
    """Say which motors move in steps that are too wide for centres of mass.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    motors : sequence of str
        Its moving angles.

    Returns
    -------
    list of str
        A line for each motor whose steps let the slope of a centre of mass vary by more than
        `weakbeam.analysis.scan_steps.LARGEST_VARIATION`.
    """
    acceptance, shifts = acquisition.setup.acceptance, acquisition.q_shifts
    brightest = int(np.argmax(acceptance.density(shifts)))
    remarks = []
    for name, vector in zip(motors, _motions(acquisition, motors), strict=True):
        motor, moved = MOTORS[name], acquisition.scan.motor_positions(name)
        taken = np.unique(moved.round(12))
        if len(taken) < 2:
            continue
        even = np.linspace(taken[0], taken[-1], len(taken))

        def curve(
            positions: Floats, start: float = float(moved[brightest]), along: Floats = vector
        ) -> Floats:
            there = shifts[brightest] + (positions - start)[:, None] * along
            return np.asarray(acceptance.density(there))

        step, finer = even[1] - even[0], fine_step(curve, even)
        if finer is not None and finer >= step * (1.0 - 1e-9):
            continue
        wanted = ""
        if finer is not None:
            wanted = f"; {float(motor.shown(finer)):.2g} {motor.shown_unit} would do"
        varies = slope_variation(curve, even)
        by = f"by {varies:.0%}" if varies < 1.0 else "wildly"
        remarks.append(
            f"{motor.offset_symbol}: steps of {float(motor.shown(step)):.3g} {motor.shown_unit} "
            "are too wide for the rocking curve: the slope of a centre of mass against a rotation "
            f"varies {by} with where the frames fall on it{wanted}"
        )
    return remarks


def predictions(acquisition: Acquisition, mean_q: Floats) -> dict[str, dict[str, Floats]]:
    r"""Three predictions of the centre of mass along each moving angle.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    mean_q : (3, rows, columns) ndarray
        q in the imaging frame.

    Returns
    -------
    dict of str to (dict of str to (rows, columns) ndarray)
        In rad. ``rule``: :math:`-R q`, what the instrument answers. With v the change of q by one
        radian of the motor and what moves along with it, ``crystal``: :math:`-q \cdot v / v^2`,
        which for φ and χ in symmetric geometry is :math:`-q_{rock}` and :math:`-q_{roll}`;
        ``imaging``: :math:`-q_k / v_k` of the one component k of the image along which the motor
        moves q most.

    Notes
    -----
    The centre of mass along φ is not :math:`-q_{rock}` in general: a narrow bandwidth makes it
    follow :math:`q_{rock'}` (docs/explanation/physics.md, E6).
    """
    by_rule = predicted_centers(acquisition, mean_q)
    predicted = {}
    for (motor, rule), vector in zip(by_rule.items(), _motions(acquisition, by_rule), strict=True):
        main = int(np.argmax(np.abs(vector)))
        predicted[motor] = {
            "rule": rule,
            "crystal": -np.tensordot(vector, mean_q, axes=1) / float(vector @ vector),
            "imaging": -mean_q[main] / vector[main],
        }
    return predicted


def _motions(acquisition: Acquisition, motors: Iterable[str]) -> Floats:
    """Change of q by one radian of each motor, with whatever moves along with it: (motors, 3).

    About the Bragg setting.
    """
    scan, offsets = acquisition.scan, acquisition.angle_offsets
    shifts = offsets @ acquisition.setup.geometry.motor_vectors
    positions = np.stack([scan.motor_positions(motor) for motor in motors], axis=1)
    centered = positions - positions.mean(axis=0)
    vectors = np.linalg.lstsq(centered, shifts - shifts.mean(axis=0), rcond=None)[0]
    return np.asarray(vectors, dtype=np.float64)


def crystal_components(q_imaging: Floats, theta: float) -> Floats:
    """Components (rock, roll, along the diffraction vector) of q from those of the image.

    Parameters
    ----------
    q_imaging : (3, ...) ndarray
        (q_rock', q_roll, q_2θ).
    theta : float
        Bragg angle (rad).

    Returns
    -------
    (3, ...) ndarray
        The inverse of the turn by θ about the roll axis (docs/explanation/physics.md, A3).
    """
    sine, cosine = math.sin(theta), math.cos(theta)
    rock, roll, two_theta = q_imaging
    return np.stack([cosine * rock - sine * two_theta, roll, sine * rock + cosine * two_theta])


def comparison_table(comparison: Comparison) -> list[str]:
    """The numbers of a comparison as lines of text."""
    hkl = " ".join(map(str, comparison.hkl))
    lines = [
        f"({hkl}), theta = {math.degrees(comparison.theta):.4f} deg; centre of mass against:",
        f"{'':8}{'prediction':22}{'pixels':>8}{'r':>9}{'slope':>9}{'rms (urad)':>12}"
        f"{'offset (urad)':>15}",
    ]
    for motor, by_name in comparison.agreement.items():
        symbol = MOTORS[motor].offset_symbol
        for name, agreement in by_name.items():
            lines.append(
                f"{symbol:8}{PREDICTIONS[name]:22}{agreement.pixels:8}{agreement.correlation:9.4f}"
                f"{agreement.slope:9.4f}{1e6 * agreement.rms:12.4g}{1e6 * agreement.offset:15.3g}"
            )
        pairs = "  ".join(f"{k} {v:.3f}" for k, v in comparison.correlation[motor].items())
        lines.append(f"{symbol:8}r with components of q: {pairs}")
    return [*lines, *comparison.remarks]


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
