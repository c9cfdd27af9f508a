"""Compiled loops over the cells of a block: q at their samples, and how far these may be off."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled, inlined
from weakbeam.imaging.gradient_loops import NOWHERE, change_of_q

_TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""

BENT = 0.5
"""Step of q that may hide behind a second difference of one of its components.

A ray that passes a core closely may find all of one component between two samples; the others then
change all the more.
"""

REGULAR = 2.0
"""Step of q, in widths of the acceptance's edge, up to which it is taken as linear in a cell."""

MARGIN = 1.5
"""How many times the step of q that is seen may be within a cell."""

SPREAD = 0.5
"""Error of a lattice of n samples, relative to their standard deviation over n^(3/4)."""

SMOOTHER = 0.5
"""How much less it is where q takes small steps from one to the next."""

CROSSED = 0.3
"""Error of a single sample, relative to the change of the intensity in its cell."""


@compiled
def points_of_cells(
    centres: Floats,
    axes: Floats,
    pixels: Ints,
    middles: Floats,
    sizes: Floats,
    offsets: Floats,
    points: Floats,
) -> None:
    """Sampling points of cells.

    Parameters
    ----------
    centres : (3, pixels of the image) ndarray
        Where each pixel looks at height 0 (µm, sample frame).
    axes : (3, 3) ndarray
        Rows: steps along rows, columns and height (sample frame).
    pixels, middles, sizes
        The cells; see :class:`~weakbeam.imaging.sampling.Cells`.
    offsets : (samples, 3) ndarray
        Where the samples of a cell are, in its sizes.
    points : (3, samples, width) ndarray
        Filled in.
    """
    m0, m1, m2 = middles[0], middles[1], middles[2]
    s0, s1, s2 = sizes[0], sizes[1], sizes[2]
    here = np.empty(pixels.size)
    for c in range(3):
        a, b, d = axes[0, c], axes[1, c], axes[2, c]
        seen = centres[c]
        for p in range(here.size):
            here[p] = seen[pixels[p]] + a * m0[p] + b * m1[p] + d * m2[p]
        for k in range(offsets.shape[0]):
            e, f, g = offsets[k, 0] * a, offsets[k, 1] * b, offsets[k, 2] * d
            row = points[c, k]
            for p in range(here.size):
                row[p] = here[p] + e * s0[p] + f * s1[p] + g * s2[p]


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
    centres : (3, n) ndarray
        Points (µm, sample frame).
    pixels : (width,) ndarray of int64
        The point that each member of the block is about.
    offsets : (m, 3) ndarray
        Displacements, in a list.
    first : (width,) ndarray of int64
        The displacement of each member's first sample; the others follow.
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


@inlined
def _bend(q: Floats, k: int, p: int) -> float:
    """Largest second difference of a component of q, about a sample of a ray."""
    bend = abs(q[0, k + 1, p] - 2.0 * q[0, k, p] + q[0, k - 1, p])
    bend = max(bend, abs(q[1, k + 1, p] - 2.0 * q[1, k, p] + q[1, k - 1, p]))
    bend = max(bend, abs(q[2, k + 1, p] - 2.0 * q[2, k, p] + q[2, k - 1, p]))
    return bend  # type: ignore[no-any-return]


