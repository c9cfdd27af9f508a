"""Scans of several oblique reflections of one crystal, made without the package.

Exact kinematics instead of a linear acceptance: a ray of the beam at a vertical angle ζ and of an
energy that fulfils Laue's condition with the deformed lattice of its place; the weight of that
energy in the spectrum, and of the direction in which it leaves in the lens. The sum over ζ and over
the height of the beam is the intensity. Aluminium, beam and lens of the published case
(PHYSICS J of the project's notes): 19.1 keV, divergence FWHM 0.027 mrad, bandwidth FWHM 6e-5, lens
FWHM 0.556 mrad, sheet of rms 0.1 µm.

Lengths in µm, angles in rad, wavevectors in 1/Å. The crystal's cube axes are those of the sample at
ω = 0; the camera stands upright, rows count upwards and columns along y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ENERGY = 19.1
LATTICE = 4.0493
FWHM = 2.3548200450309493
DIVERGENCE = 0.027e-3 / FWHM
BANDWIDTH = 6e-5 / FWHM
LENS = 0.556e-3 / FWHM
SHEET = 0.1
OFFSET, READ_NOISE = 99.453, 2.317
PEAK = 63_360.0
POISSON_RATIO = 0.334

WAVEVECTOR = 2.0 * np.pi * ENERGY / 12.398419843
BURGERS = LATTICE / np.sqrt(2.0) * 1e-4

FOUR_113 = (((-1, -1, 3), 1), ((1, 1, 3), 2), ((-1, 1, 3), 1), ((1, -1, 3), 2))
"""The published set: Miller indices, and which of the two ω, the smaller one first."""

Field = Callable[[np.ndarray], np.ndarray]


def about_z(angle: float) -> np.ndarray:
    """Active right-handed rotation about z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotations(axis: int, angles: np.ndarray) -> np.ndarray:
    """Active right-handed rotations about x (0) or y (1), (n, 3, 3)."""
    c, s, one, zero = np.cos(angles), np.sin(angles), np.ones_like(angles), np.zeros_like(angles)
    if axis == 0:
        rows = [[one, zero, zero], [zero, c, -s], [zero, s, c]]
    else:
        rows = [[c, zero, s], [zero, one, zero], [-s, zero, c]]
    return np.moveaxis(np.array(rows), -1, 0)


def bragg_omega(q: np.ndarray, solution: int) -> float:
    """ω at which Laue's condition holds for the diffraction vector q (3,) of the sample."""
    across, angle = np.hypot(q[0], q[1]), np.arctan2(q[1], q[0])
    turn = np.arccos(-(q @ q) / (2.0 * WAVEVECTOR * across))
    both = sorted((sign * turn - angle) % (2.0 * np.pi) for sign in (1.0, -1.0))
    return both[solution - 1]


# ---------------------------------------------------------------------------- fields


def straight_line(
    burgers: np.ndarray, direction: np.ndarray, place: tuple[float, float] = (0.0, 0.0)
) -> Field:
    """β of a straight isotropic dislocation through (x, y) at z = 0, after Hirth & Lothe."""
    t = np.asarray(direction, dtype=float)
    t = t / np.linalg.norm(t)
    b = np.asarray(burgers, dtype=float)
    screw = b @ t
    edge = b - screw * t
    size = np.linalg.norm(edge)
    x_axis = edge / size if size > 1e-12 else np.linalg.svd(t[None])[2][1]
    axes = np.stack([x_axis, np.cross(t, x_axis), t])
    nu = POISSON_RATIO

    def gradient(points: np.ndarray) -> np.ndarray:
        x, y, _ = axes @ (points - np.array([*place, 0.0])).T
        # On the line itself there is no lattice to see.
        r2 = np.maximum(x * x + y * y, 1e-6)
        k = size / (4.0 * np.pi * (1.0 - nu)) / r2**2
        out = np.zeros((len(points), 3, 3))
        out[:, 0, 0] = -k * y * (3 * x * x + y * y - 2 * nu * r2)
        out[:, 0, 1] = k * x * (3 * x * x + y * y - 2 * nu * r2)
        out[:, 1, 0] = -k * x * (x * x + 3 * y * y - 2 * nu * r2)
        out[:, 1, 1] = k * y * (x * x - y * y + 2 * nu * r2)
        out[:, 2, 0] = -screw / (2.0 * np.pi) * y / r2
        out[:, 2, 1] = screw / (2.0 * np.pi) * x / r2
        return np.einsum("ai,nab,bj->nij", axes, out, axes)

    return gradient


