"""Mosaicity scans of thousands of frames of the worlds of this folder, and their files.

The density of a ray is that of (q_rock', q_2θ) times that of q_roll, so that a scan over φ and χ
takes as many values of a ray as there are settings of each, and all frames of a pixel are one
product of two matrices.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from measured_world import (
    TABULATED,
    World,
    density_table,
    distortion,
    polynomial,
    sample_axes,
    theta_of,
)
from numba import njit
from renderer import p_rock, p_roll, unit
from scipy.ndimage import gaussian_filter

NEAR_UM = 1.0
"""Distance from a line up to which a pixel has the points that its world tells."""

FAR = {"subpixels": 2, "nz": 21}
"""What is enough of the others."""

_RAYS_AT_ONCE = 300_000


@njit(cache=False)
def _rock(table, low1, step1, low3, step3, q1, q3, shifts1, shifts3, out):
    n1, n3 = table.shape
    for f in range(shifts1.size):
        for k in range(q1.size):
            a, b = (q1[k] + shifts1[f] - low1) / step1, (q3[k] + shifts3[f] - low3) / step3
            value = 0.0
            if a >= 0.0 and b >= 0.0 and a < n1 - 1 and b < n3 - 1:
                i, j = int(a), int(b)
                u, v = a - i, b - j
                value = (1 - u) * ((1 - v) * table[i, j] + v * table[i, j + 1]) + u * (
                    (1 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
                )
            out[f, k] = value


def mosaic_intensities(world: World, phi: np.ndarray, chi: np.ndarray) -> np.ndarray:
    """Intensities at all settings of φ and χ; (χ, φ, rows, columns), float32.

    As :func:`measured_world.ideal_stack` has them, but for fewer points in pixels far from lines.
    """
    rows, columns = world.optics["shape"]
    frames = np.empty((rows * columns, len(phi), len(chi)), np.float32)
    near = _near_lines(world).ravel()
    few = replace(
        world,
        subpixels=min(FAR["subpixels"], world.subpixels),
        optics=world.optics | {"nz": min(FAR["nz"], world.optics["nz"])},
    )
    for part, own in ((np.flatnonzero(near), world), (np.flatnonzero(~near), few)):
        each = own.subpixels**2 * own.optics["nz"]
        at_once = max(1, _RAYS_AT_ONCE // each)
        for start in range(0, len(part), at_once):
            some = part[start : start + at_once]
            frames[some] = _of_pixels(own, some, phi + world.offsets[0], chi + world.offsets[1])
    return frames.reshape(rows, columns, len(phi), len(chi)).transpose(3, 2, 0, 1)


def _near_lines(world: World) -> np.ndarray:
    """Which pixels have a line within reach of their middle, (rows, columns)."""
    centre = replace(world, subpixels=1, optics=world.optics | {"nz": 1})
    places = _places(centre, np.arange(np.prod(world.optics["shape"])))[0]
    away = np.full(len(places), np.inf)
    for line in world.optics["lines"]:
        t = sample_axes(world.optics) @ unit(line["t"])
        rest = places - line["position_um"]
        away = np.minimum(away, np.linalg.norm(rest - np.outer(rest @ t, t), axis=1))
    return (away < NEAR_UM).reshape(world.optics["shape"])


def _places(world: World, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, x and y in the sheet of the rays of pixels, those of a pixel together; weights."""
    p, theta, m = world.optics, theta_of(world.optics), world.subpixels
    rows, columns = p["shape"]
    sigma = p["beam_fwhm"] / 2.354820045
    z = np.linspace(-4 * sigma, 4 * sigma, p["nz"]) if p["nz"] > 1 else np.zeros(1)
    weight = np.exp(-0.5 * (z / sigma) ** 2)
    i, j = np.divmod(pixels, columns)
    sub = (np.arange(m) + 0.5) / m - 0.5
    up = -((i - (rows - 1) / 2)[:, None] + sub) * p["pixel"]
    y = ((j - (columns - 1) / 2)[:, None] + sub) * p["pixel"]
    shape = len(pixels), m, m, len(z)
    x0 = np.broadcast_to((up / np.tan(2 * theta))[:, :, None, None], shape).ravel()
    y0 = np.broadcast_to(y[:, None, :, None], shape).ravel()
    depth = np.broadcast_to(z, shape).ravel()
    x = x0 + depth / np.tan(2 * theta)
    s, c = np.sin(theta), np.cos(theta)
    places = np.column_stack([c * x + s * depth, y0, -s * x + c * depth])
    return places, np.column_stack([x0, y0]), weight / weight.sum() / m**2


