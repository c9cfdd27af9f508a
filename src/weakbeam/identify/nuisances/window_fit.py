"""The best place and nuisances of one dislocation in a window, and its evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.types import DislocationType
from weakbeam.fit.line_place import LinePlace, PositionPrior, place_of
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_terms import light_terms, window_terms
from weakbeam.identify.nuisances.sampling_loops import sample_stack
from weakbeam.identify.nuisances.windows import MARGIN, Window, WindowRenderers
from weakbeam.run.render import Renderer

_ROLL_STEP = 4e-5
_ARM_STEP = 4e-5
_HEIGHT_STEP = 0.15
_CLIP_STEP = 0.05
_DEPTH_STEP = 0.02
_TURN_STEP = 0.5

_EVEN = {"log_condenser": 0.04, "log_height": 0.25, "character_deg": 3.0, "depth_um": 0.06}
"""How far from where they were computed images change evenly with a parameter."""


@dataclass(frozen=True)
class FitOptions:
    """How a window is fitted.

    Parameters
    ----------
    model_error, background_error : float
        As of :class:`~weakbeam.fit.nuisance_noise.ModelNoise`.
    freedom : float
        Of Student's t distribution of the residuals: pixels that no parameter explains pull less
        the fewer there are.
    tilts : int
        Amounts of tilt at which images are computed.
    instrument : bool
        Whether beam height, condenser, 2θ and depth are fitted.
    turn : bool
        Whether the character is fitted.
    steps : int
        Most steps along one set of images.
    rounds : int
        Most sets of images.
    precise : bool
        As of :class:`~weakbeam.run.render.Renderer`.
    depths : int, optional
        Samples along rays; as many as the crystal asks for unless given.
    reach : float
        Distance from the middle, as a share of the half window, at which blocks count 0.6.
    """

    model_error: float
    background_error: float
    freedom: float = 6.0
    tilts: int = 17
    instrument: bool = False
    turn: bool = False
    steps: int = 8
    rounds: int = 1
    precise: bool = False
    depths: int | None = None
    reach: float = math.inf


@dataclass(frozen=True)
class Parameter:
    """One number that is fitted, and its normal prior; of infinite width where it is even."""

    name: str
    mean: float
    width: float
    step: float
    reflection: int = -1


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


class WindowModel:
    """What images of a window are linear combinations of, and how nuisances change it.

    Parameters
    ----------
    window : Window
        The data.
    renderers : WindowRenderers
        What computes images.
    priors : NuisancePriors
        Of the nuisances.
    prior : PositionPrior
        Where the line may be.
    options : FitOptions
        What is fitted.
    """

    def __init__(
        self,
        window: Window,
        renderers: WindowRenderers,
        priors: NuisancePriors,
        prior: PositionPrior,
        options: FitOptions,
    ) -> None:
        self.window, self.renderers, self.priors = window, renderers, priors
        self.prior, self.options = prior, options
        self.renderer = renderers.of(window, options.precise, None, options.depths)
        setups = self.renderer.setups
        self.of = np.array([c.reflection for c in self.renderer.conditions])
        self.groups = sorted(set(self.of.tolist()))
        camera = renderers.experiment.camera
        spread = (camera.psf_px or 0.0) / camera.binning
        # Blocks average over their pixels, where computed images take one point.
        self.sharp = (spread / window.factor) ** 2 + (1.0 - window.factor**-2) / 12.0
        optics = setups[0].optics
        self.step = max(math.tan(setups[0].geometry.theta) * optics.bandwidth, 4e-6)
        self.tilts = self.step * (np.arange(options.tilts) - (options.tilts - 1) / 2.0)
        self.vectors = {r: setups[r].geometry.motor_vectors for r in self.groups}
        self.terms = window_terms(window.shape, max(priors.tilt_degree, 0))[1:]
        turned = camera.rotation_deg in (90, 270)
        self.light = light_terms(window.shape, priors.illumination_degree, turned)
        self.ground = window_terms(window.shape, priors.background_degree)
        self.nuisances = self._nuisances()
        self.trust = _trust(window, options.reach)

    def _nuisances(self) -> list[Parameter]:
        p, found = self.priors, list[Parameter]()
        for r in self.groups:
            mark = f"[{r}]" if len(self.groups) > 1 else ""
            for motor in ("phi", "chi") + (("two_theta",) if self.options.instrument else ()):
                own = p.offsets[motor]
                if own.free:
                    found.append(Parameter(f"{motor}_offset{mark}", own.mean, own.width, 1.5e-5, r))
            if p.tilt > 0.0:
                for axis in ("phi", "chi"):
                    for k in range(len(self.terms)):
                        name = f"tilt_{axis}{mark}[{k + 1}]"
                        found.append(Parameter(name, 0.0, p.tilt, 1.5e-5, r))
        if p.blur_px.free:
            found.append(Parameter("blur2", p.blur_px.mean**2, p.blur_px.width, 1.0))
        if self.options.instrument and p.beam_height.free:
            found.append(
                Parameter("log_height", math.log(p.beam_height.mean), p.beam_height.width, 0.15)
            )
        if self.options.instrument and p.condenser.free:
            found.append(
                Parameter("log_condenser", math.log(p.condenser.mean), p.condenser.width, 0.05)
            )
        return found


@dataclass(eq=False)
class _Stacks:
    """Images about one place, of all that is changed."""

    main: Floats32
    roll: Floats32
    others: dict[str, Floats32]
    position: Floats
    reference: dict[str, float]


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
    variance: Floats
    residual: Floats
    precision: Floats
    mean: Floats


class LineFit:
    """The fit of one type.

    Parameters
    ----------
    model : WindowModel
        Window and nuisances.
    type : DislocationType
        What is fitted.
    position_um : (3,) ndarray
        Where the fit starts.
    start : mapping of str to float, optional
        Values of nuisances to start from.
    """

    def __init__(
        self,
        model: WindowModel,
        type: DislocationType,
        position_um: Floats,
        start: dict[str, float] | None = None,
    ) -> None:
        self.model, self.type = model, type
        renderer, options = model.renderer, model.options
        direction = renderer.lines_of(type.plane, type.burgers, type.character_deg).lines[0]
        self.direction = direction
        # Coordinates in pixels of whole images, whatever the blocks.
        steps = tuple(step / model.window.factor for step in renderer.pixel_steps())
        self.place, at = place_of(direction, position_um, (steps[0], steps[1]), renderer.up)
        width = math.inf
        names = self.place.names
        own = [Parameter(names[0], 0.0, width, self.place.longest_steps[0])]
        if not self.place.in_sheet or options.instrument:
            own.append(Parameter(names[1], 0.0, width, self.place.longest_steps[1]))
        if options.turn:
            own.append(Parameter("character_deg", 0.0, width, 3.0))
        self.parameters = [*own, *model.nuisances]
        self.names = [p.name for p in self.parameters]
        self.at = at
        x = np.array([0.0] * len(own) + [p.mean for p in model.nuisances])
        x[0] = at[0]
        if len(own) > 1 and own[1].name == names[1]:
            x[1] = at[1]
        if options.turn:
            x[len(own) - 1] = type.character_deg
        for name, value in (start or {}).items():
            if name in self.names and name not in names:
                x[self.names.index(name)] = value
        self.x = x
        self.renderings = 0
        self.stacks: _Stacks | None = None

    # ------------------------------------------------------------- images

    def _coordinates(self, x: Floats) -> Floats:
        """Both coordinates across the line."""
        if len(self.names) > 1 and self.names[1] == self.place.names[1]:
            return np.array([x[0], x[1]])
        return np.array([x[0], self.at[1]])

    def _get(self, x: Floats, name: str, default: float) -> float:
        return float(x[self.names.index(name)]) if name in self.names else default

    def _character(self, x: Floats) -> float:
        return self._get(x, "character_deg", self.type.character_deg)

    def _images(
        self,
        renderer: Renderer,
        x: Floats,
        rolls: Sequence[float],
        depth: float = 0.0,
        turn: float = 0.0,
        arm: float = 0.0,
    ) -> Floats32:
        """Stack (rolls, tilts, conditions, rows, columns) with its margin."""
        model, offsets = self.model, self.model.priors.offsets
        coordinates = self._coordinates(x) + np.array([0.0, depth])
        lines = renderer.lines_of(
            self.type.plane,
            self.type.burgers,
            self._character(x) + turn,
            self.place.position(coordinates),
        )
        shifts = {}
        for r in model.groups:
            v = model.vectors[r]
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            t = self._get(x, f"two_theta_offset{mark}", offsets["two_theta"].mean) + arm
            rock = model.tilts[:, None] * v[0] + t * v[2]
            shifts[r] = rock, np.array(rolls)[:, None] * v[1]
        self.renderings += 1
        return renderer.offset_images(lines, shifts)

    def _instrument(self, x: Floats, height: float = 0.0, clip: float = 0.0) -> Renderer:
        """The renderer with the height of the beam and the condenser at some factors."""
        model, experiment = self.model, self.model.renderers.experiment
        p, changed = model.priors, {}
        h = math.exp(self._get(x, "log_height", math.log(p.beam_height.mean)) + height)
        c = math.exp(self._get(x, "log_condenser", math.log(p.condenser.mean)) + clip)
        beam = experiment.beam
        if abs(h - 1.0) > 1e-9:
            changed["height_fwhm_um"] = beam.height_fwhm_um * h
        if abs(c - 1.0) > 1e-9 and beam.divergence_vertical_clip_mrad is not None:
            changed["divergence_vertical_clip_mrad"] = beam.divergence_vertical_clip_mrad * c
        instrument = {"beam": changed} if changed else None
        return model.renderers.of(
            model.window, model.options.precise, instrument, model.options.depths
        )

    def _stacks(self, x: Floats) -> _Stacks:
        """Images at x, and their changes with what tilts and shifts do not tell."""
        renderer = self._instrument(x)
        both = self._images(renderer, x, (0.0, _ROLL_STEP))
        main = np.ascontiguousarray(np.moveaxis(both[0], 1, 0))
        roll = np.ascontiguousarray(np.moveaxis(both[1] - both[0], 1, 0))
        roll = np.asarray(roll / np.float32(_ROLL_STEP), dtype=np.float32)
        others, reference = dict[str, Floats32](), dict[str, float]()

        def add(name: str, images: Floats32, step: float) -> None:
            change = (np.moveaxis(images[0], 1, 0) - main) / np.float32(step)
            others[name] = np.ascontiguousarray(change)
            reference[name] = (
                self._character(x) if name == "character_deg" else self._get(x, name, 0.0)
            )

        if "depth_um" in self.names:
            add("depth_um", self._images(renderer, x, (0.0,), depth=_DEPTH_STEP), _DEPTH_STEP)
        if "character_deg" in self.names:
            add("character_deg", self._images(renderer, x, (0.0,), turn=_TURN_STEP), _TURN_STEP)
        if "log_height" in self.names:
            higher = self._instrument(x, height=_HEIGHT_STEP)
            add("log_height", self._images(higher, x, (0.0,)), _HEIGHT_STEP)
        if "log_condenser" in self.names:
            wider = self._instrument(x, clip=_CLIP_STEP)
            add("log_condenser", self._images(wider, x, (0.0,)), _CLIP_STEP)
        for name in self.names:
            if name.startswith("two_theta"):
                add(name, self._images(renderer, x, (0.0,), arm=_ARM_STEP), _ARM_STEP)
        return _Stacks(main, roll, others, self._coordinates(x), reference)

    # ------------------------------------------------------------- model

    def _tilt(self, x: Floats, axis: str, reflection: int) -> Floats:
        """Tilt of each pixel along φ or χ (rad)."""
        model = self.model
        mark = f"[{reflection}]" if len(model.groups) > 1 else ""
        own = self._get(x, f"{axis}_offset{mark}", model.priors.offsets[axis].mean)
        field = np.full(model.window.shape, own)
        for k, term in enumerate(model.terms):
            name = f"tilt_{axis}{mark}[{k + 1}]"
            if name in self.names:
                field += x[self.names.index(name)] * term
        return field

    def _maps(self, x: Floats, stacks: _Stacks) -> dict[str, Floats]:
        """Light of unit brightness and its derivatives, (conditions, rows, columns) each."""
        model = self.model
        count, shape = len(model.of), model.window.shape
        moved = self._moved(self._coordinates(x) - stacks.position)
        light = np.empty((count, *shape))
        maps = {name: np.empty((count, *shape)) for name in ("phi", "chi", "row", "column")}
        others = {name: np.empty((count, *shape)) for name in stacks.others}
        out = np.empty((4, *shape))
        first = float(model.tilts[0])
        tilts = {
            r: ((self._tilt(x, "phi", r) - first) / model.step, self._tilt(x, "chi", r))
            for r in model.groups
        }
        for k, reflection in enumerate(model.of):
            tilt, roll = tilts[reflection]
            row, column = moved[reflection]
            sample_stack(stacks.main[k], tilt, row, column, MARGIN, out)
            light[k], maps["phi"][k] = out[0], out[1] / model.step
            maps["row"][k], maps["column"][k] = out[2], out[3]
            sample_stack(stacks.roll[k], tilt, row, column, MARGIN, out)
            maps["chi"][k] = out[0]
            light[k] += roll * out[0]
            for name, stack in stacks.others.items():
                sample_stack(stack[k], tilt, row, column, MARGIN, out)
                others[name][k] = out[0]
                if name in self.names:
                    away = x[self.names.index(name)] - stacks.reference[name]
                    light[k] += away * out[0]
        maps |= others
        maps["light"] = light
        blur2 = max(self._get(x, "blur2", model.priors.blur_px.mean**2), 0.0)
        sigma2 = blur2 / model.window.factor**2 + model.sharp
        if sigma2 > 1e-4:
            sigma = math.sqrt(sigma2)
            for name, values in maps.items():
                maps[name] = gaussian_filter(values, (0, sigma, sigma), mode="nearest", truncate=3)
        if "blur2" in self.names:
            maps["blur2"] = _curvature(maps["light"]) / (2.0 * model.window.factor**2)
        return maps

    def _moved(self, change: Floats) -> dict[int, Floats]:
        """Rows and columns of blocks by which images move with the line."""
        model, moved = self.model, {}
        displacement = change @ self.place.axes
        if "depth_um" in self.names or self.place.in_sheet:
            displacement = change[0] * self.place.axes[0]
        for r in model.groups:
            row, column = model.renderer.pixel_steps(r)
            up = model.renderer.turn(r) @ model.renderer.up
            axes = np.linalg.inv(np.stack([row, column, up]))
            way = (model.renderer.turn(r) @ displacement @ axes)[:2]
            moved[r] = np.clip(way, -(MARGIN - 2.0), MARGIN - 2.0)
        return moved

    def _place_maps(self, maps: dict[str, Floats]) -> dict[str, Floats]:
        """Derivatives with respect to the coordinates across the line."""
        model, own = self.model, {}
        for k, name in enumerate(self.place.names):
            if name == "depth_um" or name not in self.names:
                continue
            total = np.empty_like(maps["light"])
            unit = np.zeros(2)
            unit[k] = 1e-3
            way = self._moved(unit)
            for n, r in enumerate(model.of):
                row, column = way[r] / 1e-3
                total[n] = row * maps["row"][n] + column * maps["column"][n]
            own[name] = total
        return own

    # ------------------------------------------------------------- likelihood

    def _linear_columns(self, light: Floats, scales: Floats) -> tuple[Floats, Floats, Floats]:
        """Columns (k, conditions·pixels) of linear parameters, their prior means and precisions."""
        model, p = self.model, self.model.priors
        count, pixels = len(model.of), light[0].size
        columns, mean, precision = [], [], []
        names = []
        for g, r in enumerate(model.groups):
            own = np.flatnonzero(model.of == r)
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            scale = max(float(scales[g]), 1e-9)
            column = np.zeros((count, pixels))
            column[own] = light[own].reshape(len(own), -1)
            columns.append(column)
            names.append(f"scale{mark}")
            mean.append(0.0)
            precision.append(0.0)
            if p.illumination > 0.0:
                for k, term in enumerate(model.light):
                    shaped = np.zeros((count, pixels))
                    shaped[own] = (light[own] * term).reshape(len(own), -1)
                    columns.append(shaped)
                    names.append(f"light{mark}[{k + 1}]")
                    mean.append(0.0)
                    precision.append((p.illumination * scale) ** -2.0)
            if len(own) > 1 and p.brightness > 0.0:
                for k in own.tolist():
                    single = np.zeros((count, pixels))
                    single[k] = light[k].ravel()
                    columns.append(single)
                    names.append(f"brightness[{k}]")
                    mean.append(0.0)
                    precision.append((p.brightness * scale) ** -2.0)
        for k in range(count):
            for j, term in enumerate(model.ground):
                ground = np.zeros((count, pixels))
                ground[k] = term.ravel()
                columns.append(ground)
                names.append(f"background[{k}][{j}]")
                mean.append(0.0)
                precision.append(0.0)
        self.linear_names = names
        flat = np.stack(columns).reshape(len(columns), -1)
        return flat, np.array(mean), np.array(precision)

    def _evaluated(self, x: Floats, stacks: _Stacks, before: _Point | None) -> _Point:
        """The model at x, with the best linear parameters."""
        model, o = self.model, self.model.options
        window = model.window
        maps = self._maps(x, stacks)
        data, number = window.counts.reshape(-1), window.number.reshape(-1)
        counted = number > 0
        n = np.maximum(number, 1)
        if before is None:
            smooth = gaussian_filter(window.counts, (0, 1.0, 1.0)).reshape(-1)
            variance = (window.noise.variance(smooth)) / n + (
                max(o.model_error, 0.1) * np.abs(smooth)
            ) ** 2
            residual = np.zeros_like(data)
            scales = np.full(len(model.groups), float(window.counts.max()))
            passes = 4
        else:
            variance, residual, passes = before.variance, before.residual, 2
            scales = self._scales(before.linear)
        linear = np.zeros(0)
        for _ in range(passes):
            columns, mean, precision = self._linear_columns(maps["light"], scales)
            weight = np.where(counted, _weights(residual, variance, o.freedom), 0.0) * model.trust
            weighted = columns * weight
            matrix = weighted @ columns.T + np.diag(precision)
            linear = _solved(matrix, weighted @ data + precision * mean)
            signal = linear @ columns
            first_ground = len(linear) - len(model.of) * len(model.ground)
            ground = linear[first_ground:] @ columns[first_ground:]
            light = signal - ground
            residual = data - signal
            variance = (
                window.noise.variance(signal) / n
                + (o.model_error * light) ** 2
                + (o.background_error * ground) ** 2
            )
            scales = self._scales(linear)
        trust = np.where(counted, self.model.trust, 0.0)
        height = float(trust @ _student(residual, variance, o.freedom))
        height -= 0.5 * float(precision @ (linear - mean) ** 2)
        height += self._log_prior(x)
        if scales.min() <= 0.0:
            height = -math.inf
        return _Point(
            x, maps, linear, columns, light, ground, float(height), variance, residual,
            precision, mean,
        )  # fmt: skip

    def _scales(self, linear: Floats) -> Floats:
        own = [k for k, name in enumerate(self.linear_names) if name.startswith("scale")]
        return np.asarray(linear[own])

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
        count = len(model.of)
        shape = (count, *model.window.shape)
        # Brightness of each pixel: light over unit light, from the linear parameters.
        factor = np.zeros(shape)
        names = self.linear_names
        for r in model.groups:
            own = np.flatnonzero(model.of == r)
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            factor[own] += point.linear[names.index(f"scale{mark}")]
            for k, term in enumerate(model.light):
                name = f"light{mark}[{k + 1}]"
                if name in names:
                    factor[own] += point.linear[names.index(name)] * term
            for k in own.tolist():
                if f"brightness[{k}]" in names:
                    factor[k] += point.linear[names.index(f"brightness[{k}]")]
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
        weight = np.where(counted, _weights(point.residual, point.variance, o.freedom), 0.0)
        weight *= self.model.trust
        weighted = columns * weight
        curvature = weighted @ columns.T
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
        gradient[own] -= point.precision * (point.linear - point.mean)
        curvature[own, own] += point.precision
        return gradient, curvature, weight

    # ------------------------------------------------------------- climb

    def climbed(self, start: Mapping[str, float] | None = None, steps: int = 0) -> Fitted:
        """Fit, computing images anew as often as the options say.

        Parameters
        ----------
        start : mapping of str to float, optional
            Values of nuisances to start from, in place of where the last climb has ended.
        steps : int
            Most steps along one set of images; as the options say unless given.
        """
        options = self.model.options
        x = self.x.copy()
        for name, value in (start or {}).items():
            if name in self.names and name not in self.place.names and name != "character_deg":
                x[self.names.index(name)] = value
        point: _Point | None = None
        for turn in range(options.rounds):
            if self.stacks is None or not self._near(x):
                self.stacks = self._stacks(x)
            last = None if point is None else point.log_likelihood
            point = self._evaluated(x, self.stacks, None)
            point = self._walked(point, self.stacks, steps or options.steps)
            x = point.x
            if turn < options.rounds - 1:
                self.stacks = None
                if last is not None and abs(point.log_likelihood - last) < 0.3:
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

    def _walked(self, point: _Point, stacks: _Stacks, steps: int) -> _Point:
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
        self, x: Floats, gradient: Floats, curvature: Floats, damping: float, stacks: _Stacks
    ) -> Floats:
        """A damped step, each parameter held to how far it may go."""
        size = np.sqrt(np.maximum(np.diag(curvature), 1e-300))
        scaled = curvature / np.outer(size, size) + damping * np.eye(len(size))
        held = [
            k
            for k, p in enumerate(self.parameters)
            if p.name == "blur2" and x[k] <= 0.0 and gradient[k] < 0.0
        ]
        free = np.setdiff1d(np.arange(len(size)), held)
        part = np.linalg.solve(scaled[np.ix_(free, free)], (gradient / size)[free])
        whole = np.zeros(len(size))
        whole[free] = part / size[free]
        step = whole[: len(self.parameters)]
        longest = np.array([p.step for p in self.parameters])
        if not self.place.in_sheet:
            longest[:2] *= self.model.window.factor
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
        for k, name in enumerate(self.linear_names):
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
        squares = point.residual**2 / point.variance
        trust = np.where(counted, model.trust, 0.0)
        misfit = float(trust @ squares / trust.sum())
        shape = model.window.counts.shape
        kind = self.type
        if "character_deg" in self.names:
            kind = kind.turned(self._character(point.x))
        return Fitted(
            kind, position, self.place, tuple(self.parameters), point.x, covariance,
            point.log_likelihood, evidence, misfit, point.light.reshape(shape),
            point.ground.reshape(shape), weight.reshape(shape), tuple(self.linear_names),
            point.linear, model.window,
        )  # fmt: skip


def _trust(window: Window, reach: float) -> Floats:
    """How much each block counts: less towards the edges, where other defects may be."""
    rows, columns = window.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    share = np.exp(-0.5 * (x * x + y * y) / reach**2)
    return np.asarray(np.broadcast_to(share, window.counts.shape).reshape(-1))


def _curvature(images: Floats) -> Floats:
    """Sum of the second differences along rows and columns."""
    framed = np.pad(images, [(0, 0), (1, 1), (1, 1)], mode="edge")
    middle = framed[:, 1:-1, 1:-1]
    around = framed[:, :-2, 1:-1] + framed[:, 2:, 1:-1] + framed[:, 1:-1, :-2] + framed[:, 1:-1, 2:]
    return np.asarray(around - 4.0 * middle)


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
