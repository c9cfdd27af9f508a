"""Measured stacks as they come from a beamline, made without the package.

A world is what the slow renderer knows, its parameters in the keys of the reference images, and
what no model is told: offsets of the motors, a lattice that is bent, lines elsewhere, curved or in
an anisotropic medium, uneven light, blur, a background, a camera with hot, dead and full pixels,
turned or mirrored. Symmetric geometry. Lengths in µm, angles in rad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from reference_cases import DEFAULT
from renderer import HC, beta_straight, p_rock, p_roll, unit
from scipy.ndimage import gaussian_filter

Line = dict[str, Any]


@dataclass(frozen=True)
class World:
    """One place of a sample under one microscope; the defaults are those that a model is told.

    Attributes
    ----------
    optics : dict
        Parameters of the slow renderer.
    offsets : (3,) tuple
        Of φ, χ and 2θ: what is added to the positions that are written.
    bend_rock, bend_roll : tuple of float
        Coefficients of 1, x, y, x², xy, y² of the lattice's tilt in the sheet, rad with µm.
    illumination : tuple of float
        Coefficients of 1, t, t² of the light along y, t from -1 to 1 over the field.
    background : tuple of float
        Counts: coefficients of 1, row and column, both from -1 to 1.
    counts : float
        Counts where the intensity is 1.
    gain, read_sigma : float
        Counts per photon; standard deviation without light.
    full : float
        Counts at which pixels are full.
    blur_px : float
        Standard deviation of the camera's blur.
    hot, dead : int
        How many pixels are so.
    turns : int
        Quarter turns of the camera, as :func:`numpy.rot90` counts them.
    mirrored : bool
        Whether the frames are flipped left to right, before they are turned.
    subpixels : int
        Points along either edge of a pixel.
    shadow : float, optional
        Column, between those of pixels, beyond which a sharp edge takes the light away.
    """

    optics: dict[str, Any] = field(default_factory=lambda: dict(DEFAULT))
    offsets: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bend_rock: tuple[float, ...] = ()
    bend_roll: tuple[float, ...] = ()
    illumination: tuple[float, ...] = (1.0,)
    background: tuple[float, ...] = (0.0,)
    counts: float = 1000.0
    gain: float = 2.14
    read_sigma: float = 4.2
    full: float = np.inf
    blur_px: float = 0.0
    hot: int = 0
    dead: int = 0
    turns: int = 0
    mirrored: bool = False
    subpixels: int = 2
    shadow: float | None = None


def theta_of(p: dict[str, Any]) -> float:
    """Bragg angle (rad) of a cubic crystal."""
    spacing = p["cell"][0] / np.linalg.norm(p["hkl"])
    return float(np.arcsin(HC / p["energy"] / (2 * spacing)))


def sample_axes(p: dict[str, Any]) -> np.ndarray:
    """Sample axes in the crystal, as rows."""
    z = unit(p["hkl"])
    y = unit(np.cross(z, p["x_axis"]))
    return np.array([np.cross(y, z), y, z])


def ray_points(
    world: World, rows_of: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of all rays: depth weights, (n, 3) places in the sample, (n, 2) x, y in the sheet.

    The order is that of sub-pixels: rows, columns, depths; of all rows of sub-pixels or some.
    """
    p, theta = world.optics, theta_of(world.optics)
    (rows, columns), m = p["shape"], world.subpixels
    sigma = p["beam_fwhm"] / 2.354820045
    z = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weight = np.exp(-0.5 * (z / sigma) ** 2)
    fine = p["pixel"] / m
    up = -(np.arange(rows * m) - (rows * m - 1) / 2) * fine
    up = up[rows_of]
    y = (np.arange(columns * m) - (columns * m - 1) / 2) * fine
    x0, y0, depth = np.meshgrid(up / np.tan(2 * theta), y, z, indexing="ij")
    x0, y0, depth = x0.ravel(), y0.ravel(), depth.ravel()
    x = x0 + depth / np.tan(2 * theta)
    s, c = np.sin(theta), np.cos(theta)
    places = np.column_stack([c * x + s * depth, y0, -s * x + c * depth])
    return weight / weight.sum(), places, np.column_stack([x0, y0])


