"""What is shown of each side while a hand moves something, until it rests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from weakbeam.experiment import Experiment
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.pictures import Picture, picture_of
from weakbeam.viewer.sketches import Sketch, improved, moved_defect
from weakbeam.viewer.standing import scan_at
from weakbeam.viewer.state import Side
from weakbeam.viewer.stills import Check


class Hand:
    """Quick pictures of sides that are near to what was shown exactly at the last rest.

    Parameters
    ----------
    bench_of : callable
        Gives an experiment set up.
    workers : int, optional
        Threads.

    Attributes
    ----------
    rough : set of str
        Sides of which a quick picture is shown.
    """

    def __init__(self, bench_of: Callable[[Experiment], Bench], workers: int | None = None) -> None:
        self.rough: set[str] = set()
        self._bench_of, self._workers = bench_of, workers
        self._rests: dict[str, Side] = {}
        self._sketches: dict[str, Sketch] = {}

    def rest(self, sides: Mapping[str, Side | None], exact: set[str]) -> None:
        """The hand rests; of some sides, by their names, exact pictures are shown."""
        self._rests = {
            name: side
            for name, side in sides.items()
            if side is not None and (name in exact or self._rests.get(name) == side)
        }
        self.rough -= exact

    def picture(self, name: str, side: Side) -> Picture | None:
        """A quick picture; None where it differs too much from what was shown at the last rest."""
        rest = self._rests.get(name)
        if rest is None or rest.reflection != side.reflection:
            return None
        alike, number = moved_defect(rest.experiment, side.experiment)
        if not alike:
            return None
        scan, before = scan_at(side.motors), scan_at(rest.motors)
        bench, then = self._bench_of(side.experiment), self._bench_of(rest.experiment)
        stills, old = bench.stills[side.reflection], then.stills[side.reflection]
        sketch = self._sketch(name, bench, side, number)
        image = sketch.intensity(stills.setup, scan)
        if sketch.fits(old.setup, rest.experiment, before, number):
            image = improved(image, *sketch.rest(old, before))
        return drawn(bench, side, stills.stored(image, side.reflection))

    def prepare(self, number: int | None, check: Check) -> None:
        """Sum what will stand still while a defect is moved; the first one unless given."""
        for name, rest in self._rests.items():
            if number is None or number < len(rest.experiment.defects):
                check()
                bench = self._bench_of(rest.experiment)
                sketch = self._sketch(name, bench, rest, number)
                sketch.rest(bench.stills[rest.reflection], scan_at(rest.motors))

    def _sketch(self, name: str, bench: Bench, side: Side, number: int | None) -> Sketch:
        """What makes quick images of a side, the one that is kept where it serves."""
        setup, scan = bench.setups[side.reflection], scan_at(side.motors)
        sketch = self._sketches.get(name)
        if sketch is None or not sketch.fits(setup, side.experiment, scan, number):
            if number is None:
                # The first one that could be dragged next.
                number = next(filter(side.stands, range(len(side.experiment.defects))), None)
            sketch = Sketch(setup, side.experiment, scan, number, self._workers)
            self._sketches[name] = sketch
        return sketch


def exact_picture(bench: Bench, side: Side, check: Check | None = None) -> Picture:
    """The image that `simulate` makes, drawn."""
    return drawn(bench, side, bench.image(side.reflection, side.motors, check))


def drawn(bench: Bench, side: Side, image: NDArray[Any]) -> Picture:
    """A stored image of a side as it is drawn."""
    return picture_of(image, bench.view(side.reflection), bench.value_label(side.reflection))
