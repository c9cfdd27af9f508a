"""Scans of the same reflections at several heights of the sample: a stack of layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.imaging.motors import ANGLES
from weakbeam.measured.reflection_scan import ReflectionScan

SAME_HEIGHT = 0.03
"""Distance (µm) up to which heights belong to one layer."""

FEWEST_FRAMES = 6
"""Frames of one reflection, below which there is no curve."""


def layers_of(scans: Sequence[ReflectionScan]) -> list[list[ReflectionScan]]:
    """Scans of each reflection at each height of the sample.

    Parameters
    ----------
    scans : sequence of ReflectionScan
        One for each reflection, at one height or several.

    Returns
    -------
    list of list of ReflectionScan
        The layers, from the lowest in the sample, which is where it is raised most; in each one
        scan for each reflection. Heights are those of the files if all are simulated, and from
        their mean in others, where the sample may stand elsewhere for each reflection.

    Raises
    ------
    InputError
        If the reflections were taken in other layers than each other, or a layer has too few
        frames.
    """
    levels = [_levels(scan.heights) for scan in scans]
    own = all(scan.own for scan in scans)
    zeros = [0.0 if own else float(np.mean(level)) for level in levels]
    known = levels[0] - zeros[0]
    spacing = float(np.diff(known).min()) if len(known) > 1 else math.inf
    near = min(max(SAME_HEIGHT, 0.1 * spacing), 0.5 * spacing)
    for scan, level, zero in zip(scans, levels, zeros, strict=True):
        if len(level) != len(known) or float(np.abs(level - zero - known).max()) > near:
            raise InputError(
                "scan",
                scan.where,
                f"has {scan.name} at the heights {_heights_text(level)} µm and "
                f"{scans[0].name} is at {_heights_text(levels[0])} µm: all reflections must show "
                "the same layers",
            )
    layers = []
    for number in reversed(range(len(known))):
        layer = []
        for scan, level, zero in zip(scans, levels, zeros, strict=True):
            here = np.abs(scan.heights[:, None] - level).argmin(axis=1) == number
            one = replace(scan.at(here), heights=scan.heights[here] - zero)
            if one.frames < FEWEST_FRAMES:
                raise InputError(
                    "scan", scan.where, f"has {one.frames} frames at {level[number]:.6g} µm"
                )
            layer.append(one)
        layers.append(layer)
    return layers


def _levels(heights: Floats) -> Floats:
    """Heights of the layers, increasing."""
    ordered = np.sort(heights)
    parts = np.split(ordered, np.nonzero(np.diff(ordered) > SAME_HEIGHT)[0] + 1)
    return np.array([part.mean() for part in parts])


def _heights_text(levels: Floats) -> str:
    return ", ".join(f"{level:.6g}" for level in levels.tolist())


def with_their_layers(scans: Sequence[ReflectionScan]) -> list[ReflectionScan]:
    """Simulated scans of one reflection at several heights put together, whatever their files."""
    kept: list[ReflectionScan] = []
    for scan in scans:
        axes = scan.setup.geometry.lab_from_sample
        same = next(
            (
                number
                for number, other in enumerate(kept)
                if scan.own
                and other.own
                and other.setup.hkl == scan.setup.hkl
                and np.allclose(other.setup.geometry.lab_from_sample, axes, atol=1e-9)
                and np.abs(_levels(other.heights) - scan.heights[:, None]).min() > SAME_HEIGHT
            ),
            None,
        )
        if same is None:
            kept.append(scan)
            continue
        other = kept[same]
        if (scan.shape, scan.scans[0].dtype) != (other.shape, other.scans[0].dtype):
            raise InputError("scan", scan.where, f"has frames unlike those of {other.where}")
        kept[same] = replace(
            other,
            scans=(*other.scans, *scan.scans),
            offsets=np.concatenate([other.offsets, scan.offsets]),
            numbers=(*other.numbers, *scan.numbers),
            moving=tuple(motor for motor in ANGLES if motor in (*other.moving, *scan.moving)),
            heights=np.concatenate([other.heights, scan.heights]),
        )
    return kept
