"""The best place and nuisances of one dislocation in a window, and its evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.line_place import LinePlace
from weakbeam.identify.nuisances.line_images import LineImages, Stacks
from weakbeam.identify.nuisances.window_model import Parameter
from weakbeam.identify.nuisances.windows import MARGIN, Window

_EVEN = {
    "log_condenser": 0.04, "log_height": 0.25, "character_deg": 3.0, "depth_um": 0.06,
    "row_px": 0.4, "column_px": 0.4, "across_um": 0.02,
}  # fmt: skip
"""How far from where they were computed images change evenly with a parameter."""

_STILL = 0.5
"""Change of the log-likelihood from one set of images to the next below which a climb is done."""

_UNSEEN = 1e-6
"""Change of the log-likelihood over a longest step below which a parameter is not moved."""

_LOST, _SLOW = 30.0, 2.0
"""A climb is given up that lies lower than another type by that much, and by that many times what
the last set of images has brought."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A dislocation with its nuisances, fitted to a window."""

    type: DislocationType
    position_um: Floats
    place: LinePlace
    parameters: tuple[Parameter, ...]
    values: Floats
    covariance: Floats
    log_likelihood: float
    log_evidence: float
    misfit: float
    light: Floats
    background: Floats
    weight: Floats
    linear_names: tuple[str, ...]
    linear: Floats
    """Values of the linear ones, after those of `parameters` in the covariance."""
    window: Window

    def value(self, name: str) -> tuple[float, float]:
        """Value and error of a parameter."""
        names = [p.name for p in self.parameters] + list(self.linear_names)
        k = names.index(name)
        both = np.concatenate([self.values, self.linear])
        return float(both[k]), float(math.sqrt(max(self.covariance[k, k], 0.0)))


@dataclass(eq=False)
class _Point:
    """Parameters, and the model there."""

    x: Floats
    maps: dict[str, Floats]
    linear: Floats
    columns: Floats
    light: Floats
    ground: Floats
    log_likelihood: float
    residual: Floats
    precision: Floats