def loop(
    burgers: np.ndarray, normal: np.ndarray, radius: float, centre: tuple[float, float, float]
) -> Field:
    """β of a circular loop: line integral of Mura's formula with isotropic Green's functions."""
    n = np.asarray(normal, dtype=float)
    n = n / np.linalg.norm(n)
    e1 = np.linalg.svd(n[None])[2][1]
    e2 = np.cross(n, e1)
    angles = 2.0 * np.pi * (np.arange(720) + 0.5) / 720
    at = np.array(centre) + radius * (np.cos(angles)[:, None] * e1 + np.sin(angles)[:, None] * e2)
    along = (
        radius * 2.0 * np.pi / 720 * (-np.sin(angles)[:, None] * e1 + np.cos(angles)[:, None] * e2)
    )
    nu = POISSON_RATIO
    mu, lame = 1.0, 2.0 * nu / (1.0 - 2.0 * nu)
    delta = np.eye(3)
    stiffness = lame * np.einsum("pq,mn->pqmn", delta, delta) + mu * (
        np.einsum("pm,qn->pqmn", delta, delta) + np.einsum("pn,qm->pqmn", delta, delta)
    )
    levi = np.zeros((3, 3, 3))
    levi[0, 1, 2] = levi[1, 2, 0] = levi[2, 0, 1] = 1.0
    levi[0, 2, 1] = levi[2, 1, 0] = levi[1, 0, 2] = -1.0
    b = np.asarray(burgers, dtype=float)

    def gradient(points: np.ndarray) -> np.ndarray:
        out = np.zeros((len(points), 3, 3))
        for start in range(0, len(points), 256):
            away = points[start : start + 256, None] - at
            size = np.linalg.norm(away, axis=-1)
            m = away / size[..., None]
            green = (
                (
                    -(3 - 4 * nu) * np.einsum("ip,naq->naipq", delta, m)
                    - 3 * np.einsum("nai,nap,naq->naipq", m, m, m)
                    + np.einsum("iq,nap->naipq", delta, m)
                    + np.einsum("pq,nai->naipq", delta, m)
                )
                / (16 * np.pi * mu * (1 - nu))
                / size[..., None, None, None] ** 2
            )
            out[start : start + 256] = np.einsum(
                "jnh,pqmn,m,ah,raipq->rij", levi, stiffness, b, along, green, optimize=True
            )
        return out

    return gradient


# ---------------------------------------------------------------------------- scans


@dataclass(frozen=True)
class World:
    """What is seen, and how."""

    field: Field
    pixels: int = 40
    pixel: float = 0.15
    fine: tuple[float, int] = (0.35e-3, 41)
    wide: tuple[float, int] = (2.3e-3, 11)
    arm: tuple[float, int] = (0.75e-3, 7)
    heights: int = 3  # 1: an infinitely thin sheet
    sheet: float = SHEET  # rms
    lift: float = 0.0  # how much the sample is raised
    jitter: float = 0.0  # of φ and χ (rad), as the file has them
    noise: bool = True
    seed: int = 1
    cameras: dict[tuple[int, int, int], tuple[float, float, float, float]] = field(
        default_factory=dict
    )  # by reflection: moved up and across (µm), turned (rad), and how many times larger its pixels


