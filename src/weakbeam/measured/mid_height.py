"""From means along the rays of each camera to the middle of the sheet that all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.ndimage

from weakbeam.analysis.ray_means import excess_of_mean
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.diffraction.lattice_change import displacement_gradient
from weakbeam.measured.on_sheet import solved_at
from weakbeam.measured.reflection_map import ReflectionMap, less_information
from weakbeam.measured.registration import Registration
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import Sheet

_HEIGHT_ROUNDS = 2
_MOST_DOUBT = 0.25
"""Next order, relative to the second, up to which means over the beam's height are taken off."""


def stiffness_of(setup: Setup, sheet: Sheet) -> Floats:
    """C_ijkl in the axes of the grid, in any unit: of the fields' medium."""
    medium = setup.crystal.medium
    if isinstance(medium, IsotropicMedium):
        delta, nu = np.eye(3), medium.poisson_ratio
        pairs = np.einsum("ik,jl->ijkl", delta, delta) + np.einsum("il,jk->ijkl", delta, delta)
        trace = 2.0 * nu / (1.0 - 2.0 * nu) * np.einsum("ij,kl->ijkl", delta, delta)
        return np.asarray(trace + pairs)
    turned = medium.turned(sheet.axes @ setup.sample_from_crystal)
    return np.asarray(turned.stiffness)


def with_rays(
    sheet: Sheet, maps: Sequence[ReflectionMap], seen: Sequence[SeenReflection]
) -> list[SeenReflection]:
    """Reflections that know where their rays go through the sheet."""
    first, known = maps[0].scan.setup, []
    for one, reflection in zip(maps, seen, strict=True):
        setup = one.scan.setup
        grid = setup.grids[-1]
        turn = sheet.axes @ first.sample_from_crystal @ setup.sample_from_crystal.T
        x, y, z = turn @ grid.along_ray
        variance = float(grid.weights @ grid.depths**2 - (grid.weights @ grid.depths) ** 2)
        known.append(replace(reflection, height_variance=variance, along=(x / z, y / z)))
    return known


def at_mid_height(
    sheet: Sheet,
    seen: Sequence[SeenReflection],
    fitted: Registration,
    stiffness: Floats,
    turn: Floats,
) -> list[SeenReflection]:
    """Changes in the middle of the sheet, of means over the height of the beam."""
    corrected = list(seen)
    if not any(one.height_variance > 0.0 for one in seen):
        return corrected
    places = sheet.places.reshape(-1, 2)
    for _ in range(_HEIGHT_ROUNDS):
        solution = solved_at(sheet, corrected, fitted, places, False)
        whole = solution.open.get((1 << len(seen)) - 1)
        if whole is None or whole.shape[1]:
            # Without all components their derivatives along the normal are not known.
            return list(seen)
        beta = turn @ displacement_gradient(solution.change) @ turn.T
        full = solution.pattern == (1 << len(seen)) - 1
        beta[~full] = np.nan
        maps = beta.reshape(*sheet.shape, 3, 3)
        corrected = []
        for view, correction, one in zip(sheet.views, fitted.corrections, seen, strict=True):
            excess, doubt = excess_of_mean(
                maps, sheet.step, one.along, one.height_variance, stiffness
            )
            excess = turn.T @ excess @ turn
            # h = H g, and H = -βᵀ to first order.
            offset = -np.einsum("rcij,i->rcj", excess, one.direction)
            rows, columns = view.shape
            index = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1)
            at = correction.put_on(view.origin + index @ view.steps)
            # Near a core the series has no end: little is taken off, and little believed.
            believed = 1.0 / (1.0 + (doubt / _MOST_DOUBT) ** 2)
            moved = _on_grid(sheet, offset * believed[..., None], at)
            left = _on_grid(sheet, offset * (1.0 - believed + doubt)[..., None], at)
            corrected.append(
                replace(
                    one,
                    change=one.change - moved,
                    information=less_information(one.information, left),
                )
            )
    return corrected


def _on_grid(sheet: Sheet, values: Floats, places: Floats) -> Floats:
    """Values (rows, columns, 3) of the grid at places (..., 2); zero outside (bilinear)."""
    start = np.array([sheet.y[0], sheet.x[0]])
    index = (places[..., ::-1] - start) / sheet.step
    coordinates = np.moveaxis(index, -1, 0)
    return np.stack(
        [
            scipy.ndimage.map_coordinates(values[..., k], coordinates, order=1, cval=0.0)
            for k in range(values.shape[-1])
        ],
        axis=-1,
    )