def polynomial(coefficients: tuple[float, ...], *terms: np.ndarray) -> np.ndarray:
    """Sum of coefficients times terms, as many as there are coefficients."""
    total = np.zeros_like(terms[0])
    for coefficient, term in zip(coefficients, terms, strict=False):
        total = total + coefficient * term
    return total


def distortion(world: World, places: np.ndarray) -> np.ndarray:
    """Distortion of all lines in the crystal's axes, (n, 3, 3)."""
    p = world.optics
    beta = np.zeros((len(places), 3, 3))
    for line in p["lines"]:
        where = (places - line["position_um"]) @ sample_axes(p)
        burgers = np.array(line["b_um"], float)
        if "radius_um" in line:
            beta += beta_loop(where, burgers, line["normal"], line["radius_um"], p["poisson"])
        elif "step_um" in line:
            row = line["t"], line["step_um"], line["count"]
            beta += beta_row(where, burgers, *row, p["poisson"])
        elif "points_um" in line:
            beta += beta_polyline(where, burgers, np.array(line["points_um"], float), p["poisson"])
        elif "stiffness" in p:
            beta += beta_stroh(where, burgers, line["t"], p["stiffness"])
        else:
            beta += beta_straight(where, burgers, line["t"], p["poisson"])
    return beta


def q_of(world: World, rows_of: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Depth weights and q (rock, roll, along the diffraction vector) of all rays, (3, n)."""
    p = world.optics
    weight, places, sheet = ray_points(world, rows_of)
    beta = distortion(world, places)
    bent = np.linalg.inv(np.eye(3) + beta).transpose(0, 2, 1) - np.eye(3)
    q = sample_axes(p) @ (bent @ unit(p["hkl"])).T
    x, y = sheet.T
    terms = (np.ones_like(x), x, y, x * x, x * y, y * y)
    q[0] += polynomial(world.bend_rock, *terms)
    q[1] += polynomial(world.bend_roll, *terms)
    return weight, q


@njit(cache=False)
def _bilinear(table, low1, step1, low3, step3, q1, q3, roll, weight, out):
    depths = weight.size
    n1, n3 = table.shape
    for pixel in range(out.size):
        total = 0.0
        for k in range(depths):
            index = pixel * depths + k
            a, b = (q1[index] - low1) / step1, (q3[index] - low3) / step3
            if a < 0.0 or b < 0.0 or a >= n1 - 1 or b >= n3 - 1:
                continue
            i, j = int(a), int(b)
            u, v = a - i, b - j
            total += (
                weight[k]
                * roll[index]
                * (
                    (1 - u) * ((1 - v) * table[i, j] + v * table[i, j + 1])
                    + u * ((1 - v) * table[i + 1, j] + v * table[i + 1, j + 1])
                )
            )
        out[pixel] = total


MOST_RAYS = 2_000_000
"""So many are held at a time: a strip of the image."""

TABULATED = ("zeta_v", "clip", "acceptance", "aperture", "bandwidth")


@lru_cache(maxsize=32)
def density_table(theta: float, *widths: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grid of (q_rock', q_2θ), and the density on it up to a factor."""
    p, s, c = dict(zip(TABULATED, widths, strict=True)), np.sin(theta), np.cos(theta)
    flank = min(s * p["bandwidth"], 2e-5)
    reach1 = 1.3 * c * (p["clip"] or 4 * p["zeta_v"]) + 8 * s * p["bandwidth"]
    reach3 = (1.05 * (p["aperture"] or 5 * p["acceptance"]) + 4 * p["zeta_v"]) / (2 * s)
    first = np.arange(-reach1, reach1, flank / 20)
    third = np.arange(-reach3, reach3, p["acceptance"] / (2 * s) / 100)
    return first, third, p_rock(*np.meshgrid(first, third, indexing="ij"), theta, p)


def ideal_stack(world: World, positions: np.ndarray) -> np.ndarray:
    """Intensities of frames at (n, 3) written positions of φ, χ, 2θ; (n, rows, columns).

    The density of (q_rock', q_2θ) is tabulated in steps of 1/20 of its flanks and read between
    them; the perfect crystal at its peak gives 1.
    """
    p, theta = world.optics, theta_of(world.optics)
    s, c = np.sin(theta), np.cos(theta)
    first, third, table = density_table(theta, *(p[name] for name in TABULATED))
    peak = p_rock(np.zeros(1), np.zeros(1), theta, p)[0] * p_roll(np.zeros(1), theta, p)[0]
    (rows, columns), m = p["shape"], world.subpixels
    frames = np.empty((len(positions), rows, columns))
    strip = max(1, MOST_RAYS // (columns * m * m * p["nz"]))
    for top in range(0, rows, strip):
        some = range(top, min(top + strip, rows))
        weight, q = q_of(world, slice(top * m, (some[-1] + 1) * m))
        fine, at, roll = np.empty(len(some) * m * columns * m), None, None
        for number, position in enumerate(np.atleast_2d(positions)):
            phi, chi, arm = np.asarray(position, float) + world.offsets
            rock, along = q[0] + phi + arm / 2, q[2] - arm / 2 / np.tan(theta)
            if chi != at:
                at, roll = chi, p_roll(q[1] + chi, theta, p)
            q1, q3 = c * rock + s * along, -s * rock + c * along
            steps = first[0], first[1] - first[0], third[0], third[1] - third[0]
            _bilinear(table, *steps, q1, q3, roll, weight, fine)
            parts = fine.reshape(len(some), m, columns, m)
            frames[number, top : top + len(some)] = parts.mean((1, 3)) / peak
    return frames


def expected_counts(world: World, positions: np.ndarray) -> np.ndarray:
    """Counts above dark to expect of frames at written positions, before the camera turns."""
    frames = world.counts * ideal_stack(world, positions)
    rows, columns = frames.shape[1:]
    t = np.linspace(-1, 1, columns)
    frames *= polynomial(world.illumination, np.ones_like(t), t, t * t)
    if world.shadow is not None:
        frames *= np.clip(np.arange(columns) + 0.5 - world.shadow, 0, 1)
    if world.blur_px:
        frames = gaussian_filter(frames, (0, world.blur_px, world.blur_px), mode="nearest")
    row, column = np.meshgrid(np.linspace(-1, 1, rows), t, indexing="ij")
    return frames + polynomial(world.background, np.ones_like(row), row, column)


def counted(world: World, positions: np.ndarray, seed: int) -> np.ndarray:
    """Counts above dark as a camera gives them."""
    random = np.random.default_rng(seed)
    frames = expected_counts(world, positions)
    photons = random.poisson(np.maximum(frames, 0) / world.gain)
    counts = np.rint(world.gain * photons + random.normal(0, world.read_sigma, frames.shape))
    counts = np.minimum(counts, world.full)
    size = frames[0].size
    places = random.choice(size, world.hot + world.dead, replace=False)
    flat = counts.reshape(len(counts), size)
    flat[:, places[: world.hot]] += random.uniform(500, 5000, world.hot)
    flat[:, places[world.hot :]] = 0
    if world.mirrored:
        counts = counts[:, :, ::-1]
    return np.rot90(counts, world.turns, (1, 2)).copy()


# ---------------------------------------------------------------- fields that are no plain lines


def cubic_stiffness(c11: float, c12: float, c44: float) -> np.ndarray:
    """Elastic constants of a cubic crystal along its axes, (3, 3, 3, 3)."""
    d = np.eye(3)
    c = c12 * np.einsum("ij,kl->ijkl", d, d)
    c += c44 * (np.einsum("ik,jl->ijkl", d, d) + np.einsum("il,jk->ijkl", d, d))
    for i in range(3):
        c[i, i, i, i] += c11 - c12 - 2 * c44
    return c


def beta_stroh(points: np.ndarray, burgers: np.ndarray, line: Any, constants: Any) -> np.ndarray:
    """Distortion of a straight line through the origin by Stroh's eigenvectors, (n, 3, 3).

    J. P. Hirth & J. Lothe, Theory of Dislocations, chapter 13; the medium must not be degenerate.
    """
    c = cubic_stiffness(*constants)
    t = unit(line)
    m = unit(np.cross(t, [0.31, 0.52, 0.79]))
    n = np.cross(t, m)

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.einsum("i,ijkl,l->jk", a, c, b)

    inverse = np.linalg.inv(between(n, n))
    mixed = inverse @ between(n, m)
    upper = np.hstack([-mixed, -inverse])
    lower = np.hstack([between(m, m) - between(m, n) @ mixed, -between(m, n) @ inverse])
    p, vectors = np.linalg.eig(np.vstack([upper, lower]))
    total = np.zeros((len(points), 3, 3), complex)
    x, y = points @ m, points @ n
    for k in range(6):
        a, force = vectors[:3, k], vectors[3:, k]
        scale = 2 * a @ force
        strength = (force @ burgers) / scale
        z = x + p[k] * y
        direction = m + p[k] * n
        strength *= np.sign(p[k].imag) / (2j * np.pi)
        total += strength * np.einsum("k,l,n->nkl", a, direction, 1 / z)
    assert np.abs(total.imag).max() < 1e-6 * np.abs(total.real).max()
    return total.real


def beta_polyline(
    points: np.ndarray, burgers: np.ndarray, corners: np.ndarray, nu: float, nodes: int = 12
) -> np.ndarray:
    """Distortion of a line through corners that goes straight on beyond both ends, (n, 3, 3).

    Mura's integral over each piece as one over the angle that it subtends, isotropic, by
    Gauss-Legendre; the ends are put 1e4 µm further on.
    """
    first, last = unit(corners[0] - corners[1]), unit(corners[-1] - corners[-2])
    far = [corners[0] + r * first for r in (1e4, 300.0, 10.0)]
    further = [corners[-1] + r * last for r in (10.0, 300.0, 1e4)]
    chain = np.vstack([*far, corners, *further])
    f, weights = np.polynomial.legendre.leggauss(nodes)
    delta, levi = np.eye(3), np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi[i, j, k], levi[i, k, j] = 1, -1
    lame = 2 * nu / (1 - 2 * nu)  # λ/µ, with µ = 1
    c = lame * np.einsum("pq,mn->pqmn", delta, delta)
    c += np.einsum("pm,qn->pqmn", delta, delta) + np.einsum("pn,qm->pqmn", delta, delta)
    beta = np.zeros((len(points), 3, 3))
    for start, stop in pairwise(chain):
        kernel = np.einsum("jnh,pqmn,m,h->jpq", levi, c, burgers, unit(stop - start))
        kernel /= 16 * np.pi * (1 - nu)
        _add_piece(points, start, stop, kernel, nu, (f + 1) / 2, weights / 2, beta)
    return beta


@njit(cache=False)
def _add_piece(points, start, stop, kernel, nu, f, weights, beta):
    """Add Σ K_jpq ∫ g_ipq(n), n the unit vectors from points of the piece."""
    length = np.sqrt(((stop - start) ** 2).sum())
    n, first, third = np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    trace = np.array([kernel[j, 0, 0] + kernel[j, 1, 1] + kernel[j, 2, 2] for j in range(3)])
    for k in range(len(points)):
        r1, r2 = points[k] - start, points[k] - stop
        d1, d2 = np.sqrt((r1**2).sum()), np.sqrt((r2**2).sum())
        e1, e2 = r1 / d1, r2 / d2
        angle = np.arctan2(np.sqrt((np.cross(e1, e2) ** 2).sum()), (e1 * e2).sum())
        sine = np.sin(angle)
        small = angle < 1e-7
        factor = length / (d1 * d2) * (1.0 if small else angle / sine)
        for a in range(f.size):
            near = 1 - f[a] if small else np.sin((1 - f[a]) * angle) / sine
            on = f[a] if small else np.sin(f[a] * angle) / sine
            for i in range(3):
                n[i] = near * e1[i] + on * e2[i]
            for j in range(3):
                both = 0.0
                for i in range(3):
                    first[j, i] = third[j, i] = 0.0
                    for q in range(3):
                        first[j, i] += kernel[j, i, q] * n[q]
                        third[j, i] += kernel[j, q, i] * n[q]
                    both += first[j, i] * n[i]
                for i in range(3):
                    g = third[j, i] - (3 - 4 * nu) * first[j, i] + n[i] * (trace[j] - 3 * both)
                    beta[k, i, j] += factor * weights[a] * g


@njit(cache=False)
def _ring(places, centre, across, other, radius, burgers, nu, fewest, per_radius, out):
    normal = np.cross(across, other)
    scale = 1.0 / (16.0 * np.pi * (1.0 - nu))
    for k in range(len(places)):
        d = places[k] - centre
        z, u, v = d @ normal, d @ across, d @ other
        away = np.sqrt((np.sqrt(u * u + v * v) - radius) ** 2 + z * z)
        count = max(fewest, int(per_radius * radius / max(away, 2e-3)))
        length = 2.0 * np.pi * radius / count
        for n in range(count):
            phi = 2.0 * np.pi * n / count
            c, s = np.cos(phi), np.sin(phi)
            t = (c * other - s * across) * length
            r = d - radius * (c * across + s * other)
            size = np.sqrt(r @ r)
            cube, b_r = size**-3, burgers @ r
            b_t, r_t = np.cross(burgers, t), np.cross(r, t)
            for i in range(3):
                for j in range(3):
                    value = b_t[j] * r[i] - burgers[i] * r_t[j]
                    # Of the tensor that takes a vector to its cross product with t.
                    if i != j:
                        h = 3 - i - j
                        sign = 1.0 if (j + 1) % 3 == i else -1.0
                        value -= b_r * sign * t[h]
                    value *= (2.0 - 4.0 * nu) * cube
                    value -= 6.0 * r[i] * b_r * r_t[j] * cube / (size * size)
                    out[k, i, j] += scale * value


def beta_loop(
    points: np.ndarray, burgers: np.ndarray, normal: Any, radius: float, nu: float
) -> np.ndarray:
    """Distortion of a circle about the origin, right-handed about a normal, (n, 3, 3).

    Mura's line integral in an isotropic medium, all indices summed by hand, by the trapezoidal
    rule over the circle, which for a periodic integrand converges exponentially.
    """
    axis = unit(normal)
    across = unit(np.cross(axis, [0.31, 0.52, 0.79]))
    out = np.zeros((len(points), 3, 3))
    other = np.cross(axis, across)
    b = np.asarray(burgers, float)
    _ring(np.ascontiguousarray(points), np.zeros(3), across, other, radius, b, nu, 32, 16.0, out)
    return out


@njit(cache=False)
def _row(places, axis, other, line, edge, screw, step, count, nu, out):
    # Hirth & Lothe, 3.2 and 3.4: a screw and an edge along z, b of the edge along x.
    e, s = edge / (4.0 * np.pi * (1.0 - nu)), screw / (2.0 * np.pi)
    for k in range(len(places)):
        xx = xy = yx = yy = zx = zy = 0.0
        for n in range(-(count // 2), count - count // 2):
            d = places[k] - n * step
            x, y = d @ axis, d @ other
            q = x * x + y * y
            xx -= e * y * ((3.0 - 2.0 * nu) * x * x + (1.0 - 2.0 * nu) * y * y) / (q * q)
            xy += e * x * ((3.0 - 2.0 * nu) * x * x + (1.0 - 2.0 * nu) * y * y) / (q * q)
            yx -= e * x * ((1.0 - 2.0 * nu) * x * x + (3.0 - 2.0 * nu) * y * y) / (q * q)
            yy += e * y * ((1.0 + 2.0 * nu) * x * x - (1.0 - 2.0 * nu) * y * y) / (q * q)
            zx -= s * y / q
            zy += s * x / q
        for i in range(3):
            for j in range(3):
                out[k, i, j] += (
                    axis[i] * (xx * axis[j] + xy * other[j])
                    + other[i] * (yx * axis[j] + yy * other[j])
                    + line[i] * (zx * axis[j] + zy * other[j])
                )


def beta_row(
    points: np.ndarray, burgers: np.ndarray, t: Any, step: np.ndarray, count: int, nu: float
) -> np.ndarray:
    """Distortion of so many straight lines, one a step further than the other, summed plainly."""
    line = unit(t)
    screw = float(burgers @ line)
    edge = burgers - screw * line
    axis = unit(edge)
    out = np.zeros((len(points), 3, 3))
    args = axis, np.cross(line, axis), line, float(np.linalg.norm(edge)), screw
    _row(np.ascontiguousarray(points), *args, np.asarray(step, float), count, nu, out)
    return out