@dataclass(frozen=True)
class Scan:
    """Frames of one reflection, and where its motors stood from the Bragg setting."""

    hkl: tuple[int, int, int]
    solution: int
    omega: float
    theta: float
    phi: np.ndarray
    chi: np.ndarray
    arm: np.ndarray
    frames: np.ndarray


def camera_points(world: World, k_out: np.ndarray, hkl: tuple[int, int, int]) -> np.ndarray:
    """Points in the laboratory that every pixel sees at z = 0, (pixels, pixels, 3)."""
    steps = (np.arange(world.pixels) - 0.5 * (world.pixels - 1)) * world.pixel
    up, across = np.meshgrid(steps, steps, indexing="ij")
    moved_up, moved_across, angle, larger = world.cameras.get(hkl, (0.0, 0.0, 0.0, 1.0))
    c, s = larger * np.cos(angle), larger * np.sin(angle)
    up, across = moved_up + c * up - s * across, moved_across + s * up + c * across
    # A point at x, y and z = 0 stands at height -x k_z/k_x on it, and at y - x k_y/k_x.
    x = -up * k_out[0] / k_out[2]
    return np.stack([x, across + x * k_out[1] / k_out[0], np.zeros_like(x)], axis=-1)


def scan_of(world: World, hkl: tuple[int, int, int], solution: int) -> Scan:
    """Take the scan of a reflection."""
    q0 = 2.0 * np.pi / LATTICE * np.array(hkl, dtype=float)
    omega = bragg_omega(q0, solution)
    turn = about_z(omega)
    beam = np.array([1.0, 0.0, 0.0])
    k_out = WAVEVECTOR * beam + turn @ q0
    two_theta = np.arccos(k_out[0] / WAVEVECTOR)
    out = k_out / WAVEVECTOR
    # The arm turns in the plane of beam and diffracted beam; roll is across that plane.
    roll = np.cross(beam, out) / np.sin(two_theta)
    upwards = (out * np.cos(two_theta) - beam) / np.sin(two_theta)
    rocks_with_phi = abs(turn[1, 1]) > 0.5
    fine, wide = (np.linspace(-h, h, n) for h, n in (world.fine, world.wide))
    phi, chi = (fine, wide) if rocks_with_phi else (wide, fine)
    arm = np.linspace(-world.arm[0], world.arm[0], world.arm[1])
    grid_chi, grid_phi = (x.ravel() for x in np.meshgrid(chi, phi, indexing="ij"))
    shaken = np.random.default_rng([world.seed, *(index + 9 for index in hkl), 1])
    grid_chi = grid_chi + world.jitter * shaken.normal(size=grid_chi.shape)
    grid_phi = grid_phi + world.jitter * shaken.normal(size=grid_phi.shape)
    goniometer = turn @ rotations(0, -grid_chi) @ rotations(1, grid_phi)
    nodes, shares = np.polynomial.hermite_e.hermegauss(world.heights)
    shares = shares / shares.sum()
    zeta = np.linspace(-4.5, 4.5, 25) * DIVERGENCE
    beam_share = np.exp(-0.5 * (zeta / DIVERGENCE) ** 2)
    incident = np.stack([np.cos(zeta), np.zeros_like(zeta), np.sin(zeta)])
    places = camera_points(world, out, hkl)
    images = np.zeros((len(arm), len(grid_phi), world.pixels**2))
    for node, share in zip(nodes, shares, strict=True):
        height = node * world.sheet
        at = places + height * np.array([out[0] / out[2], out[1] / out[2], 1.0])
        beta = world.field((at.reshape(-1, 3) - [0.0, 0.0, world.lift]) @ turn)
        lattice = np.linalg.inv(np.eye(3) + beta)
        in_sample = np.einsum("nji,j->ni", lattice, q0)
        for number, goniometer_ in enumerate(goniometer):
            q = in_sample @ goniometer_.T
            # |k + Q| = |k|: the energy that each direction of the beam needs.
            needed = -(q * q).sum(axis=1)[:, None] / (2.0 * q @ incident)
            away = (needed / WAVEVECTOR - 1.0) / BANDWIDTH
            lit = (np.abs(away).min(axis=1) < 6.0).nonzero()[0]
            if not len(lit):
                continue
            weight = beam_share * np.exp(-0.5 * away[lit] ** 2)
            k = needed[lit, :, None] * incident.T + q[lit, None]
            k /= np.linalg.norm(k, axis=-1, keepdims=True)
            sideways = np.arcsin(k @ roll)
            weight *= np.exp(-0.5 * (sideways / LENS) ** 2)
            lifted = np.arctan2(k @ upwards, k @ out)
            for frame, angle in enumerate(arm):
                through = np.exp(-0.5 * ((lifted - angle) / LENS) ** 2)
                images[frame, number, lit] += share * (weight * through).sum(axis=1)
    images /= _perfect_peak(beam_share, zeta, q0, turn, roll, upwards, out)
    stack = images.reshape(-1, world.pixels, world.pixels)
    counts = PEAK * stack
    if world.noise:
        random = np.random.default_rng([world.seed, *(index + 9 for index in hkl)])
        counts = random.poisson(counts) + random.normal(OFFSET, READ_NOISE, counts.shape)
        counts = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    frames_arm = np.repeat(arm, len(grid_phi))
    return Scan(
        hkl,
        solution,
        omega,
        0.5 * two_theta,
        np.tile(grid_phi, len(arm)),
        np.tile(grid_chi, len(arm)),
        frames_arm,
        counts,
    )


