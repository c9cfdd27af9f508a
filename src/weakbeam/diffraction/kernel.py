"""Tabulated acceptance: p(q) on a grid of voxels in the imaging frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Floats32
from weakbeam.core.compiled import compiled
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.instrument.beam import FWHM_PER_SIGMA

AXES = ("rock", "roll", "two_theta")
"""Names of the axes of a kernel: the components of q in the imaging frame."""


@dataclass(frozen=True, eq=False)
class Kernel:
    r"""Acceptance p(q) averaged over the voxels of a regular grid.

    Parameters
    ----------
    edges : tuple of three (n + 1,) ndarray
        Edges of the voxels along q_rock', q_roll and q_2θ, increasing and equally spaced.
    table : (n1, n2, n3) ndarray of float32
        Mean of p in each voxel, where :math:`\int p\,d^3q = 1` over all of q-space: the sum over
        the voxels times their volume is 1 - `outside`.
    rays : int
        Number of rays that were counted, those outside the grid included.
    outside : float
        Fraction of these rays that fell outside the grid.
    throughput : float
        Fraction of the rays of the uncut beam and lens that passes every aperture and stop.
    conditions : mapping
        Reflection, energy and optics that the kernel belongs to; see `conditions`.
    tracing : mapping
        How it was computed: rays drawn, seed, kinematics.

    Raises
    ------
    ValueError
        When shapes do not belong together or the edges are not equally spaced.
    """

    edges: tuple[Floats, Floats, Floats]
    table: Floats32
    rays: int
    outside: float
    throughput: float
    conditions: Mapping[str, Any] = field(default_factory=dict)
    tracing: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and spacing."""
        shape = tuple(len(edge) - 1 for edge in self.edges)
        if len(shape) != 3 or self.table.shape != shape or min(shape) < 1:
            raise ValueError(f"table {self.table.shape} does not fit the edges' {shape}")
        for name, edge in zip(AXES, self.edges, strict=True):
            steps = np.diff(edge)
            if not steps[0] > 0.0 or np.ptp(steps) > 1e-6 * steps[0]:
                raise ValueError(f"edges along {name} do not increase in equal steps")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of voxels."""
        n1, n2, n3 = self.table.shape
        return n1, n2, n3

    @property
    def steps(self) -> Floats:
        """Edge lengths of a voxel, shape (3,)."""
        return np.array([(edge[-1] - edge[0]) / (len(edge) - 1) for edge in self.edges])

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.steps))

    @property
    def centers(self) -> tuple[Floats, Floats, Floats]:
        """Centres of the voxels along each axis."""
        rock, roll, two_theta = ((edge[1:] + edge[:-1]) / 2.0 for edge in self.edges)
        return rock, roll, two_theta

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of rays in each voxel, (n1, n2, n3)."""
        counts: NDArray[np.int64] = np.rint(self.table * (self.rays * self.voxel_volume)).astype(
            np.int64
        )
        return counts

    def density(self, q_imaging: ArrayLike) -> Floats:
        """Density p(q), interpolated linearly along each axis between the voxels' centres.

        Parameters
        ----------
        q_imaging
            As for :meth:`.AcceptanceDensity.density`.

        Returns
        -------
        (...) ndarray
            Zero outside the grid and where q is not finite. In the outer half of a voxel at the
            border, the value of its centre.
        """
        q = np.asarray(q_imaging, dtype=np.float64)
        points = np.ascontiguousarray(q.reshape(-1, 3))
        values = np.empty(len(points))
        low = np.array([edge[0] for edge in self.edges])
        _interpolate(self.table, low, 1.0 / self.steps, points, values)
        return np.asarray(values.reshape(q.shape[:-1]))

    @property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""
        return float(self.density(np.zeros(3)))

    def projection(self, *axes: int) -> Floats:
        """Density of one or two components of q, integrated over the others.

        Parameters
        ----------
        *axes : int
            Which components are kept, in increasing order: 0, 1 or 2.

        Returns
        -------
        (n,) or (n, m) ndarray
        """
        others = tuple(axis for axis in range(3) if axis not in axes)
        volume = math.prod(self.steps[axis] for axis in others)
        return np.asarray(self.table.sum(axis=others, dtype=np.float64) * volume)

    def mean(self) -> Floats:
        """Mean of q over the grid, shape (3,)."""
        marginals = [self.projection(axis) for axis in range(3)]
        return np.array([p @ x / p.sum() for p, x in zip(marginals, self.centers, strict=True)])

    def covariance(self) -> Floats:
        """Covariance of q over the grid, shape (3, 3).

        Notes
        -----
        Every ray counts at the centre of its voxel. The twelfth of the squared voxel, by which that
        widens the variances of a smooth density, is taken off (Sheppard's correction).
        """
        away = [x - mean for x, mean in zip(self.centers, self.mean(), strict=True)]
        covariance = np.empty((3, 3))
        for i in range(3):
            marginal = self.projection(i)
            variance = marginal @ away[i] ** 2 / marginal.sum()
            covariance[i, i] = variance - self.steps[i] ** 2 / 12.0
            for j in range(i):
                joint = self.projection(j, i)
                covariance[i, j] = covariance[j, i] = away[j] @ joint @ away[i] / joint.sum()
        return covariance


