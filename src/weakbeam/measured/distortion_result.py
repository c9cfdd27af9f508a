"""The distortion that several reflections gave, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape

import numpy as np

from weakbeam.analysis.distortion_solution import ChangeSolution, solve_changes
from weakbeam.analysis.distortion_tensors import (
    ROTATION_OF_BETA,
    STRAIN_OF_BETA,
    circuit_integral,
    circuit_points,
    nye_tensor,
    rotation_of_distortion,
    smoothed_distortion,
    strain_of_distortion,
    stress_of_strain,
    variances,
)
from weakbeam.analysis.open_combinations import OpenCombination, named_combinations
from weakbeam.assemble.crystal import CrystalModel
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.html import lines_html
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.crystal.slip import UM_PER_ANGSTROM
from weakbeam.diffraction.lattice_change import displacement_gradient
from weakbeam.errors import InputError
from weakbeam.measured.circuit import Circuit
from weakbeam.measured.registration import Registration
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import MEAN_REDUCTION, Sheet, sampled

FRAMES = ("sample", "crystal")
"""Axes that tensors can be in: those of the first reflection's sample, or of the crystal."""

_DRAWS = 64
"""Draws of the noise from which the error of a circuit is found."""
_SEED = 20

_LATTICE_REACH = 2
_CLOSE = 0.2
"""Part of a lattice vector's length within which a measured Burgers vector is called by it."""


