"""A rocking scan as a beamline writes it, made without weakbeam.

The dislocations are those of Volterra in an isotropic crystal; the acceptance is integrated
numerically; and there is what no model is told: zero offsets, a lattice that is bent, a dislocation
beside the field, light that is uneven and flickers, blur, a background, noise, hot and dead pixels.

    python examples/measured_stack.py measured.h5
"""

import sys

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

# Aluminium (-1 1 -1) at 17 keV; lengths in µm, angles in rad.
A, HKL, X_AXIS = 4.0495e-4, np.array([-1.0, 1.0, -1.0]), np.array([1.0, 0.0, -1.0])
POISSON, THETA = 0.334, float(np.arcsin(12.398419843 / 17.0 * np.sqrt(3.0) / (2 * 4.0495)))
FWHM = 2.354820045
DIVERGENCE, CLIP, BANDWIDTH = 0.53e-3 / FWHM, 0.14e-3, 6e-5
LENS, APERTURE, BEAM = 0.731e-3 / FWHM, 1.0323e-3, 0.15 / FWHM

# The field: rows, columns, edge of a pixel, points along it, heights in the beam.
ROWS, COLUMNS, PIXEL, FINE, HEIGHTS = 64, 80, 0.09, 4, 61
PHI = np.linspace(-0.3e-3, 0.3e-3, 31)

# Slip plane, Burgers vector, character (deg; 0 is an edge) and a place (µm): the last is outside.
LINES = [
    ([1, 1, -1], [0, 1, 1], 37.0, [-2.2, -1.4, 0.0]),
    ([1, -1, -1], [1, 0, 1], 112.0, [3.4, 1.3, 0.0]),
    ([1, 1, 1], [1, -1, 0], 75.0, [0.0, 8.0, 0.0]),
]
OFFSETS = {"phi": 11e-6, "chi": -6e-6}
BENT_ROCK, BENT_ROLL = (4e-6, -3e-6), (-2e-6, 4e-6)  # rad per µm along x and y
COUNTS, GAIN, READ_NOISE, BACKGROUND, BLUR_PX = 2000.0, 2.14, 4.2, 25.0, 1.0


def unit(vector):
    """The direction of a vector."""
    return np.asarray(vector, float) / np.linalg.norm(vector)


def distortion(points, plane, burgers, character):
    """β of a straight dislocation through the origin (Hirth and Lothe, Theory of Dislocations)."""
    b = 0.5 * A * np.asarray(burgers, float)
    along = unit(b)
    # An edge runs along b x n; at 90 deg the line is a screw.
    psi = np.radians(character)
    line = np.cos(psi) * np.cross(along, unit(plane)) + np.sin(psi) * along
    screw = b @ line
    edge = b - screw * line
    size, x_axis = np.linalg.norm(edge), unit(edge)
    axes = np.column_stack([x_axis, np.cross(line, x_axis), line])
    x, y = (points @ axes).T[:2]
    r2 = x * x + y * y
    k, s, n = size / (4 * np.pi * (1 - POISSON)) / r2**2, screw / (2 * np.pi) / r2, 2 * POISSON * r2
    beta = np.zeros((len(points), 3, 3))
    beta[:, 0, 0], beta[:, 0, 1] = -k * y * (3 * x * x + y * y - n), k * x * (3 * x * x + y * y - n)
    beta[:, 1, 0], beta[:, 1, 1] = -k * x * (x * x + 3 * y * y - n), k * y * (x * x - y * y + n)
    beta[:, 2, 0], beta[:, 2, 1] = -s * y, s * x
    return axes @ beta @ axes.T


def rays():
    """Change of q along x, y and the diffraction vector at all points, and weights of heights."""
    z_axis = unit(HKL)
    y_axis = unit(np.cross(z_axis, X_AXIS))
    sample = np.array([np.cross(y_axis, z_axis), y_axis, z_axis])  # rows: axes in the crystal
    height = np.linspace(-4 * BEAM, 4 * BEAM, HEIGHTS)
    up = -(np.arange(ROWS * FINE) - 0.5 * (ROWS * FINE - 1)) * PIXEL / FINE
    y = (np.arange(COLUMNS * FINE) - 0.5 * (COLUMNS * FINE - 1)) * PIXEL / FINE
    x, y, h = np.meshgrid(up / np.tan(2 * THETA), y, height, indexing="ij")
    along, sine, cosine = x + h / np.tan(2 * THETA), np.sin(THETA), np.cos(THETA)
    places = np.stack([cosine * along + sine * h, y, cosine * h - sine * along], axis=-1)
    q = np.zeros((3, *x.shape))
    for rows in range(len(q[0])):
        here = places[rows].reshape(-1, 3)
        beta = sum(distortion((here - at) @ sample, p, b, psi) for p, b, psi, at in LINES)
        turned = np.linalg.inv(np.eye(3) + beta).transpose(0, 2, 1) - np.eye(3)
        q[:, rows] = (sample @ (turned @ z_axis).T).reshape(3, *x.shape[1:])
    q[0] += BENT_ROCK[0] * x + BENT_ROCK[1] * y
    q[1] += BENT_ROLL[0] * x + BENT_ROLL[1] * y
    weight = np.exp(-0.5 * (height / BEAM) ** 2)
    return q, weight / weight.sum()


