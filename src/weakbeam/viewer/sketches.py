"""Quick images while a hand moves something: few samples, at fixed places.

β of the defects that stand still is kept at these places, so that of a hundred dislocations only
the one that is dragged is summed again. What the exact image of the last rest is better by is kept
wherever the image has hardly changed since.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.assemble.defects import Defects
from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.field import DisplacementGradientField, FieldAlongRays, Superposition
from weakbeam.diffraction.turned import Reference
from weakbeam.experiment import Experiment
from weakbeam.imaging.contract import ImagingEngine
from weakbeam.imaging.scan import DetectorScan
from weakbeam.viewer.stills import Stills

MOST_RAYS = 1_500_000
"""Most samples of a quick image, where fewer depths can be had."""

MOST_KEPT_BYTES = 400 * 2**20
"""Most memory for β that is kept; above, it is summed anew for every place of what moves."""


class Sketch:
    """Quick images of a reflection, of whose defects one at most moves.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection.
    experiment : Experiment
        What it was set up for.
    scan : DetectorScan
        Where the motors stand; its height and its large turns are those of all images.
    number : int, optional
        The defect that moves.
    workers : int, optional
        Threads.
    """

    def __init__(
        self,
        setup: Setup,
        experiment: Experiment,
        scan: DetectorScan,
        number: int | None,
        workers: int | None = None,
    ) -> None:
        self.number, self._workers = number, workers
        self._made_of = _without(experiment, number)
        self._place = _place(setup, scan)
        others = _some(setup.defects, lambda table: table != number)
        field = self._field(replace(setup, defects=others))
        # Few lines are summed as fast as what was kept is read.
        quick = number is None and isinstance(field, FieldAlongRays)
        rays = setup.grids[0].pixels * len(_quick(setup).grids[0].depths)
        keeps = not quick and 72 * rays <= MOST_KEPT_BYTES
        self._others: DisplacementGradientField = KeptField(field) if keeps else field
        self._alone = not others.placed
        self._engine: tuple[object, ImagingEngine] | None = None
        self._seen: tuple[object, ImagingEngine] | None = None
        self._rest: tuple[Floats32, Floats32] | None = None

    def fits(
        self, setup: Setup, experiment: Experiment, scan: DetectorScan, number: int | None
    ) -> bool:
        """Whether it serves for an experiment that differs from its own by the defect `number`."""
        return (
            number in (None, self.number)
            and _place(setup, scan) == self._place
            and _without(experiment, self.number) == self._made_of
        )

    def intensity(self, setup: Setup, scan: DetectorScan) -> Floats32:
        """The one frame of a scan as it reaches the camera, (rows, columns)."""
        [layer] = scan.layers(setup.geometry)
        images = self._engine_of(setup).images(layer.rock_shifts, layer.roll_shifts)
        image: Floats32 = images[0, 0]
        return image

    def rest(self, stills: Stills, scan: DetectorScan) -> tuple[Floats32, Floats32]:
        """The image as it was at rest, exactly and quickly; kept until there is another one."""
        exact = stills.intensity(scan)
        if self._rest is None or self._rest[0] is not exact:
            self._rest = exact, self.intensity(stills.setup, scan)
        return self._rest

    def _engine_of(self, setup: Setup) -> ImagingEngine:
        """The engine with q of all samples, kept while only motors turn."""
        if self._engine is None or self._engine[0] is not setup.acceptance:
            z, reference = self._place
            quick = _quick(setup)
            engine = quick.engine(z, self._workers, perfect=True, reference=reference)
            self._engine, self._seen = (setup.acceptance, engine), None
        if self._seen is None or self._seen[0] is not setup.defects:
            field: DisplacementGradientField = self._others
            if self.number is not None:
                mine = _some(setup.defects, lambda table: table == self.number)
                moved = self._field(replace(setup, defects=mine))
                field = moved if self._alone else Superposition((self._others, moved))
            self._seen = setup.defects, self._engine[1].with_field(field)
        return self._seen[1]

    def _field(self, setup: Setup) -> DisplacementGradientField:
        z, reference = self._place
        return _quick(setup).field_at(z, self._workers, reference)


class KeptField:
    """A field whose β is kept wherever it has been asked for: blocks of the same points.

    Parameters
    ----------
    field : DisplacementGradientField
        The field.
    """

    def __init__(self, field: DisplacementGradientField) -> None:
        self._field = field
        self._kept: dict[tuple[int, bytes, bytes], Floats] = {}

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add its β; see :class:`weakbeam.defects.field.DisplacementGradientField`."""
        # Blocks of samples at fixed places are told apart by their ends.
        key = points.shape[1], points[:, 0].tobytes(), points[:, -1].tobytes()
        kept = self._kept.get(key)
        if kept is None:
            kept = np.zeros_like(gradient)
            self._field.add_to(kept, points)
            self._kept[key] = kept
        gradient += kept