@dataclass(frozen=True, eq=False)
class Distortion:
    r"""The nine components of the distortion on a grid of the sample.

    Parameters
    ----------
    sheet : Sheet
        The grid.
    crystal : CrystalModel
        The crystal.
    sample_from_crystal : (3, 3) ndarray
        Its orientation in the axes of the grid.
    reflections : tuple of SeenReflection
        What it was found from.
    registration : Registration
        Where the cameras look.
    solution : ChangeSolution
        H of every place in the crystal frame.
    frame : {"sample", "crystal"}
        Axes that tensors are in: x, y and the normal of the grid, or the crystal's Cartesian axes.
    smoothing : float
        Standard deviation (µm) of the Gaussian that the maps were smoothed with; 0: none.
    notes : tuple of str
        What to know of it.
    z : float
        Where the sheet is along its normal (µm), of several layers.
    others : tuple of Distortion
        The other layers.
    """

    sheet: Sheet
    crystal: CrystalModel
    sample_from_crystal: Floats
    reflections: tuple[SeenReflection, ...]
    registration: Registration
    solution: ChangeSolution
    frame: str = "sample"
    smoothing: float = 0.0
    notes: tuple[str, ...] = ()
    z: float = 0.0
    others: tuple[Distortion, ...] = ()

    def __post_init__(self) -> None:
        """Check the frame."""
        if self.frame not in FRAMES:
            raise InputError("frame", self.frame, f"must be one of {', '.join(FRAMES)}")

    # ------------------------------------------------------------------ places

    @property
    def x(self) -> Floats:
        """Coordinates (µm) of the columns."""
        return self.sheet.x

    @property
    def y(self) -> Floats:
        """Coordinates (µm) of the rows."""
        return self.sheet.y

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x)."""
        return self.sheet.shape

    @property
    def seen(self) -> Ints:
        """How many reflections are seen at each place, (rows, columns)."""
        codes = self.solution.pattern.reshape(self.shape)
        bits = codes[..., None] >> np.arange(len(self.reflections)) & 1
        return np.asarray(bits.sum(axis=-1))

    @property
    def chi2(self) -> Floats:
        """Weighted residual per degree of freedom; NaN where there is none."""
        freedom = self.solution.freedom
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.where(freedom > 0, self.solution.chi2 / freedom, np.nan)
        return np.asarray(value.reshape(self.shape))

    @property
    def layers(self) -> tuple[Distortion, ...]:
        """All layers from the lowest z, this one among them, each with the others."""
        every = sorted((replace(self, others=()), *self.others), key=lambda one: one.z)
        return tuple(
            replace(one, others=tuple(other for other in every if other is not one))
            for one in every
        )

    # ------------------------------------------------------------------ tensors

    @property
    def axes(self) -> Floats:
        """Rotation from the crystal frame to that of the tensors."""
        return self.sample_from_crystal if self.frame == "sample" else np.eye(3)

    def in_frame(self, frame: str) -> Distortion:
        """The same with tensors in the axes of the ``sample`` or the ``crystal``."""
        return replace(
            self, frame=frame, others=tuple(replace(one, frame=frame) for one in self.others)
        )

    def smoothed(self, length_um: float) -> Distortion:
        """The same with maps smoothed by a Gaussian of this standard deviation (µm)."""
        if not (length_um >= 0.0 and math.isfinite(length_um)):
            raise InputError("smooth_um", length_um, "must be a length from 0 on")
        return replace(
            self,
            smoothing=length_um,
            others=tuple(replace(one, smoothing=length_um) for one in self.others),
        )

    @cached_property
    def _maps(self) -> tuple[Floats, Floats]:
        """β and its covariance in the axes of the tensors, with zeros where it is open."""
        turn = self.axes
        beta = turn @ displacement_gradient(self.solution.change) @ turn.T
        beta = beta.reshape(*self.shape, 3, 3)
        covariance = self.solution.covariance.reshape(*self.shape, 9, 9)
        map_ = _beta_of_change(turn)
        covariance = map_ @ covariance @ map_.T
        if self.smoothing > 0.0:
            narrow = self.sheet.step / min(view.pitch for view in self.sheet.views)
            # Means over many places of a grid as fine as the pixels are as good as without
            # interpolation; a coarser grid leaves some of the pixels' light aside.
            correlated = 1.0 / MEAN_REDUCTION * min(1.0, narrow**-2.0)
            sigma = self.smoothing / self.sheet.step
            beta, covariance = smoothed_distortion(beta, covariance, sigma, max(correlated, 1.0))
        return beta, covariance

    def _closed(self, combinations: Floats) -> np.ndarray:
        """Where combinations (m, 9) of β are determined, (rows, columns, m)."""
        turn = _beta_of_change(self.axes)
        codes = self.solution.pattern
        closed = np.zeros((len(codes), len(combinations)), bool)
        for code, left in self.solution.open.items():
            touched = np.abs(combinations @ turn @ left).sum(axis=1) > 1e-6
            closed[codes == code] = ~touched
        return closed.reshape(*self.shape, len(combinations))

    def _errors(self, combinations: Floats) -> Floats:
        variance = variances(self._maps[1], combinations)
        errors = np.sqrt(np.maximum(variance, 0.0))
        errors = np.where(self._closed(combinations), errors, np.nan)
        return errors if self.has_errors else np.full_like(errors, np.nan)

    @property
    def has_errors(self) -> bool:
        """Whether there is noise that errors follow from."""
        return not any(one.facts.get("exact", 0.0) for one in self.reflections)

    @property
    def beta(self) -> Floats:
        """β (rows, columns, 3, 3); NaN where dark and where a component is not determined."""
        closed = self._closed(np.eye(9)).reshape(*self.shape, 3, 3)
        return np.where(closed, self._maps[0], np.nan)

    @property
    def beta_error(self) -> Floats:
        """Standard deviations of β (rows, columns, 3, 3); NaN without noise."""
        return self._errors(np.eye(9)).reshape(*self.shape, 3, 3)

    @property
    def covariance(self) -> Floats:
        """Of the nine components of β, (rows, columns, 9, 9)."""
        return self._maps[1]

    @property
    def strain(self) -> Floats:
        """Strain (rows, columns, 3, 3), free of rotations."""
        closed = self._closed(STRAIN_OF_BETA).reshape(*self.shape, 3, 3)
        return np.where(closed, strain_of_distortion(self._maps[0]), np.nan)

    @property
    def strain_error(self) -> Floats:
        """Its standard deviations."""
        return self._errors(STRAIN_OF_BETA).reshape(*self.shape, 3, 3)

    @property
    def rotation(self) -> Floats:
        """Rotation vector of the lattice (rows, columns, 3), rad."""
        closed = self._closed(ROTATION_OF_BETA)
        return np.where(closed, rotation_of_distortion(self._maps[0]), np.nan)

    @property
    def rotation_error(self) -> Floats:
        """Its standard deviations (rad)."""
        return self._errors(ROTATION_OF_BETA)

    @property
    def stiffness(self) -> Floats | None:
        """C_ijkl (GPa) in the axes of the tensors; None where the constants are not known."""
        medium = self.crystal.constants
        if medium is None and self.crystal.named is not None:
            medium = AnisotropicMedium(self.crystal.named.stiffness_matrix)
        return None if medium is None else medium.turned(self.axes).stiffness

    @property
    def stress(self) -> Floats | None:
        """Stress (rows, columns, 3, 3) in MPa; None without elastic constants."""
        stiffness = self.stiffness
        return None if stiffness is None else 1e3 * stress_of_strain(self.strain, stiffness)

    @property
    def stress_error(self) -> Floats | None:
        """Its standard deviations (MPa)."""
        stiffness = self.stiffness
        if stiffness is None:
            return None
        combinations = 1e3 * stiffness.reshape(9, 9) @ STRAIN_OF_BETA
        return self._errors(combinations).reshape(*self.shape, 3, 3)

    @cached_property
    def nye(self) -> Floats:
        """Nye tensor (rows, columns, 3, 3) in 1/µm, in sample axes; NaN for what needs z.

        A layer between two others has all components.
        """
        middle = self.in_frame("sample")
        below = max((one for one in middle.others if one.z < self.z), key=_z, default=None)
        above = min((one for one in middle.others if one.z > self.z), key=_z, default=None)
        slope = None
        if below is not None and above is not None:
            # Of the parabola through the three.
            down, up = self.z - below.z, above.z - self.z
            slope = (
                (down / up) * (above.beta - middle.beta) + (up / down) * (middle.beta - below.beta)
            ) / (down + up)
        return nye_tensor(middle.beta, self.sheet.step, slope)

    @property
    def dislocation_density(self) -> Floats:
        """Least density (1/µm²) of dislocations that the Nye tensor needs.

        The sum of the singular values of what is known of it over the shortest Burgers vector: of
        one layer only what crosses the sheet counts.
        """
        alpha = self.nye
        columns = np.asarray(np.isfinite(alpha).all(axis=-2, keepdims=True))
        known = np.where(columns, alpha, 0.0)
        density = np.linalg.svd(known, compute_uv=False).sum(axis=-1) / self.shortest_burgers
        return np.where(columns[..., 0, 2], density, np.nan)

    @cached_property
    def lattice_vectors(self) -> tuple[Floats, Floats]:
        """Short lattice vectors: (n, 3) in units of the cell, (n, 3) µm in the crystal frame."""
        reach = np.arange(-_LATTICE_REACH, _LATTICE_REACH + 1)
        whole = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
        points = np.array([[float(x) for x in point] for point in self.crystal.centring])
        indices = (whole[:, None] + points[None]).reshape(-1, 3)
        vectors = np.array([self.crystal.cell.direction(row) for row in indices])
        return indices, UM_PER_ANGSTROM * vectors

    @property
    def shortest_burgers(self) -> float:
        """Length (µm) of the shortest lattice vector."""
        lengths = np.linalg.norm(self.lattice_vectors[1], axis=1)
        return float(lengths[lengths > 1e-9].min())

    # ------------------------------------------------------------------ what is open

    @property
    def open_combinations(self) -> list[OpenCombination]:
        """What the whole set of reflections leaves open, in the axes of the tensors."""
        code = (1 << len(self.reflections)) - 1
        left = self.solution.open.get(code)
        if left is None:
            from weakbeam.analysis.distortion_solution import open_combinations

            left = open_combinations(
                [one.direction for one in self.reflections],
                [one.measured for one in self.reflections],
            )
        return named_combinations(_beta_of_change(self.axes) @ left)

    # ------------------------------------------------------------------ circuits

    def circuit(self, vertices: Sequence[Sequence[float]]) -> Circuit:
        """Burgers vector of what a closed polygon encloses.

        β is taken from the cameras' pixels at points of the polygon, not from the grid and without
        smoothing.

        Parameters
        ----------
        vertices : sequence of (x, y)
            Corners (µm) on the sheet, in either sense: the circuit is right-handed about the
            normal.

        Raises
        ------
        InputError
            If the polygon has no area or passes where β is not known.
        """
        try:
            points, elements = circuit_points(vertices, 0.5 * self.sheet.step)
        except ValueError as error:
            raise InputError(
                "circuit", [list(map(float, v)) for v in vertices], str(error)
            ) from None
        solved = self._solved_at(points, [one.change for one in self.reflections])
        turn = self.axes
        beta = displacement_gradient(solved.change)
        whole = all(solved.open[int(code)].shape[1] == 0 for code in np.unique(solved.pattern))
        if not (np.isfinite(beta).all() and whole):
            dark = points[~np.isfinite(beta).all(axis=(1, 2))]
            place = dark[0] if len(dark) else points[0]
            raise InputError(
                "circuit",
                [list(map(float, v)) for v in vertices],
                f"passes where β is not known, such as ({place[0]:.3g}, {place[1]:.3g}) µm",
            )
        # Elements lie in the sheet: β in sample axes, the vector then in those of the tensors.
        sample = self.sample_from_crystal

        def vector(gradient: Floats) -> Floats:
            return turn @ sample.T @ circuit_integral(sample @ gradient @ sample.T, elements)

        burgers = vector(beta)
        covariance = np.full((3, 3), np.nan)
        if self.has_errors:
            covariance = self._circuit_covariance(points, vector)
        corners = np.asarray(vertices, dtype=np.float64)
        return Circuit(
            corners,
            burgers,
            np.sqrt(np.diag(covariance)),
            covariance,
            turn.T @ burgers,
            self._nearest(turn.T @ burgers),
            self.z,
        )

    def _solved_at(self, points: Floats, changes: Sequence[Floats]) -> ChangeSolution:
        h, w = [], []
        for view, correction, one, change in zip(
            self.sheet.views, self.registration.corrections, self.reflections, changes, strict=True
        ):
            value, told = sampled(view, points, correction, change, one.information)
            h.append(value)
            w.append(told)
        return solve_changes(
            np.array([one.direction for one in self.reflections]),
            np.array(h),
            np.array(w),
            [one.measured for one in self.reflections],
            robust=False,
        )

    def _circuit_covariance(self, points: Floats, vector: object) -> Floats:
        """From draws of the noise of every pixel, which points near each other share."""
        assert callable(vector)
        random = np.random.default_rng(_SEED)
        roots = []
        for one in self.reflections:
            covariance = np.linalg.pinv(np.nan_to_num(one.information), rcond=1e-9, hermitian=True)
            values, axes = np.linalg.eigh(covariance)
            roots.append(axes * np.sqrt(np.maximum(values, 0.0))[..., None, :])
        drawn = []
        for _ in range(_DRAWS):
            noise = [
                np.where(
                    np.isfinite(one.change),
                    np.einsum("rcij,rcj->rci", root, random.standard_normal(one.change.shape)),
                    np.nan,
                )
                for one, root in zip(self.reflections, roots, strict=True)
            ]
            solved = self._solved_at(points, noise)
            drawn.append(vector(-np.swapaxes(solved.change, -1, -2)))
        return np.asarray(np.cov(np.array(drawn).T))

    def _nearest(self, burgers: Floats) -> Floats | None:
        indices, vectors = self.lattice_vectors
        away = np.linalg.norm(vectors - burgers, axis=1)
        best = int(away.argmin())
        return indices[best] if away[best] < _CLOSE * self.shortest_burgers else None

    def __repr__(self) -> str:
        """In short."""
        names = ", ".join(one.name for one in self.reflections)
        rows, columns = self.shape
        return f"<Distortion of {names}: {rows} × {columns} places of {self.sheet.step:.3g} µm>"

    def _repr_html_(self) -> str:
        return f"<div>{escape(repr(self))}{lines_html(self.notes)}</div>"


def _z(one: Distortion) -> float:
    return one.z


def _beta_of_change(turn: Floats) -> Floats:
    """(9, 9): β in turned axes from H in the crystal's, to first order β = -Hᵀ."""
    return np.asarray(-np.einsum("ik,jl->ijlk", turn, turn).reshape(9, 9))