def conditions(
    acceptance: AcceptanceDensity,
    geometry: DiffractionGeometry,
    hkl: Sequence[int],
    energy_kev: float,
) -> dict[str, Any]:
    """Everything that the acceptance of an experiment depends on, under the names of its file.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        Beam, lens and stops, with the Bragg angle and the motion during the exposure.
    geometry : DiffractionGeometry
        The reflection at its Bragg setting.
    hkl : sequence of 3 int
        Its indices.
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    dict
        Of numbers, strings and lists, as JSON holds them.
    """
    optics, fwhm = acceptance.optics, 1e3 * FWHM_PER_SIGMA
    return {
        "reflection.hkl": [int(index) for index in hkl],
        "reflection.theta_deg": math.degrees(acceptance.theta),
        "reflection.eta_deg": math.degrees(geometry.eta),
        "beam.energy_keV": float(energy_kev),
        "beam.bandwidth_rms": optics.bandwidth,
        "beam.spectrum": [list(line) for line in optics.spectrum],
        "beam.divergence_vertical_fwhm_mrad": fwhm * optics.divergence_vertical,
        "beam.divergence_vertical_clip_mrad": 1e3 * optics.clip,
        "beam.divergence_horizontal_fwhm_mrad": fwhm * optics.divergence_horizontal,
        "objective.acceptance_fwhm_mrad": fwhm * optics.lens,
        "objective.aperture_mrad": 1e3 * optics.aperture,
        "objective.stop": [{"kind": s.kind, **asdict(s)} for s in optics.stops],
        "motion of q during the exposure": list(acceptance.motion),
    }


def differences(kernel: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    """Where the conditions of a kernel and of an experiment differ.

    Parameters
    ----------
    kernel, experiment : mapping
        From `conditions`.

    Returns
    -------
    list of str
        One phrase per key, such as ``"beam.energy_keV is 17 in the kernel, 19.1 here"``; empty if
        the kernel belongs to the experiment. Numbers agree within 1e-9 of their size.
    """
    missing = "absent"
    pairs = {
        key: (kernel.get(key, missing), experiment.get(key, missing))
        for key in sorted(kernel.keys() | experiment.keys())
    }
    return [
        f"{key} is {_shown(ours)} in the kernel, {_shown(theirs)} here"
        for key, (ours, theirs) in pairs.items()
        if not _same(ours, theirs)
    ]


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(_same(value[k], other[k]) for k in value)
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(_same, value, other))
    if isinstance(value, int | float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(value == other)


def _shown(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


@compiled
def _interpolate(table: Floats32, low: Floats, per_step: Floats, q: Floats, values: Floats) -> None:
    """Trilinear interpolation between voxel centres; zero outside the edges."""
    n0, n1, n2 = table.shape
    for point in range(len(q)):
        x = (q[point, 0] - low[0]) * per_step[0]
        y = (q[point, 1] - low[1]) * per_step[1]
        z = (q[point, 2] - low[2]) * per_step[2]
        # Written so that NaN fails.
        if not (0.0 <= x <= n0 and 0.0 <= y <= n1 and 0.0 <= z <= n2):
            values[point] = 0.0
            continue
        x = min(max(x - 0.5, 0.0), n0 - 1.0)
        y = min(max(y - 0.5, 0.0), n1 - 1.0)
        z = min(max(z - 0.5, 0.0), n2 - 1.0)
        i, j, k = int(x), int(y), int(z)
        fx, fy, fz = x - i, y - j, z - k
        i1, j1, k1 = min(i + 1, n0 - 1), min(j + 1, n1 - 1), min(k + 1, n2 - 1)
        value00 = table[i, j, k] * (1.0 - fz) + table[i, j, k1] * fz
        value01 = table[i, j1, k] * (1.0 - fz) + table[i, j1, k1] * fz
        value10 = table[i1, j, k] * (1.0 - fz) + table[i1, j, k1] * fz
        value11 = table[i1, j1, k] * (1.0 - fz) + table[i1, j1, k1] * fz
        low_x = value00 * (1.0 - fy) + value01 * fy
        high_x = value10 * (1.0 - fy) + value11 * fy
        values[point] = low_x * (1.0 - fx) + high_x * fx