def _of_pixels(world: World, pixels: np.ndarray, phi: np.ndarray, chi: np.ndarray) -> np.ndarray:
    """Intensities of some pixels, (pixels, φ, χ)."""
    p, theta = world.optics, theta_of(world.optics)
    s, c = np.sin(theta), np.cos(theta)
    places, sheet, weight = _places(world, pixels)
    bent = np.linalg.inv(np.eye(3) + distortion(world, places)).transpose(0, 2, 1) - np.eye(3)
    q = sample_axes(p) @ (bent @ unit(p["hkl"])).T
    x, y = sheet.T
    terms = (np.ones_like(x), x, y, x * x, x * y, y * y)
    q[0] += polynomial(world.bend_rock, *terms)
    q[1] += polynomial(world.bend_roll, *terms)
    arm = world.offsets[2]
    rock, along = q[0] + arm / 2, q[2] - arm / 2 / np.tan(theta)
    q1, q3 = c * rock + s * along, -s * rock + c * along
    first, third, table = density_table(theta, *(p[name] for name in TABULATED))
    steps = first[0], first[1] - first[0], third[0], third[1] - third[0]
    by_phi = np.empty((len(phi), len(q1)))
    _rock(table, *steps, q1, q3, c * phi, -s * phi, by_phi)
    by_chi = np.stack([p_roll(q[1] + value, theta, p) for value in chi])
    peak = p_rock(np.zeros(1), np.zeros(1), theta, p)[0] * p_roll(np.zeros(1), theta, p)[0]
    each = len(q1) // len(pixels)
    weights = np.tile(weight, each // len(weight)) / peak
    left = by_phi.reshape(len(phi), len(pixels), each).transpose(1, 0, 2) * weights
    right = by_chi.reshape(len(chi), len(pixels), each).transpose(1, 2, 0)
    return left.astype(np.float32) @ right.astype(np.float32)


def write_mosaic(
    path: Path,
    world: World,
    phi: np.ndarray,
    chi: np.ndarray,
    seed: int,
    zero_deg: float = 9.0,
    dark: float = 100.0,
    **storage: object,
) -> None:
    """Write a scan as a beamline does: counts with dark, φ as mu about some zero, χ beside it."""
    frames = mosaic_intensities(world, phi, chi)
    rows, columns = world.optics["shape"]
    t = np.linspace(-1, 1, columns)
    light = world.counts * polynomial(world.illumination, np.ones_like(t), t, t * t)
    row, column = np.meshgrid(np.linspace(-1, 1, rows), t, indexing="ij")
    level = polynomial(world.background, np.ones_like(row), row, column)
    random = np.random.default_rng(seed)
    odd = np.unravel_index(
        random.choice(rows * columns, world.hot + world.dead, replace=False), (rows, columns)
    )
    hot = random.uniform(500, 5000, world.hot)
    shape = (len(chi) * len(phi), rows, columns)
    with h5py.File(path, "w") as file:
        entry = file.create_group("1.1")
        scan = [f"mu {_told(zero_deg + np.degrees(phi))}"]
        entry["instrument/mu/value"] = np.tile(zero_deg + np.degrees(phi), len(chi))
        if len(chi) > 1:
            scan.insert(0, f"chi {_told(np.degrees(chi))}")
            entry["instrument/chi/value"] = np.repeat(np.degrees(chi), len(phi))
        entry["title"] = f"fscan{'2d' * (len(chi) > 1)} {' '.join(scan)} 0.5"
        stored = entry.create_dataset(
            "instrument/pco_ff/image", shape, np.uint16, chunks=(1, rows, columns), **storage
        )
        for k, by_phi in enumerate(frames):
            ideal = light * by_phi
            if world.blur_px:
                ideal = gaussian_filter(ideal, (0, world.blur_px, world.blur_px), mode="nearest")
            photons = random.poisson(np.maximum(ideal + level, 0) / world.gain)
            counts = world.gain * photons + random.normal(0, world.read_sigma, photons.shape)
            counts[:, odd[0][: world.hot], odd[1][: world.hot]] += hot
            counts[:, odd[0][world.hot :], odd[1][world.hot :]] = 0
            counts = np.clip(np.rint(counts + dark), 0, 65535).astype(np.uint16)
            stored[k * len(phi) : (k + 1) * len(phi)] = counts


def _told(values: np.ndarray) -> str:
    """First position, step and number of a motor in a scan's command."""
    return f"{values[0]:.5f} {values[1] - values[0]:.5f} {len(values)}"
