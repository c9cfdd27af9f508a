"""Images of one dislocation in a window as its place and the nuisances change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.types import DislocationType
from weakbeam.fit.line_place import place_of
from weakbeam.identify.nuisances.sampling_loops import sample_stack
from weakbeam.identify.nuisances.window_model import Parameter, WindowModel
from weakbeam.identify.nuisances.windows import MARGIN
from weakbeam.run.render import Renderer

_ROLL_STEP = 4e-5
_ARM_STEP = 4e-5
"""Turns (rad) of χ and of the arm over which images are subtracted for their derivatives."""
_HEIGHT_STEP = 0.15
_CLIP_STEP = 0.05
"""The same of the logarithms of beam height and condenser."""
_DEPTH_STEP = 0.02
_TURN_STEP = 0.5
"""The same of a depth (µm) and of the character (deg)."""


@dataclass(eq=False)
class Stacks:
    """Images about one place, of all that is changed."""

    main: Floats32
    roll: Floats32
    others: dict[str, Floats32]
    position: Floats
    reference: dict[str, float]


class LineImages:
    """Images of one type in a window, and how parameters change them.

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
        self.stacks: Stacks | None = None

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

    def _stacks(self, x: Floats) -> Stacks:
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
        return Stacks(main, roll, others, self._coordinates(x), reference)

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

    def _maps(self, x: Floats, stacks: Stacks) -> dict[str, Floats]:
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


def _curvature(images: Floats) -> Floats:
    """Sum of the second differences along rows and columns."""
    framed = np.pad(images, [(0, 0), (1, 1), (1, 1)], mode="edge")
    middle = framed[:, 1:-1, 1:-1]
    around = framed[:, :-2, 1:-1] + framed[:, 2:, 1:-1] + framed[:, 1:-1, :-2] + framed[:, 1:-1, 2:]
    return np.asarray(around - 4.0 * middle)
