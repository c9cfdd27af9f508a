"""Images of one dislocation in a window as its place and the nuisances change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import DislocationType
from weakbeam.fit.line_place import place_of
from weakbeam.identify.nuisances.sampling_loops import sample_all
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
_PLACE_STEPS = {"row_px": 0.1, "column_px": 0.1, "across_um": 0.004, "depth_um": 0.02}
"""The same of a place whose images are not shifted, to either side of it."""
_BEYOND = 2.5
"""Steps of tilt by which images reach beyond the tilts of a lattice."""
_ALIKE_PX, _ALIKE_DEG = 0.3, 1.0
"""Way of a line (pixels) and turn of its character over which derivatives stay what they are."""


@dataclass(eq=False)
class Stacks:
    """Images about one place, of all that is changed."""

    main: Floats32
    others: Floats32
    """Changes with χ and with what is named, (1 + names, conditions, tilts, rows, columns)."""
    names: tuple[str, ...]
    position: Floats
    reference: dict[str, float]
    tilts: Floats
    made: Floats
    """Parameters at which the changes were computed."""


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
        self.place, at = place_of(direction, position_um, model.pixel_steps, renderer.up)
        width = math.inf
        names = self.place.names
        own = [Parameter(names[0], 0.0, width, self.place.longest_steps[0])]
        if not self.place.in_sheet or options.instrument:
            own.append(Parameter(names[1], 0.0, width, self.place.longest_steps[1]))
        if options.turn:
            own.append(Parameter("character_deg", 0.0, width, 3.0))
        self.parameters = [*own, *model.nuisances]
        self.names = [p.name for p in self.parameters]
        self.index = {name: k for k, name in enumerate(self.names)}
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
        k = self.index.get(name)
        return default if k is None else float(x[k])

    def _character(self, x: Floats) -> float:
        return self._get(x, "character_deg", self.type.character_deg)

    def _needed(self, x: Floats) -> Floats:
        """Amounts of tilt (rad), evenly apart, between which those of all pixels lie."""
        model, step = self.model, self.model.step
        if model.options.tilts is not None:
            reach = (model.options.tilts - 1) // 2
            return np.asarray(step * np.arange(-reach, reach + 1.0), dtype=np.float64)
        fields = np.array([self._tilt(x, "phi", r) for r in model.groups]) / step
        first, last = np.floor(fields.min() - _BEYOND), np.ceil(fields.max() + _BEYOND)
        return np.asarray(step * np.arange(max(first, -30.0), min(last, 30.0) + 1.0))

    def _lines(
        self, x: Floats, away: tuple[float, float] = (0.0, 0.0), turn: float = 0.0
    ) -> StraightLines:
        """The line, from where it is by some steps across it and turned by an angle (deg)."""
        return self.model.renderer.lines_of(
            self.type.plane,
            self.type.burgers,
            self._character(x) + turn,
            self.place.position(self._coordinates(x) + np.array(away)),
        )

    def _shifts(
        self, x: Floats, tilts: Floats, rolls: Sequence[float], arm: float = 0.0
    ) -> dict[int, tuple[Floats, Floats]]:
        """What is added to q for each tilt, and for each roll."""
        model, offsets = self.model, self.model.priors.offsets
        shifts = {}
        for r in model.groups:
            v = model.vectors[r]
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            t = self._get(x, f"two_theta_offset{mark}", offsets["two_theta"].mean) + arm
            rock = tilts[:, None] * v[0] + t * v[2]
            shifts[r] = rock, np.array(rolls)[:, None] * v[1]
        return shifts

    def _images(
        self,
        renderer: Renderer,
        x: Floats,
        tilts: Floats,
        rolls: Sequence[float],
        away: tuple[float, float] = (0.0, 0.0),
        turn: float = 0.0,
        arm: float = 0.0,
    ) -> Floats32:
        """Stack (rolls, tilts, conditions, rows, columns) with its margin."""
        self.renderings += 1
        return renderer.offset_images(
            self._lines(x, away, turn), self._shifts(x, tilts, rolls, arm)
        )

    def _ways(self) -> list[tuple[float, float]]:
        """Steps along either coordinate of the place, to both sides."""
        ways = []
        for k, name in enumerate(self.place.names):
            if name in self.names:
                step = _PLACE_STEPS[name]
                ways += [(step, 0.0), (-step, 0.0)] if k == 0 else [(0.0, step), (0.0, -step)]
        return ways

    def _instrument(self, x: Floats, height: float = 0.0, clip: float = 0.0) -> Renderer:
        """The renderer with the height of the beam and the condenser at some factors."""
        h, c = self.model.told
        return self.model.instrument(
            self._get(x, "log_height", h) + height, self._get(x, "log_condenser", c) + clip
        )

    def _stacks(self, x: Floats, before: Stacks | None = None) -> Stacks:
        """Images at x, and their changes with what tilts and shifts do not tell.

        Those of other stacks serve again if they were computed nearby.
        """
        renderer, tilts = self._instrument(x), self._needed(x)
        if self.model.options.precise:
            # Samples change in jumps with the line, and would tell its derivatives.
            many = [self._lines(x), *(self._lines(x, way) for way in self._ways())]
            renderer = renderer.held(many, self._shifts(x, tilts, (0.0, _ROLL_STEP)))
        if before is not None and self._serve(before, tilts, x):
            only = self._images(renderer, x, before.tilts, (0.0,))
            main = np.ascontiguousarray(np.moveaxis(only[0], 1, 0))
            reference = {name: self._current(x, name) for name in before.names}
            return replace(before, main=main, position=self._coordinates(x), reference=reference)
        both = self._images(renderer, x, tilts, (0.0, _ROLL_STEP))
        main = np.ascontiguousarray(np.moveaxis(both[0], 1, 0))
        roll = np.moveaxis(both[1] - both[0], 1, 0)
        roll = np.asarray(roll / np.float32(_ROLL_STEP), dtype=np.float32)
        others, reference = [roll], dict[str, float]()

        def add(name: str, images: Floats32, step: float) -> None:
            change = (np.moveaxis(images[0], 1, 0) - main) / np.float32(step)
            others.append(change)
            reference[name] = self._current(x, name)

        def image(turn: float = 0.0, arm: float = 0.0) -> Floats32:
            return self._images(renderer, x, tilts, (0.0,), turn=turn, arm=arm)

        def moved(away: tuple[float, float]) -> Floats32:
            return self._images(renderer, x, tilts, (0.0,), away)

        if self.model.options.precise:
            ways = self._ways()
            for name, one, other in zip(self.place.names, ways[::2], ways[1::2], strict=False):
                change = (moved(one) - moved(other))[0] / np.float32(2.0 * sum(one))
                others.append(np.moveaxis(change, 1, 0))
                reference[name] = self._current(x, name)
        elif "depth_um" in self.names:
            add("depth_um", moved((0.0, _DEPTH_STEP)), _DEPTH_STEP)
        if "character_deg" in self.names:
            add("character_deg", image(turn=_TURN_STEP), _TURN_STEP)
        if "log_height" in self.names:
            higher = self._instrument(x, height=_HEIGHT_STEP)
            add("log_height", self._images(higher, x, tilts, (0.0,)), _HEIGHT_STEP)
        if "log_condenser" in self.names:
            wider = self._instrument(x, clip=_CLIP_STEP)
            add("log_condenser", self._images(wider, x, tilts, (0.0,)), _CLIP_STEP)
        for name in self.names:
            if name.startswith("two_theta"):
                add(name, image(arm=_ARM_STEP), _ARM_STEP)
        changes = np.ascontiguousarray(np.stack(others))
        return Stacks(
            main, changes, tuple(reference), self._coordinates(x), reference, tilts, x.copy()
        )

    def _current(self, x: Floats, name: str) -> float:
        return self._character(x) if name == "character_deg" else self._get(x, name, 0.0)

    def _serve(self, stacks: Stacks, tilts: Floats, x: Floats) -> bool:
        """Whether the changes of images that were computed elsewhere hold at x."""
        step, old = self.model.step, stacks.tilts
        if tilts[0] < old[0] - 1.5 * step or tilts[-1] > old[-1] + 1.5 * step:
            return False
        ways = self._seen(self._coordinates(x) - self._coordinates(stacks.made)).values()
        turned = abs(self._character(x) - self._character(stacks.made))
        return max(float(np.abs(way).max()) for way in ways) < _ALIKE_PX and turned < _ALIKE_DEG

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
        named = ("light", "phi", "row", "column", "chi", *stacks.names)
        all_maps = np.empty((count, len(named), *shape))
        away = np.empty((1 + len(stacks.names), *shape))
        for k, name in enumerate(stacks.names, 1):
            away[k] = self._get(x, name, stacks.reference[name]) - stacks.reference[name]
        first = float(stacks.tilts[0])
        tilts = {
            r: ((self._tilt(x, "phi", r) - first) / model.step, self._tilt(x, "chi", r))
            for r in model.groups
        }
        for k, reflection in enumerate(model.of):
            tilt, away[0] = tilts[reflection]
            row, column = moved[reflection]
            sample_all(
                stacks.main[k], stacks.others[:, k], tilt, away, row, column, MARGIN, all_maps[k]
            )
        all_maps[:, 1] /= model.step
        blur2 = max(self._get(x, "blur2", model.priors.blur_px.mean**2), 0.0)
        sigma2 = blur2 / model.window.factor**2 + model.sharp
        if sigma2 > 1e-4:
            sigma = math.sqrt(sigma2)
            all_maps = gaussian_filter(all_maps, (0, 0, sigma, sigma), mode="nearest", truncate=3)
        maps = dict(zip(named, all_maps.swapaxes(0, 1), strict=True))
        if "blur2" in self.names:
            maps["blur2"] = _curvature(maps["light"]) / (2.0 * model.window.factor**2)
        return maps

    def _moved(self, change: Floats) -> dict[int, Floats]:
        """Rows and columns of blocks by which images are shifted for the line's way."""
        if self.model.options.precise:
            return dict.fromkeys(self.model.ways, np.zeros(2))
        return self._seen(change)

    def _seen(self, change: Floats) -> dict[int, Floats]:
        """Rows and columns of blocks by which the line is seen to move."""
        displacement = change @ self.place.axes
        if "depth_um" in self.names or self.place.in_sheet:
            displacement = change[0] * self.place.axes[0]
        most = MARGIN - 2.0
        return {r: np.clip(way @ displacement, -most, most) for r, way in self.model.ways.items()}

    def _place_maps(self, maps: dict[str, Floats]) -> dict[str, Floats]:
        """Derivatives with respect to the coordinates across the line."""
        model, own = self.model, {}
        for k, name in enumerate(self.place.names):
            if name == "depth_um" or name not in self.names or model.options.precise:
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