def density(first, third):
    """Light at (q_rock', q_2θ): the sum over the divergence of the beam."""
    zeta = np.linspace(-CLIP, CLIP, 281)
    sine, cosine = np.sin(THETA), np.cos(THETA)
    total = np.zeros(np.broadcast(first, third).shape)
    for angle in zeta:
        lens = 2 * (sine * third - cosine * first) - angle
        energy = (first + cosine * angle) / sine / BANDWIDTH
        share = np.exp(-0.5 * ((angle / DIVERGENCE) ** 2 + energy**2 + (lens / LENS) ** 2))
        total += np.where(np.abs(lens) <= APERTURE, share, 0.0)
    return total


def frames():
    """Counts to expect in each frame."""
    q, weight = rays()
    sine, cosine = np.sin(THETA), np.cos(THETA)
    first = np.arange(-0.4e-3, 0.4e-3, 5e-7)
    third = np.arange(-1.2e-2, 1.2e-2, 1.5e-5)
    table = density(first[:, None], third[None, :])
    table /= density(np.zeros(1), np.zeros(1))
    stack = np.empty((len(PHI), ROWS, COLUMNS))
    roll = 2 * sine * (q[1] + OFFSETS["chi"])
    across = np.exp(-0.5 * (roll / LENS) ** 2) * (np.abs(roll) <= APERTURE)
    for number, phi in enumerate(PHI + OFFSETS["phi"]):
        rock = q[0] + phi
        i = (cosine * rock + sine * q[2] - first[0]) / (first[1] - first[0])
        j = (cosine * q[2] - sine * rock - third[0]) / (third[1] - third[0])
        there = (i >= 0) & (i < len(first) - 1) & (j >= 0) & (j < len(third) - 1)
        i, j = np.where(there, i, 0.0), np.where(there, j, 0.0)
        m, n = i.astype(int), j.astype(int)
        u, v = i - m, j - n
        light = (1 - u) * ((1 - v) * table[m, n] + v * table[m, n + 1])
        light += u * ((1 - v) * table[m + 1, n] + v * table[m + 1, n + 1])
        image = (np.where(there, light, 0.0) * across) @ weight
        stack[number] = image.reshape(ROWS, FINE, COLUMNS, FINE).mean((1, 3))
    uneven = 1 + 0.2 * np.linspace(-1, 1, COLUMNS)
    blurred = gaussian_filter(COUNTS * uneven * stack, (0, BLUR_PX, BLUR_PX), mode="nearest")
    return blurred + BACKGROUND * (1 + 0.3 * np.linspace(-1, 1, ROWS))[:, None]


def main(path):
    """Write the scan."""
    random = np.random.default_rng(5)
    flicker = 1 + 0.01 * random.normal(size=(len(PHI), 1, 1))
    counts = GAIN * random.poisson(flicker * frames() / GAIN)
    counts = counts + random.normal(0, READ_NOISE, counts.shape)
    odd = random.integers(0, [[ROWS], [COLUMNS]], (2, 6))
    counts[:, odd[0, :3], odd[1, :3]] = 20000.0
    counts[:, odd[0, 3:], odd[1, 3:]] = 0.0
    with h5py.File(path, "w") as file:
        entry = file.create_group("1.1")
        entry["title"] = "fscan phi"
        camera = entry.create_dataset(
            "instrument/pco_ff/image",
            data=np.clip(np.rint(counts), 0, 65535).astype("uint16"),
            chunks=(1, ROWS, COLUMNS),
            compression="gzip",
        )
        entry["instrument/phi/value"] = np.degrees(PHI)
        entry["instrument/phi/value"].attrs["units"] = "deg"
        entry["measurement/pco_ff"] = h5py.SoftLink(camera.name)


if __name__ == "__main__":
    main(sys.argv[1])
