"""Scans: which motor settings are visited, in which order, and how they split into factors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.turned import Reference, motor_shifts, nearest_references

SCAN_ORDER = ("z", "two_theta", "chi", "phi")
"""Axes of a scan from the slowest to the fastest."""


@dataclass(frozen=True)
class Layer:
    """Frames at one height of the sample, about one setting, as a grid of two kinds of settings.

    Parameters
    ----------
    z : float
        Height of the sample (µm).
    reference : tuple of 3 float
        φ, χ and 2θ (rad) from the Bragg setting about which the shifts are; engines are turned to
        it.
    rock_shifts : (n, 3) ndarray
        Shift of q for each setting of φ and 2θ.
    roll_shifts : (m, 3) ndarray
        Shift of q for each setting of χ.
    frames : (m, n) ndarray of int
        Number of the frame taken at each pair of settings.
    rock_settings : (n, 2) ndarray
        φ (its own position) and 2θ (rad) of each setting.
    roll_settings : (m,) ndarray
        χ (rad) of each setting.
    height : int
        Which height it is of those of the scan.
    rock_places, roll_places : (n,) and (m,) ndarray of int
        Which settings they are of all those of the scan at one height.
    """

    z: float
    reference: Reference
    rock_shifts: Floats
    roll_shifts: Floats
    frames: Ints
    rock_settings: Floats
    roll_settings: Floats
    height: int
    rock_places: Ints
    roll_places: Ints


@dataclass(frozen=True)
class DetectorScan:
    """A scan of at most two motors: one stack of frames, the last motor fastest.

    Parameters
    ----------
    positions : mapping of str to (n,) ndarray
        Positions of each of the four motors along its axis: rad, µm for z. Motors that stand still
        have one.
    moving : tuple of str
        The motors that move, the slowest first.
    phi_per_two_theta : float
        What φ turns along for each angle of the arm, in addition to its own position.
    zigzag : bool
        Whether every second row of two motors runs backwards.
    """

    positions: Mapping[str, Floats]
    moving: tuple[str, ...]
    phi_per_two_theta: float = 0.0
    zigzag: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of positions of each moving motor."""
        return tuple(len(self.positions[motor]) for motor in self.moving)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return math.prod(self.shape)

    @property
    def sheared(self) -> bool:
        """Whether φ moves and turns along with the arm too: its positions are then on no axis."""
        return bool(self.phi_per_two_theta) and {"phi", "two_theta"} <= set(self.moving)

    @property
    def places(self) -> Ints:
        """Place of each frame on the grid of the moving motors, shape (frames,).

        Rows that run backwards swap their frames in pairs, so that this is the number of the frame
        at each place as well.
        """
        places = np.arange(self.frames)
        if self.zigzag and len(self.shape) == 2:
            rows = places.reshape(self.shape)
            rows[1::2] = rows[1::2, ::-1].copy()
        return places

    def motor_positions(self, motor: str) -> Floats:
        """Position of a motor at every frame, shape (frames,)."""
        if motor == "phi" and self.phi_per_two_theta:
            return self._own("phi") + self.phi_per_two_theta * self._own("two_theta")
        return self._own(motor)

    def _own(self, motor: str) -> Floats:
        values = self.positions[motor]
        if motor not in self.moving:
            return np.full(self.frames, values[0])
        axis = self.moving.index(motor)
        shape = [-1 if k == axis else 1 for k in range(len(self.moving))]
        grid = np.ascontiguousarray(np.broadcast_to(values.reshape(shape), self.shape)).reshape(-1)
        return grid[self.places]

    def layers(self, geometry: DiffractionGeometry) -> Iterator[Layer]:
        """The scan as grids that the engine can factorise.

        There is one for each height of the sample, and more where motors move far.

        Parameters
        ----------
        geometry : DiffractionGeometry
            The reflection, for what the motors do.
        """
        order = _frame_numbers(self)
        phi, chi, arm = (self.positions[motor] for motor in ("phi", "chi", "two_theta"))
        rock = np.array(list(product(arm, phi)))[:, ::-1]
        turned = np.column_stack([rock[:, 0] + self.phi_per_two_theta * rock[:, 1], rock[:, 1]])
        roll_parts = list(_parts(nearest_references(chi)[:, None]))
        rock_parts = list(_parts(nearest_references(turned)))
        for k, z in enumerate(self.positions["z"]):
            frames = order[k].transpose(1, 0, 2).reshape(len(chi), len(rock))
            for ((at_chi,), rolls), ((at_phi, at_arm), rocks) in product(roll_parts, rock_parts):
                reference = (at_phi, at_chi, at_arm)
                on_rock = np.zeros((len(rocks), 3))
                on_rock[:, [0, 2]], on_rock[:, 1] = turned[rocks], at_chi
                on_roll = np.tile(reference, (len(rolls), 1))
                on_roll[:, 1] = chi[rolls]
                rock_shifts, _ = motor_shifts(geometry, reference, on_rock)
                _, roll_shifts = motor_shifts(geometry, reference, on_roll)
                yield Layer(
                    z=float(z),
                    reference=reference,
                    rock_shifts=rock_shifts,
                    roll_shifts=roll_shifts,
                    frames=frames[np.ix_(rolls, rocks)],
                    rock_settings=rock[rocks],
                    roll_settings=chi[rolls],
                    height=k,
                    rock_places=rocks,
                    roll_places=rolls,
                )


def _parts(references: Floats) -> Iterator[tuple[list[float], Ints]]:
    """Each reference (n, motors) that there is, in the order of the scan, and where it stands."""
    for reference in dict.fromkeys(map(tuple, references.tolist())):
        yield list(reference), np.flatnonzero((references == reference).all(axis=1))


def detector_scans(
    positions: Mapping[str, ArrayLike], phi_per_two_theta: float = 0.0, zigzag: bool = False
) -> list[DetectorScan]:
    """Split a scan of any number of motors into scans of at most two.

    Parameters
    ----------
    positions : mapping of str to (n,) array_like
        Positions of each of the four motors in :data:`SCAN_ORDER`.
    phi_per_two_theta, zigzag
        See :class:`DetectorScan`.

    Returns
    -------
    list of DetectorScan
        In the order of the measurement. The two fastest moving motors of φ, χ, 2θ stay together;
        every position of a slower one, and of z unless nothing else moves, makes a scan of its own.
        Where that is the arm, the positions of φ have what it turns along in them.
    """
    axes = {motor: np.asarray(positions[motor], dtype=np.float64) for motor in SCAN_ORDER}
    moving = [motor for motor in SCAN_ORDER if len(axes[motor]) > 1]
    inner = moving if moving == ["z"] else [motor for motor in moving if motor != "z"][-2:]
    outer = [motor for motor in moving if motor not in inner]
    scans = []
    for values in product(*(axes[motor] for motor in outer)):
        fixed = {motor: np.array([value]) for motor, value in zip(outer, values, strict=True)}
        along = phi_per_two_theta
        if "two_theta" in outer:
            fixed["phi"] = axes["phi"] + along * fixed["two_theta"]
            along = 0.0
        scans.append(DetectorScan({**axes, **fixed}, tuple(inner), along, zigzag))
    return scans


def _frame_numbers(scan: DetectorScan) -> NDArray[Any]:
    """Frame numbers on the grid (z, 2θ, χ, φ), whatever the order of the scan."""
    lengths = [len(scan.positions[motor]) for motor in SCAN_ORDER]
    return scan.places.reshape(lengths)