def improved(quick: Floats32, exact_before: Floats32, quick_before: Floats32) -> Floats32:
    """A quick image with what the exact one was better by, where it has hardly changed since.

    The correction counts by its square beside that of the change: an image that has not changed is
    the exact one, and where something has moved nothing of the old image is left.

    Parameters
    ----------
    quick : (rows, columns) ndarray of float32
        The image as it is now.
    exact_before, quick_before : (rows, columns) ndarray of float32
        Both as it was.
    """
    better, change = exact_before - quick_before, quick - quick_before
    square = better * better
    share = square / np.maximum(square + change * change, np.float32(1e-30))
    best: Floats32 = np.maximum(quick + better * share, np.float32(0.0))
    return best


def _quick(setup: Setup) -> Setup:
    """The same with few samples, all at fixed places."""
    grid = replace(setup.grids[0], oversampling=1)
    smooth, every = setup.smooth_grid, math.ceil(grid.pixels * len(grid.depths) / MOST_RAYS)
    if every > 1 and smooth is not None:
        grid = replace(smooth, oversampling=1)
    elif every > 1:
        some = slice(min(every, len(grid.depths)) // 2, None, every)
        weights = grid.weights[some]
        grid = replace(grid, depths=grid.depths[some], weights=weights / weights.sum())
    return replace(setup, grids=(grid,), smooth_grid=None, averaging=None)


def _place(setup: Setup, scan: DetectorScan) -> tuple[float, Reference]:
    [layer] = scan.layers(setup.geometry)
    return layer.z, layer.reference


def _some(defects: Defects, chosen: Callable[[int], bool]) -> Defects:
    pairs = zip(defects.placed, defects.tables, strict=True)
    some = [(placed, table) for placed, table in pairs if chosen(table)]
    return replace(
        defects, placed=tuple(p for p, _ in some), tables=tuple(table for _, table in some)
    )


def _without(experiment: Experiment, number: int | None) -> Experiment:
    """What of an experiment decides β at the samples: all but the defect that moves, and stops."""
    defects = experiment.defects
    if number is not None:
        defects = (*defects[:number], *defects[number + 1 :])
    objective = experiment.objective.model_copy(update={"stop": None})
    return experiment.model_copy(update={"defects": defects, "objective": objective})


def moved_defect(before: Experiment, after: Experiment) -> tuple[bool, int | None]:
    """Whether an experiment is another one but for the place of one defect, and of a stop.

    Returns
    -------
    alike : bool
        Whether nothing else differs.
    number : int or None
        The defect that stands elsewhere; None where none does.
    """
    if before is after:
        return True, None
    if len(before.defects) != len(after.defects):
        return False, None
    others = [
        number
        for number, (one, other) in enumerate(zip(before.defects, after.defects, strict=True))
        if one is not other and one != other
    ]
    if len(others) > 1:
        return False, None
    number = others[0] if others else None
    if number is not None:
        one, other = before.defects[number], after.defects[number]
        place = getattr(other, "position_um", None)
        if type(one) is not type(other) or place is None:
            return False, None
        if one.model_copy(update={"position_um": place}) != other:
            return False, None
    if (before.objective.stop is None) != (after.objective.stop is None):
        return False, None
    return _without(before, number) == _without(after, number), number
