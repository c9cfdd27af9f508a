"""What of a deformation that is not of lines no setting of a scan can show, and what it leaves out.

A grid may end inside the field of view, have several grains, between which its values mean nothing,
and lattices that are turned or strained by more than the instrument accepts are dark. Each is told
after a run, as an image does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.assemble.gridded import PlacedGrid
from weakbeam.assemble.placed import Repeating
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import evaluate
from weakbeam.defects.gridded import JUMP_DEG
from weakbeam.diffraction.geometry import diffraction_vector_change

_POINTS = 20_000
"""Sampling points that are asked, about, of all that an image has."""

_REACH = 8.0
"""Standard deviations of the acceptance beyond which nothing is seen."""

_LEAST = 1e-3
"""Share of the points from which on a remark is worth while."""


@dataclass(frozen=True)
class Unseen:
    """Shares of the sampling points of an image.

    Parameters
    ----------
    beyond : float
        Turned or strained beyond what the acceptance sees at any setting of the scan.
    dark : float
        Where nothing diffracts at all.
    outside : float
        Outside of at least one of the grids; NaN without any.
    jumps : float
        Of pairs of neighbouring voxels of the grids, as far as they are seen, not of points: those
        between which the lattice turns so much that they may be of two grains.
    """

    beyond: float
    dark: float
    outside: float
    jumps: float = 0.0


def unseen(setup: Setup, height: float) -> Unseen:
    """Count sampling points of a reflection that can light no frame.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection.
    height : float
        Of the sample (µm).
    """
    rays = setup.grids[0]
    count = max(1, _POINTS // len(rays.sample_offsets))
    pixels = np.unique(np.linspace(0, rays.pixels - 1, count).astype(np.int64))
    points = rays.points(pixels).reshape(-1, 3) - height * rays.height_axis
    q = diffraction_vector_change(
        evaluate(setup.field_at(height), points), setup.geometry.q0_sample
    )
    q = q @ setup.geometry.imaging_from_sample.T
    low, high = _seen(setup)
    dark = np.isnan(q).any(axis=1)
    beyond = ~dark & ((q < low) | (q > high)).any(axis=1)
    outside = np.zeros(len(points), bool)
    grids = [one for one in setup.defects.placed if isinstance(one, PlacedGrid)]
    for placed in grids:
        grid = placed.field.source.grid
        own = points @ placed.field.frame_from_grid
        outside |= ((own < grid.low) | (own > grid.high)).any(axis=1)
    share = float(outside.mean()) if grids else float("nan")
    counts = np.array([one.field.jumps for one in grids]).reshape(-1, 2).sum(axis=0)
    jumps = float(counts[1] / max(counts[0], 1))
    return Unseen(float(beyond.mean()), float(dark.mean()), share, jumps)


def unseen_notes(setups: Sequence[Setup]) -> list[str]:
    """What should be known of deformations that are not of lines, in a line for each matter."""
    notes = _small_boxes(setups[0])
    for setup in setups:
        if not any(sources.fields for sources in setup.defects.sources):
            continue
        found = unseen(setup, float(setup.positions["z"][0]))
        where = f"({' '.join(map(str, setup.hkl))}): " if len(setups) > 1 else ""
        if found.outside > _LEAST:
            rules = {
                one.field.outside for one in setup.defects.placed if isinstance(one, PlacedGrid)
            }
            notes.append(
                f"{where}{_percent(found.outside)} of the rays pass outside of a grid, where "
                + " or ".join(_RULES[rule] for rule in sorted(rules))
            )
        if found.jumps > 0.0:
            notes.append(
                f"{where}the lattice turns by more than {JUMP_DEG:g} deg between "
                f"{_percent(found.jumps)} of the neighbouring voxels of a grid: β is interpolated "
                "there as everywhere, also across boundaries of grains; mask and grain take one"
            )
        if found.beyond > _LEAST:
            notes.append(
                f"{where}{_percent(found.beyond)} of the rays pass a lattice that is turned or "
                "strained beyond what the instrument sees at any setting of this scan"
            )
    return notes


def _small_boxes(setup: Setup) -> list[str]:
    """Which defects repeat at so short a distance that no image tells one box from the next."""
    notes = []
    profile = setup.beam
    pixel = setup.grids[0].pixel
    beam = float(np.ptp(profile.heights)) if profile.heights else profile.height
    for number, placed in zip(setup.defects.tables, setup.defects.placed, strict=True):
        if not isinstance(placed, Repeating) or not len(placed.periods):
            continue
        sizes = np.linalg.norm(placed.periods, axis=1)
        if sizes.min() < max(pixel, beam):
            box = " × ".join(f"{size:.3g}" for size in sizes)
            notes.append(
                f"defects[{number}] repeats every {box} µm, a pixel is {pixel:.3g} µm wide and the "
                f"beam {beam:.3g} µm high: each pixel sees an average over many copies; images = 0 "
                "shows one alone"
            )
    return notes


_RULES = {
    "perfect": "nothing is deformed",
    "dark": "nothing diffracts",
    "extend": "it goes on as it is at its face",
}


def _percent(share: float) -> str:
    return "all" if share == 1.0 else f"{100.0 * share:.2g} %" if share < 0.995 else "nearly all"


def _seen(setup: Setup) -> tuple[Floats, Floats]:
    """Box in q of what the acceptance sees at all settings of a scan together."""
    phi, chi, arm = setup.geometry.motor_vectors
    along = setup.scans[0].phi_per_two_theta
    low, high = np.zeros(3), np.zeros(3)
    for name, vector in (("phi", phi), ("chi", chi), ("two_theta", arm + along * phi)):
        ends = np.outer([setup.positions[name].min(), setup.positions[name].max()], vector)
        low, high = low + ends.min(axis=0), high + ends.max(axis=0)
    acceptance = setup.acceptance.open
    reach = _REACH * np.sqrt(np.diag(acceptance.covariance()))
    reach = reach + np.abs(setup.acceptance.motion)
    # What is seen at a shift s is q = -s, and the acceptance about it.
    return -high - reach, -low + reach