def _perfect_peak(
    beam_share: np.ndarray,
    zeta: np.ndarray,
    q0: np.ndarray,
    turn: np.ndarray,
    roll: np.ndarray,
    upwards: np.ndarray,
    out: np.ndarray,
) -> float:
    """Intensity of the perfect crystal at its Bragg setting."""
    q = turn @ q0
    incident = np.stack([np.cos(zeta), np.zeros_like(zeta), np.sin(zeta)])
    needed = -(q @ q) / (2.0 * q @ incident)
    weight = beam_share * np.exp(-0.5 * ((needed / WAVEVECTOR - 1.0) / BANDWIDTH) ** 2)
    k = needed[:, None] * incident.T + q
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    weight *= np.exp(-0.5 * (np.arcsin(k @ roll) / LENS) ** 2)
    weight *= np.exp(-0.5 * (np.arctan2(k @ upwards, k @ out) / LENS) ** 2)
    return float(weight.sum())


def experiment_text(world: World, reflections: tuple[object, ...] = FOUR_113) -> str:
    """What a user of the package would write of it."""
    lines = [
        "[crystal]",
        'material = "Al"',
        f"cell = {{ a = {LATTICE} }}",
        "mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
        "[beam]",
        f"energy_keV = {ENERGY}",
        f"bandwidth_rms = {BANDWIDTH:.10g}",
        "divergence_vertical_fwhm_mrad = 0.027",
        'divergence_vertical_profile = "gaussian"',
        "divergence_vertical_clip_mrad = inf",
        "divergence_horizontal_fwhm_mrad = 0.0",
        f"height_fwhm_um = {world.sheet * FWHM if world.heights > 1 else 0.001:.6g}",
        'profile = "gaussian"',
        "[objective]",
        "acceptance_fwhm_mrad = 0.556",
        "aperture_mrad = inf",
        "[camera]",
        f"pixels = [{world.pixels}, {world.pixels}]",
        f"pixel_nm = {1e3 * world.pixel}",
        'plane = "vertical"',
    ]
    for hkl, solution in reflections:
        lines += [
            "[[reflections]]",
            f"hkl = {list(hkl)}",
            'geometry = "oblique"',
            f"solution = {solution}",
        ]
    return "\n".join(lines) + "\n"
