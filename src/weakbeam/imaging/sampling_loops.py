"""Compiled loops over the rays of a block: its samples, q at them, and how fast q varies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled
from weakbeam.imaging.gradient_loops import NOWHERE, change_of_q

_TILE = 256
"""Rays at once: what compiled loops keep of them fits in the fastest memory."""

STEEPEST = 64.0
"""Largest step that is told: from what diffracts to what does not there is no finite one, and the
finest grid, 64 times as fine, is enough for any."""


@compiled
def block_points(
    centres: Floats, pixels: Ints, offsets: Floats, first: Ints, points: Floats
) -> None:
    """Sampling points of a block.

    Parameters
    ----------
    centres : (3, pixels of the image) ndarray
        Where each pixel looks at height 0 (µm, sample frame).
    pixels : (width,) ndarray of int64
        The pixel of each ray.
    offsets : (n, 3) ndarray
        Displacements of a pixel's samples.
    first : (width,) ndarray of int64
        The displacement of each ray's first sample.
    points : (3, samples, width) ndarray
        Filled in.
    """
    for c in range(3):
        for k in range(points.shape[1]):
            row = points[c, k]
            for p in range(row.size):
                row[p] = centres[c, pixels[p]] + offsets[first[p] + k, c]


@compiled
def weights_of_slices(
    weights: Floats,
    levels: NDArray[np.int8],
    level: int,
    samples: int,
    pixels: Ints,
    first: Ints,
    chosen: Floats,
) -> None:
    """Weights of the samples of a block.

    Parameters
    ----------
    weights : (n,) ndarray
        Weight of each sample of a pixel.
    levels : (slices, pixels of the image) ndarray of int8
        What each slice of each pixel is cut to.
    level : int
        That of the block, whose slices have no weight where they are cut otherwise; less than 0 for
        pixels that are not cut into slices.
    samples : int
        Of a slice.
    pixels : (width,) ndarray of int64
        The pixel of each member.
    first : (width,) ndarray of int64
        The first sample of each member.
    chosen : (samples, width) ndarray
        Filled in.
    """
    for k in range(chosen.shape[0]):
        row = chosen[k]
        for p in range(row.size):
            row[p] = weights[first[p] + k]
    if level < 0:
        return
    for p in range(pixels.size):
        if levels[first[p] // samples, pixels[p]] != level:
            for k in range(chosen.shape[0]):
                chosen[k, p] = 0.0


@compiled
def weights_of_uncut(
    weights: Floats, levels: NDArray[np.int8], pixels: Ints, chosen: Floats
) -> None:
    """Weights of the slices of whole rays; none for those that are cut.

    Parameters
    ----------
    weights : (slices,) ndarray
        Weight of each slice.
    levels : (slices, pixels of the image) ndarray of int8
        0 where a slice is not cut.
    pixels : (width,) ndarray of int64
        The pixel of each ray.
    chosen : (slices, width) ndarray
        Filled in.
    """
    for k in range(weights.size):
        row, level = chosen[k], levels[k]
        for p in range(pixels.size):
            row[p] = weights[k] if level[pixels[p]] == 0 else 0.0


@compiled
def weights_of_cells(
    weights: Floats, first: Ints, whole: NDArray[np.bool_], chosen: Floats
) -> None:
    """Weights of the samples of cells; none for those that are halved.

    Parameters
    ----------
    weights : (n,) ndarray
        Weight of each sample, by the height of a cell.
    first : (width,) ndarray of int64
        The first sample of each cell.
    whole : (width,) ndarray of bool
        Whether each is not halved.
    chosen : (samples, width) ndarray
        Filled in.
    """
    for k in range(chosen.shape[0]):
        row = chosen[k]
        for p in range(row.size):
            row[p] = weights[first[p] + k] if whole[p] else 0.0


@compiled
def _dot(a: Floats, b: Floats) -> float:
    product: float = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


@compiled
def _alike(numbers: Ints) -> bool:
    """Whether all are equal."""
    other = 0
    for number in numbers:
        other += int(number != numbers[0])
    return other == 0


@compiled
def q_of_line(
    centres: Floats,
    pixels: Ints,
    offsets: Floats,
    first: Ints,
    across: Floats,
    core_squared: float,
    matrices: Floats,
    q0: Floats,
    rotation: Floats,
    q: Floats,
) -> None:
    r"""Change of the diffraction vector near a single straight dislocation.

    Parameters
    ----------
    centres, pixels, offsets, first, q0, rotation, q
        As for :func:`q_of_lines`.
    across, core_squared, matrices
        The row of the line in what :func:`q_of_lines` takes.

    Notes
    -----
    Nothing changes along a line: β = C Uᵀ, where U has the two unit vectors across it as columns
    and C what β takes them to. Then F⁻ᵀ βᵀ q̂₀ = U (1 + CᵀU)⁻¹ Cᵀ q̂₀ and det F = det(1 + CᵀU): six
    components of β instead of nine, and a matrix of two rows to invert. In the frame of the line
    xx, yy and zx are made of the functions with the symmetry of y, the others of those with that
    of x.
    """
    ux0, ux1, ux2, u0 = across[0, 0], across[0, 1], across[0, 2], across[0, 3]
    uy0, uy1, uy2, v0 = across[1, 0], across[1, 1], across[1, 2], across[1, 3]
    axes = np.empty((3, 3))
    for c in range(3):
        axes[0, c], axes[1, c] = across[0, c], across[1, c]
    for c in range(3):
        axes[2, c] = axes[0, c - 2] * axes[1, c - 1] - axes[0, c - 1] * axes[1, c - 2]
    # Components xx, xy, yx, yy, zx, zy of the six matrices in the frame of the line.
    part = np.zeros((6, 6))
    for f in range(6):
        for k in range(6):
            left, right = axes[k // 2], axes[k % 2]
            for i in range(3):
                for j in range(3):
                    part[k, f] += left[i] * matrices[f, 3 * i + j] * right[j]
    xx0, xx2, xx4 = part[0, 0], part[0, 2], part[0, 4]
    xy1, xy3, xy5 = part[1, 1], part[1, 3], part[1, 5]
    yx1, yx3, yx5 = part[2, 1], part[2, 3], part[2, 5]
    yy0, yy2, yy4 = part[3, 0], part[3, 2], part[3, 4]
    zx0, zx2, zx4 = part[4, 0], part[4, 2], part[4, 4]
    zy1, zy3, zy5 = part[5, 1], part[5, 3], part[5, 5]
    qx, qy, qz = _dot(axes[0], q0), _dot(axes[1], q0), _dot(axes[2], q0)
    rx0, rx1, rx2 = (
        -_dot(rotation[0], axes[0]),
        -_dot(rotation[1], axes[0]),
        -_dot(rotation[2], axes[0]),
    )
    ry0, ry1, ry2 = (
        -_dot(rotation[0], axes[1]),
        -_dot(rotation[1], axes[1]),
        -_dot(rotation[2], axes[1]),
    )
    along_x, along_y = np.empty(len(offsets)), np.empty(len(offsets))
    for n in range(len(offsets)):
        along_x[n], along_y[n] = _dot(axes[0], offsets[n]), _dot(axes[1], offsets[n])
    here_x, here_y, begin = np.empty(_TILE), np.empty(_TILE), np.empty(_TILE, np.int64)
    xs, ys, out = np.empty(_TILE), np.empty(_TILE), np.empty((3, _TILE))
    for start in range(0, pixels.size, _TILE):
        count = min(_TILE, pixels.size - start)
        for p in range(count):
            n = pixels[start + p]
            px, py, pz = centres[0, n], centres[1, n], centres[2, n]
            here_x[p] = ux0 * px + ux1 * py + ux2 * pz + u0
            here_y[p] = uy0 * px + uy1 * py + uy2 * pz + v0
            begin[p] = first[start + p]
        alike = _alike(begin[:count])
        for k in range(q.shape[1]):
            if alike:
                # Without gathering, which takes longer than the field.
                x_k, y_k = along_x[begin[0] + k], along_y[begin[0] + k]
                for p in range(count):
                    xs[p], ys[p] = here_x[p] + x_k, here_y[p] + y_k
            else:
                for p in range(count):
                    n = begin[p] + k
                    xs[p], ys[p] = here_x[p] + along_x[n], here_y[p] + along_y[n]
            for p in range(count):
                x, y = xs[p], ys[p]
                inverse = 1.0 / (x * x + y * y + core_squared)
                f0, f1 = y * inverse, x * inverse
                t, a = 2.0 * x * f1, core_squared * inverse
                f2, f3, f4, f5 = f0 * t, f1 * t, f0 * a, f1 * a
                xx = xx0 * f0 + xx2 * f2 + xx4 * f4
                xy = xy1 * f1 + xy3 * f3 + xy5 * f5
                yx = yx1 * f1 + yx3 * f3 + yx5 * f5
                yy = yy0 * f0 + yy2 * f2 + yy4 * f4
                zx = zx0 * f0 + zx2 * f2 + zx4 * f4
                zy = zy1 * f1 + zy3 * f3 + zy5 * f5
                by_x, by_y = qx * xx + qy * yx + qz * zx, qx * xy + qy * yy + qz * zy
                xx, yy = 1.0 + xx, 1.0 + yy
                det = xx * yy - xy * yx
                scale = 1.0 / det
                s, r = scale * (yy * by_x - yx * by_y), scale * (xx * by_y - xy * by_x)
                # Infinite or undefined components fail this comparison too.
                good = det > 0.0 and abs(s) + abs(r) < NOWHERE
                out[0, p] = rx0 * s + ry0 * r if good else NOWHERE
                out[1, p] = rx1 * s + ry1 * r if good else NOWHERE
                out[2, p] = rx2 * s + ry2 * r if good else NOWHERE
            for i in range(3):
                row = q[i, k, start : start + count]
                for p in range(count):
                    row[p] = out[i, p]


@compiled
def q_of_lines(
    centres: Floats,
    pixels: Ints,
    offsets: Floats,
    first: Ints,
    across: Floats,
    core_squared: Floats,
    matrices: Floats,
    q0: Floats,
    rotation: Floats,
    q: Floats,
) -> None:
    """Change of the diffraction vector near straight dislocations, at the samples of a block.

    Parameters
    ----------
    centres, pixels, offsets, first
        As for :func:`block_points`.
    across, core_squared, matrices
        The lines; see :func:`~weakbeam.defects.straight.constants`.
    q0, rotation
        As for :func:`~weakbeam.imaging.gradient_loops.q_from_gradient`.
    q : (3, samples, width) ndarray
        Filled in.
    """
    if core_squared.size == 1:
        q_of_line(
            centres,
            pixels,
            offsets,
            first,
            across[0],
            core_squared[0],
            matrices[0],
            q0,
            rotation,
            q,
        )
        return
    lines = core_squared.size
    # In the frame of q, so that nothing has to be turned at the end.
    turned = np.zeros((lines, 6, 9))
    for i in range(lines):
        for f in range(6):
            half = np.zeros((3, 3))
            for m in range(3):
                for n in range(3):
                    for k in range(3):
                        half[m, n] += rotation[m, k] * matrices[i, f, 3 * k + n]
            for m in range(3):
                for n in range(3):
                    turned[i, f, 3 * m + n] = _dot(half[m], rotation[n])
    q0x, q0y, q0z = _dot(rotation[0], q0), _dot(rotation[1], q0), _dot(rotation[2], q0)
    along = np.empty((lines, 2, len(offsets)))
    for i in range(lines):
        for c in range(2):
            for n in range(len(offsets)):
                along[i, c, n] = _dot(across[i, c], offsets[n])
    here, begin = np.empty((lines, 2, _TILE)), np.empty(_TILE, np.int64)
    xs, ys, functions = np.empty(_TILE), np.empty(_TILE), np.empty((6, _TILE))
    b, out = np.empty((9, _TILE)), np.empty((3, _TILE))
    for start in range(0, pixels.size, _TILE):
        count = min(_TILE, pixels.size - start)
        for i in range(lines):
            for c in range(2):
                u0, u1, u2, u3 = across[i, c, 0], across[i, c, 1], across[i, c, 2], across[i, c, 3]
                for p in range(count):
                    n = pixels[start + p]
                    here[i, c, p] = (
                        u0 * centres[0, n] + u1 * centres[1, n] + u2 * centres[2, n] + u3
                    )
        for p in range(count):
            begin[p] = first[start + p]
        alike = _alike(begin[:count])
        for k in range(q.shape[1]):
            b[:] = 0.0
            for i in range(lines):
                if alike:
                    # Without gathering, which takes longer than the field.
                    x_k, y_k = along[i, 0, begin[0] + k], along[i, 1, begin[0] + k]
                    for p in range(count):
                        xs[p], ys[p] = here[i, 0, p] + x_k, here[i, 1, p] + y_k
                else:
                    for p in range(count):
                        n = begin[p] + k
                        xs[p], ys[p] = (
                            here[i, 0, p] + along[i, 0, n],
                            here[i, 1, p] + along[i, 1, n],
                        )
                a2 = core_squared[i]
                for p in range(count):
                    x, y = xs[p], ys[p]
                    inverse = 1.0 / (x * x + y * y + a2)
                    x_q, y_q = x * inverse, y * inverse
                    t, a = 2.0 * x * x_q, a2 * inverse
                    functions[0, p], functions[1, p] = y_q, x_q
                    functions[2, p], functions[3, p] = y_q * t, x_q * t
                    functions[4, p], functions[5, p] = y_q * a, x_q * a
                for c in range(0, 9, 3):
                    u0, u1, u2 = turned[i, 0, c], turned[i, 1, c], turned[i, 2, c]
                    u3, u4, u5 = turned[i, 3, c], turned[i, 4, c], turned[i, 5, c]
                    v0, v1, v2 = turned[i, 0, c + 1], turned[i, 1, c + 1], turned[i, 2, c + 1]
                    v3, v4, v5 = turned[i, 3, c + 1], turned[i, 4, c + 1], turned[i, 5, c + 1]
                    w0, w1, w2 = turned[i, 0, c + 2], turned[i, 1, c + 2], turned[i, 2, c + 2]
                    w3, w4, w5 = turned[i, 3, c + 2], turned[i, 4, c + 2], turned[i, 5, c + 2]
                    for p in range(count):
                        g0, g1, g2 = functions[0, p], functions[1, p], functions[2, p]
                        g3, g4, g5 = functions[3, p], functions[4, p], functions[5, p]
                        b[c, p] += u0 * g0 + u1 * g1 + u2 * g2 + u3 * g3 + u4 * g4 + u5 * g5
                        b[c + 1, p] += v0 * g0 + v1 * g1 + v2 * g2 + v3 * g3 + v4 * g4 + v5 * g5
                        b[c + 2, p] += w0 * g0 + w1 * g1 + w2 * g2 + w3 * g3 + w4 * g4 + w5 * g5
            for p in range(count):
                x_row, y_row = (b[0, p], b[1, p], b[2, p]), (b[3, p], b[4, p], b[5, p])
                z_row = b[6, p], b[7, p], b[8, p]
                x, y, z, good = change_of_q(x_row, y_row, z_row, q0x, q0y, q0z)
                out[0, p] = x if good else NOWHERE
                out[1, p] = y if good else NOWHERE
                out[2, p] = z if good else NOWHERE
            for i in range(3):
                row = q[i, k, start : start + count]
                for p in range(count):
                    row[p] = out[i, p]


@compiled
def steepest_steps(
    q: Floats, runs: int, scales: Floats, pixels: Ints, steps: Floats32, peaks: Floats32
) -> None:
    """Largest change of q from each sample of each pixel to its neighbours, and theirs to others.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    runs : int
        Samples come in this many runs along the ray, one for each sub-pixel.
    scales : (3,) ndarray
        Change of each component that counts as 1.
    pixels : (n,) ndarray of int64
        Where the first n ≤ width members of the block lie in the image.
    steps : (samples, pixels of the image) ndarray of float32
        Filled in at `pixels`.
    peaks : (pixels of the image,) ndarray of float32
        Filled in with the largest of each pixel.
    """
    samples = q.shape[1] // runs
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    step = np.empty(q.shape[2], np.float32)
    about = np.zeros(q.shape[1:], np.float32)
    highest = np.zeros(q.shape[2], np.float32)
    for start in range(0, q.shape[1], samples):
        for k in range(start, start + samples - 1):
            q1, q2, q3 = q[0, k], q[1, k], q[2, k]
            n1, n2, n3 = q[0, k + 1], q[1, k + 1], q[2, k + 1]
            for p in range(step.size):
                change = abs(n1[p] - q1[p]) * rock + abs(n2[p] - q2[p]) * roll
                step[p] = min(change + abs(n3[p] - q3[p]) * two_theta, STEEPEST)
            for n in range(max(k - 1, start), min(k + 2, start + samples - 1) + 1):
                row = about[n]
                for p in range(step.size):
                    row[p] = max(row[p], step[p])
            for p in range(step.size):
                highest[p] = max(highest[p], step[p])
    for k in range(q.shape[1]):
        row, all_of_image = about[k], steps[k]
        for p in range(pixels.size):
            all_of_image[pixels[p]] = row[p]
    for p in range(pixels.size):
        peaks[pixels[p]] = highest[p]