@compiled
def steps_along_rays(
    q: Floats, runs: int, scales: Floats, pixels: Ints, steps: Floats32, middles: Floats
) -> None:
    """Largest change of q from a sample of a ray to the next, and q along the middle of each pixel.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    runs : int
        Samples come in this many runs along the ray, one for each sub-pixel.
    scales : (3,) ndarray
        Change of each component that counts as 1.
    pixels : (n,) ndarray of int64
        The first n ≤ width pixels of the block.
    steps : (pixels of the image,) ndarray of float32
        Filled in at `pixels`.
    middles : (3, samples, pixels of the image) ndarray
        Filled in at `pixels`, with samples of the run in the middle.
    """
    samples = q.shape[1] // runs
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    largest = np.zeros(q.shape[2])
    for start in range(0, q.shape[1], samples):
        for k in range(start, start + samples - 1):
            q1, q2, q3 = q[0, k], q[1, k], q[2, k]
            n1, n2, n3 = q[0, k + 1], q[1, k + 1], q[2, k + 1]
            for p in range(largest.size):
                step = abs(n1[p] - q1[p]) * rock + abs(n2[p] - q2[p]) * roll
                largest[p] = max(largest[p], step + abs(n3[p] - q3[p]) * two_theta)
            if k > start:
                for c in range(3):
                    before, here, after = q[c, k - 1], q[c, k], q[c, k + 1]
                    for p in range(largest.size):
                        bend = BENT * rock * abs(after[p] - 2.0 * here[p] + before[p])
                        largest[p] = max(largest[p], bend)
    first = (runs // 2) * samples
    for p in range(pixels.size):
        steps[pixels[p]] = largest[p]
    for c in range(3):
        for k in range(samples):
            here, row = q[c, first + k], middles[c, k]
            for p in range(pixels.size):
                row[pixels[p]] = here[p]


@compiled
def steps_across(middles: Floats, columns: int, scales: Floats, steps: Floats32) -> None:
    """Largest change of q from a pixel to the next along rows, and along columns.

    Parameters
    ----------
    middles : (3, samples, pixels of the image) ndarray
        q along the middle of each pixel.
    columns : int
        Of the image.
    scales
        As for :func:`steps_along_rays`.
    steps : (2, samples, pixels of the image) ndarray of float32
        Filled in: to the pixels in the next rows, and columns.
    """
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    steps[:] = 0.0
    count = middles.shape[2]
    for k in range(middles.shape[1]):
        q1, q2, q3 = middles[0, k], middles[1, k], middles[2, k]
        for axis in range(2):
            apart, row = columns if axis == 0 else 1, steps[axis, k]
            for p in range(count - apart):
                n = p + apart
                step = abs(q1[n] - q1[p]) * rock + abs(q2[n] - q2[p]) * roll
                step = step + abs(q3[n] - q3[p]) * two_theta
                if axis == 1 and n % columns == 0:
                    step = 0.0
                row[p] = max(row[p], np.float32(step))
                row[n] = np.float32(step)


@inlined
def _step(q: Floats, k: int, n: int, p: int, scales: Floats) -> float:
    """Change of q from one sample of a cell to another."""
    step = abs(q[0, n, p] - q[0, k, p]) / scales[0] + abs(q[1, n, p] - q[1, k, p]) / scales[1]
    step += abs(q[2, n, p] - q[2, k, p]) / scales[2]
    return step  # type: ignore[no-any-return]


@inlined
def _looked_up(table: Floats, grid: tuple[float, float, float], q: float, step: float) -> float:
    """Value of a table at a middle q_rock' and a step, in scales; see :class:`Edges`."""
    first, density, finest = grid
    # Steps double from row to row; below the first one values fall with the square of the step.
    row = min(max(np.log2(max(step, 1e-9) / finest), 0.0), table.shape[0] - 1.001)
    at = (q - first) * density
    inside = 0.0 < at < table.shape[1] - 1.001
    at = at if inside else 0.0
    a, b = int(row), int(at)
    x, y = row - a, at - b
    low = (1.0 - y) * table[a, b] + y * table[a, b + 1]
    high = (1.0 - y) * table[a + 1, b] + y * table[a + 1, b + 1]
    value = ((1.0 - x) * low + x * high) * min(1.0, (step / finest) ** 2)
    return value if inside else 0.0


@compiled
def sum_of_squares(
    pixels: Ints, errors: Floats, alike: Floats, limit: float, sums: Floats
) -> float:
    """Sum of the squares of the errors of pixels.

    Parameters
    ----------
    pixels, errors : (n,) ndarray
        Pixel and error of each cell.
    alike : (n,) ndarray
        Share of it that is of one sign with others of the pixel.
    limit : float
        Cells with larger errors are left out.
    sums : (pixels of the image,) ndarray
        Zeros; scratch.
    """
    total = 0.0
    for n in range(errors.size):
        if errors[n] < limit:
            total += errors[n] * errors[n]
            sums[pixels[n]] += alike[n] * errors[n]
    for p in range(sums.size):
        total += sums[p] * sums[p]
    return total


@compiled
def rate_slices(
    q: Floats,
    weights: Floats,
    runs: int,
    scales: Floats,
    bent: Floats,
    change: Floats,
    grid: tuple[float, float, float],
    shape: Floats,
    wild: Floats,
    unknown: float,
    pixels: Ints,
    across: Floats32,
    nearest: Ints,
    steps: Floats32,
    errors: Floats32,
) -> None:
    """How far the slices of whole rays may be off, each with one sample.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    weights : (samples, width) ndarray
        Of the samples.
    runs, scales
        As for :func:`steps_along_rays`.
    bent, change, grid
        See :class:`~weakbeam.imaging.edges.Edges`.
    shape : (3,) ndarray
        Length of a cell along rows and columns relative to that along the ray, in the crystal;
        and 1, or 0 for edges that are not cut.
    wild : (3,) ndarray
        Step of q along each edge from which a defect may be within the cell.
    unknown : float
        Change of the intensity in such a cell.
    pixels : (width,) ndarray of int64
        Of the rays.
    across : (2, n, pixels of the image) ndarray of float32
        Change of q across a sub-pixel, along rows and columns, at some depths.
    nearest : (samples of a run,) ndarray of int64
        Which of those depths each sample is nearest to.
    steps : (3, samples, width) ndarray of float32
        Filled in: change of q along each edge of a cell.
    errors : (samples, width) ndarray of float32
        Filled in.
    """
    samples, width = q.shape[1] // runs, q.shape[2]
    step, rock = np.zeros(width), np.zeros(width)
    for start in range(0, q.shape[1], samples):
        for k in range(start, start + samples):
            step[:] = 0.0
            rock[:] = 0.0
            for n in range(max(k - 1, start), min(k + 2, start + samples)):
                if n == k:
                    continue
                for p in range(width):
                    step[p] = max(step[p], _step(q, k, n, p, scales))
                    rock[p] = max(rock[p], abs(q[0, n, p] - q[0, k, p]) / scales[0])
            for n in range(max(k - 1, start + 1), min(k + 2, start + samples - 1)):
                for p in range(width):
                    step[p] = max(step[p], BENT / scales[0] * _bend(q, n, p))
            for p in range(width):
                whole, squares, is_wild = 0.0, 0.0, False
                for axis in range(3):
                    # Across the ray it may change as along it, or as to the next pixel.
                    along, of_rock = step[p] * shape[axis], rock[p] * shape[axis]
                    if axis < 2 and shape[axis] > 0.0:
                        seen = across[axis, nearest[k - start], pixels[p]]
                        along, of_rock = max(along, seen), max(of_rock, seen)
                    steps[axis, k, p] = along
                    whole += along
                    squares += of_rock * of_rock
                    is_wild = is_wild or along > wild[axis]
                middle = q[0, k, p]
                if is_wild:
                    error = CROSSED * max(unknown, _looked_up(change, grid, middle, MARGIN * whole))
                elif whole > REGULAR:
                    error = CROSSED * _looked_up(change, grid, middle, MARGIN * whole)
                else:
                    error = _looked_up(bent, grid, middle, np.sqrt(squares))
                errors[k, p] = weights[k, p] * error


@compiled
def rate_lattices(
    q: Floats,
    weights: Floats,
    scales: Floats,
    varied: Floats,
    grid: tuple[float, float, float],
    before: Floats32,
    wild: Floats,
    unknown: float,
    steps: Floats32,
    errors: Floats32,
) -> None:
    """How far cells may be off whose samples lie on a lattice.

    Parameters
    ----------
    q, scales, grid, unknown
        As for :func:`rate_slices`.
    weights : (width,) ndarray
        Of the cells.
    varied : (n, m) ndarray
        See :class:`~weakbeam.imaging.edges.Edges`.
    before : (3, width) ndarray of float32
        Change of q along each edge that was expected.
    wild : (3, width) ndarray
        Step of q along each edge from which a defect may be within a cell.
    steps : (3, width) ndarray of float32
        Filled in: change of q along each edge.
    errors : (width,) ndarray of float32
        Filled in.
    """
    samples, width = q.shape[1], q.shape[2]
    scale = scales[0]
    total, largest = np.zeros(width), np.zeros(width)
    for k in range(samples):
        n = (k + 1) % samples
        for p in range(width):
            largest[p] = max(largest[p], _step(q, k, n, p, scales))
            middle = 0.5 * (q[0, n, p] + q[0, k, p])
            apart = abs(q[0, n, p] - q[0, k, p]) / scale
            total[p] += _looked_up(varied, grid, middle, apart)
    shrunk = samples**-0.75
    for p in range(width):
        expected = before[0, p] + before[1, p] + before[2, p]
        more = max(1.0, largest[p] / max(expected, 1e-30))
        is_wild = False
        for axis in range(3):
            steps[axis, p] = min(before[axis, p] * more, 1e30)
            is_wild = is_wild or steps[axis, p] > wild[axis, p]
        resolved = min(1.0, SMOOTHER * max(expected, largest[p]) / np.sqrt(samples))
        error = SPREAD * shrunk * resolved * np.sqrt(total[p] / samples)
        if is_wild:
            error = max(error, CROSSED * unknown / samples)
        errors[p] = weights[p] * error