class LineFit(LineImages):
    """The fit of one type; see :class:`~weakbeam.identify.nuisances.line_images.LineImages`."""

    # ------------------------------------------------------------- likelihood

    def _evaluated(self, x: Floats, stacks: Stacks, before: _Point | None) -> _Point:
        """The model at x, with the best linear parameters."""
        model, o = self.model, self.model.options
        window = model.window
        maps = self._maps(x, stacks)
        data, variance = window.counts.reshape(-1), model.variance
        counted = window.number.reshape(-1) > 0
        if before is None:
            residual = np.zeros_like(data)
            scales = np.full(len(model.groups), float(window.counts.max()))
            passes = 4
        else:
            residual, passes = before.residual, 2
            scales = self._scales(before.linear)
        linear, terms = np.zeros(0), model.linear
        columns = terms.columns(maps["light"])
        first_ground = len(terms.shine)
        for _ in range(passes):
            precision = terms.precision(scales)
            weight = np.where(counted, _weights(residual, variance, o.freedom), 0.0) * model.trust
            weighted = columns * weight
            matrix = weighted @ columns.T + np.diag(precision)
            linear = _solved(matrix, weighted @ data)
            signal = linear @ columns
            ground = linear[first_ground:] @ columns[first_ground:]
            light = signal - ground
            residual = data - signal
            scales = self._scales(linear)
        trust = np.where(counted, self.model.trust, 0.0)
        height = float(trust @ _student(residual, variance, o.freedom))
        height -= 0.5 * float(precision @ linear**2)
        height += self._log_prior(x)
        if scales.min() <= 0.0:
            height = -math.inf
        return _Point(
            x, maps, linear, columns, light, ground, float(height), residual, precision,
        )  # fmt: skip

    def _scales(self, linear: Floats) -> Floats:
        return np.asarray(linear[self.model.linear.scales])

    def _log_prior(self, x: Floats) -> float:
        total = 0.0
        for value, p in zip(x, self.parameters, strict=True):
            if p.name == "blur2":
                # Half a normal distribution of the width itself.
                total -= 0.5 * max(value, 0.0) / p.width**2
            elif math.isfinite(p.width):
                total -= 0.5 * ((value - p.mean) / p.width) ** 2
        return total

    def _jacobian(self, point: _Point) -> Floats:
        """Derivatives of the signal with respect to the nonlinear parameters."""
        model, maps = self.model, point.maps
        factor = model.linear.factor(point.linear)
        places = self._place_maps(maps)
        rows = []
        for p in self.parameters:
            if p.name in places:
                own_map = places[p.name]
            elif p.name.startswith(("phi", "chi", "tilt")):
                axis = "phi" if "phi" in p.name else "chi"
                own_map = np.where((model.of == p.reflection)[:, None, None], maps[axis], 0.0)
                if p.name.startswith("tilt"):
                    k = int(p.name.rsplit("[", 1)[1][:-1])
                    own_map = own_map * model.terms[k - 1]
            else:
                own_map = maps[p.name]
                if p.reflection >= 0:
                    own_map = np.where((model.of == p.reflection)[:, None, None], own_map, 0.0)
            rows.append((factor * own_map).reshape(-1))
        return np.array(rows).reshape(len(rows), -1)

    def _information(self, point: _Point) -> tuple[Floats, Floats, Floats]:
        """Gradient and curvature of all parameters, and the weights of the blocks."""
        o = self.model.options
        counted = self.model.window.number.reshape(-1) > 0
        columns = np.concatenate([self._jacobian(point), point.columns])
        weight = np.where(counted, _weights(point.residual, self.model.variance, o.freedom), 0.0)
        weight *= self.model.trust
        weighted = columns * weight
        # No BLAS: its threads would wait for each other where several fits run side by side.
        curvature = np.einsum("ip,jp->ij", weighted, columns)
        gradient = weighted @ point.residual
        count = len(self.parameters)
        for k, (value, p) in enumerate(zip(point.x, self.parameters, strict=True)):
            if p.name == "blur2":
                gradient[k] -= 0.5 / p.width**2
                curvature[k, k] += 0.05 / p.width**4
            elif math.isfinite(p.width):
                gradient[k] -= (value - p.mean) / p.width**2
                curvature[k, k] += p.width**-2.0
        own = np.arange(count, len(columns))
        gradient[own] -= point.precision * point.linear
        curvature[own, own] += point.precision
        return gradient, curvature, weight

    # ------------------------------------------------------------- climb

    def climbed(
        self,
        start: Mapping[str, float] | None = None,
        steps: int = 0,
        height: float = -math.inf,
    ) -> Fitted:
        """Fit, computing images anew as often as the options say.

        Parameters
        ----------
        start : mapping of str to float, optional
            Values of nuisances to start from, in place of where the last climb has ended.
        steps : int
            Most steps along one set of images; as the options say unless given.
        height : float
            Log-likelihood of another type; the climb ends where it has no hope to come near.
        """
        options = self.model.options
        x = self.x.copy()
        for name, value in (start or {}).items():
            if name in self.names and name not in self.place.names and name != "character_deg":
                x[self.names.index(name)] = value
        point: _Point | None = None
        renew = False
        for turn in range(options.rounds):
            if self.stacks is None or renew or not self._near(x):
                self.stacks = self._stacks(x, self.stacks)
            last = None if point is None else point.log_likelihood
            point = self._evaluated(x, self.stacks, None)
            low = point.log_likelihood
            point = self._walked(point, self.stacks, steps or options.steps)
            x = point.x
            if turn < options.rounds - 1:
                renew = True
                if last is not None and abs(point.log_likelihood - last) < _STILL:
                    break
                if height - point.log_likelihood > max(_LOST, _SLOW * (point.log_likelihood - low)):
                    break
        assert point is not None
        self.x = x
        return self._fitted(point)

    def _near(self, x: Floats) -> bool:
        """Whether the images that there are hold at x."""
        assert self.stacks is not None
        change = self._coordinates(x) - self.stacks.position
        moved = max(float(np.abs(way).max()) for way in self._moved(change).values())
        return moved < MARGIN - 2.5

    def _walked(self, point: _Point, stacks: Stacks, steps: int) -> _Point:
        """Climb along one set of images."""
        damping = 1e-3
        for _ in range(steps):
            gradient, curvature, _ = self._information(point)
            better = None
            for _ in range(3):
                step = self._step(point.x, gradient, curvature, damping, stacks)
                tried = self._evaluated(point.x + step, stacks, point)
                if tried.log_likelihood > point.log_likelihood:
                    better = tried
                    damping = max(damping / 10.0, 1e-6)
                    break
                damping = max(10.0 * damping, 1e-2)
            if better is None:
                break
            gain = better.log_likelihood - point.log_likelihood
            point = better
            if gain < 0.05:
                break
        return point

    def _step(
        self, x: Floats, gradient: Floats, curvature: Floats, damping: float, stacks: Stacks
    ) -> Floats:
        """A damped step, each parameter held to how far it may go."""
        size = np.sqrt(np.maximum(np.diag(curvature), 1e-300))
        scaled = curvature / np.outer(size, size) + damping * np.eye(len(size))
        longest = np.array([p.step for p in self.parameters])
        if not self.place.in_sheet:
            longest[:2] *= self.model.window.factor
        held = [
            k
            for k, p in enumerate(self.parameters)
            if (p.name == "blur2" and x[k] <= 0.0 and gradient[k] < 0.0)
            # What the images do not show would be moved without end, and all else held back.
            or curvature[k, k] * longest[k] ** 2 < _UNSEEN
        ]
        free = np.setdiff1d(np.arange(len(size)), held)
        part = np.linalg.solve(scaled[np.ix_(free, free)], (gradient / size)[free])
        whole = np.zeros(len(size))
        whole[free] = part / size[free]
        step = whole[: len(self.parameters)]
        step = step / max(1.0, float((np.abs(step) / (2.0 * longest)).max()))
        for k, p in enumerate(self.parameters):
            if p.name == "blur2":
                step[k] = max(x[k] + step[k], 0.0) - x[k]
            if p.name in stacks.reference:
                # Images are taken to change evenly with these, which holds nearby only.
                middle, reach = stacks.reference[p.name], _EVEN.get(p.name, 3.0 * p.step)
                step[k] = np.clip(x[k] + step[k], middle - reach, middle + reach) - x[k]
        return step

    def _fitted(self, point: _Point) -> Fitted:
        """Covariance and evidence at the end of a climb."""
        model = self.model
        _, curvature, weight = self._information(point)
        widths = []
        place_widths = dict(zip(self.place.names, self.model.prior.widths(self.place), strict=True))
        for p in self.parameters:
            if math.isfinite(p.width):
                widths.append(
                    p.width * (2.0 if p.name == "blur2" else 1.0) * math.sqrt(2 * math.pi)
                )
            else:
                widths.append(place_widths.get(p.name, model.prior.character_deg))
        brightest = float(model.window.counts.max())
        for k, name in enumerate(model.linear.names):
            known = point.precision[k] > 0.0
            wide = 10.0 * brightest if name.startswith("scale") else brightest
            widths.append(point.precision[k] ** -0.5 * math.sqrt(2 * math.pi) if known else wide)
        size = np.array(widths)
        dimensionless = curvature * np.outer(size, size) / (2.0 * math.pi)
        even = np.array(
            [not math.isfinite(p.width) for p in self.parameters]
            + [q == 0.0 for q in point.precision]
        )
        dimensionless[even, even] += 1.0
        log_determinant = float(np.linalg.slogdet(dimensionless)[1])
        inverse = np.linalg.pinv(dimensionless * 2.0 * math.pi, hermitian=True)
        covariance = np.asarray(inverse * np.outer(size, size), dtype=np.float64)
        coordinates = self._coordinates(point.x)
        position = self.place.position(coordinates)
        density = model.prior.log_density(self.place, position, self.direction)
        density += float(np.log(model.prior.widths(self.place)).sum())
        evidence = point.log_likelihood + density - 0.5 * log_determinant
        counted = weight > 0
        squares = point.residual**2 / model.variance
        trust = np.where(counted, model.trust, 0.0)
        misfit = float(trust @ squares / trust.sum())
        shape = model.window.counts.shape
        kind = self.type
        if "character_deg" in self.names:
            kind = kind.turned(self._character(point.x))
        return Fitted(
            kind, position, self.place, tuple(self.parameters), point.x, covariance,
            point.log_likelihood, evidence, misfit, point.light.reshape(shape),
            point.ground.reshape(shape), weight.reshape(shape), model.linear.names,
            point.linear, model.window,
        )  # fmt: skip


def _weights(residual: Floats, variance: Floats, freedom: float) -> Floats:
    """One over the variance, less for what lies far off."""
    return np.asarray((freedom + 1.0) / (freedom + residual**2 / variance) / variance)


def _student(residual: Floats, variance: Floats, freedom: float) -> Floats:
    """Logarithm of Student's density, up to a constant."""
    far = np.log1p(residual**2 / (freedom * variance))
    return np.asarray(-0.5 * (freedom + 1.0) * far - 0.5 * np.log(variance))


def _solved(matrix: Floats, vector: Floats) -> Floats:
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / np.outer(size, size) + 1e-10 * np.eye(len(size))
    return np.asarray(np.linalg.solve(scaled, vector / size) / size)
