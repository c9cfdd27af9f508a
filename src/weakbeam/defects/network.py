"""Networks of dislocations: nodes, the arms between them, and a box that may repeat.

Only what closes, or runs on to infinity, has a field. So a piece of a network, such as some periods
of a box that repeats for ever or the part of it that a beam can feel, takes every arm that leads
out of it as a half-line: it runs on straight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.regions import Box, ends_inside
from weakbeam.defects.segments import Segments

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DislocationNetwork:
    """Nodes and arms, all vectors in one Cartesian frame, in µm.

    Parameters
    ----------
    nodes : (n, 3) ndarray
        Positions.
    arms : (m, 2) ndarray of int
        Nodes at which each arm begins and ends.
    steps : (m, 3) ndarray
        From the beginning of each arm to its end; where it leaves a box that repeats, to the image
        of its end.
    burgers : (m, 3) ndarray
        Closures of right-handed circuits about the arms.
    core_radii : (m,) ndarray
        Radii of their cores.
    periods : (k, 3) ndarray
        Translations by which it repeats, none to three.
    centre : (3,) ndarray
        Of the box that repeats.
    """

    nodes: Floats
    arms: Ints
    steps: Floats
    burgers: Floats
    core_radii: Floats
    periods: Floats
    centre: Floats

    def turned(self, rotation: Floats) -> DislocationNetwork:
        """Return the same network in a frame, or a crystal, that is turned."""
        names = ("nodes", "steps", "burgers", "periods", "centre")
        return replace(self, **{name: getattr(self, name) @ rotation.T for name in names})

    @property
    def imbalance(self) -> Floats:
        """Sum (n, 3) of the Burgers vectors of each node's arms, seen outwards (µm)."""
        total = np.zeros((len(self.nodes), 3))
        np.add.at(total, self.arms[:, 0], self.burgers)
        np.add.at(total, self.arms[:, 1], -self.burgers)
        return total

    @property
    def degrees(self) -> Ints:
        """How many arms each node has, (n,)."""
        return np.bincount(self.arms.ravel(), minlength=len(self.nodes))

    @property
    def segments(self) -> Segments:
        """Every arm once, from where it begins."""
        return Segments.between(
            self.nodes[self.arms[:, 0]],
            self.nodes[self.arms[:, 0]] + self.steps,
            self.burgers,
            self.core_radii,
        )

    @property
    def density(self) -> float:
        """Length of line per volume of the box that repeats, in m⁻²; 0 without three periods."""
        volume = abs(np.linalg.det(self.periods)) if len(self.periods) == 3 else np.inf
        return float(1e12 * np.linalg.norm(self.steps, axis=1).sum() / volume)

    @property
    def nye_tensor(self) -> Floats:
        """Mean of b_i t_j over the box that repeats (1/µm), (3, 3); 0 if all of it closes."""
        volume = abs(np.linalg.det(self.periods)) if len(self.periods) == 3 else np.inf
        return np.asarray(np.einsum("mi,mj->ij", self.burgers, self.steps) / volume)

    def with_straight_ends(self) -> Segments:
        """Half-lines that carry on from every node with a single arm."""
        ends = self.degrees == 1
        first, last = ends[self.arms[:, 0]], ends[self.arms[:, 1]]
        starts = self.nodes[self.arms[:, 0]]
        return Segments.joined(
            [
                _half_lines(starts, -self.steps, -self.burgers, self.core_radii, first),
                _half_lines(starts + self.steps, self.steps, self.burgers, self.core_radii, last),
            ]
        )

    def piece(self, images: int = 0, region: Box | None = None) -> Segments:
        """Some of the network that may repeat for ever; what leads out of it runs on straight.

        Parameters
        ----------
        images : int
            Boxes on each side of the central one, along every period.
        region : Box, optional
            Only what lies in it.
        """
        shifts, turns = self._images(images)
        starts = (self.nodes[self.arms[:, 0]] + shifts[:, None]).reshape(-1, 3)
        steps = np.tile(self.steps, (len(shifts), 1))
        burgers = np.tile(self.burgers, (len(shifts), 1))
        radii = np.tile(self.core_radii, len(shifts))
        # In which of the boxes the end of an arm lies.
        across = (np.abs(turns[:, None] + self._turns) <= images).all(axis=2).ravel()
        first, last = np.ones(len(starts), bool), across
        # Arms that come from outside, as seen from their ends.
        before = turns[:, None] - self._turns
        inward = (np.abs(before) > images).any(axis=2)
        box, arm = np.nonzero(inward)
        ends = self.nodes[self.arms[arm, 1]] + shifts[box]
        others = Segments.joined(
            [_half_lines(ends, -self.steps[arm], -self.burgers[arm], self.core_radii[arm])]
        )
        if region is None:
            parts = [
                _between(starts, steps, burgers, radii, first & last),
                _half_lines(starts, steps, burgers, radii, first & ~last),
                others,
            ]
            return Segments.joined(parts)
        first = _inside(region, starts)
        last = _inside(region, starts + steps)
        # Both ends are outside, but something between them is in it.
        enter, leave = ends_inside(starts, steps, region.low, region.high)
        enter, leave = np.maximum(enter, 0.0), np.minimum(leave, 1.0)
        through = ~first & ~last & (enter < leave)
        middle = starts + 0.5 * (enter + leave)[:, None] * steps
        return Segments.joined(
            [
                _between(starts, steps, burgers, radii, first & last),
                _half_lines(starts, steps, burgers, radii, first & ~last),
                _half_lines(starts + steps, -steps, -burgers, radii, last & ~first),
                _half_lines(middle, steps, burgers, radii, through),
                _half_lines(middle, -steps, -burgers, radii, through),
            ]
        )

    @property
    def _turns(self) -> Ints:
        """By how many periods the end of each arm lies outside of the box, (m, k)."""
        away = self.nodes[self.arms[:, 0]] + self.steps - self.nodes[self.arms[:, 1]]
        if not len(self.periods):
            return np.zeros((len(away), 0), np.int64)
        return np.round(away @ np.linalg.pinv(self.periods)).astype(np.int64)

    def _images(self, images: int) -> tuple[Floats, Ints]:
        """Translations (n, 3), and how many periods they are, (n, k)."""
        counts = range(-images, images + 1)
        turns = np.array(list(product(counts, repeat=len(self.periods))), dtype=np.int64)
        return turns @ self.periods, turns


def _between(
    starts: Floats, steps: Floats, burgers: Floats, radii: Floats, which: Mask
) -> Segments:
    first = starts[which]
    return Segments.between(first, first + steps[which], burgers[which], radii[which])


def _half_lines(
    starts: Floats, steps: Floats, burgers: Floats, radii: Floats, which: Mask | None = None
) -> Segments:
    if which is None:
        which = np.ones(len(starts), bool)
    endless = np.full(int(which.sum()), np.inf)
    return Segments(burgers[which], starts[which], steps[which], endless, radii[which])


def _inside(region: Box, points: Floats) -> Mask:
    return np.asarray(((points >= region.low) & (points <= region.high)).all(axis=1))
