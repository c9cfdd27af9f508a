"""Compiled loops over the samples of a block: how far averages over slices may be off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled, inlined

BENT = 0.5
"""Step of q that may hide behind a second difference of one of its components.

A ray that passes a core closely may find all of one component between two samples; the others then
change all the more.
"""

REGULAR = 2.0
"""Step of q, in widths of the acceptance's edge, up to which it is taken as linear in a slice."""

MARGIN = 1.5
"""How many times the step of q that is seen may be within a slice."""

SPREAD = 0.55
"""Error of a lattice of n samples, relative to the step of the intensity in it, over n^(3/4)."""

UNSEEN = 0.1
"""Error of a lattice of n samples near a core, relative to all intensity, over n: some may hide."""

SMOOTHER = 0.5
"""How much less it is where q takes small steps from one to the next."""

BY_OTHERS = 0.25
"""Share of the light that changes with a step of q_roll or q_2θ by 1, squared."""

CROSSED = 0.3
"""Error of a single sample, relative to the change of the intensity in its slice."""

ALIKE, SLICES_ALIKE = 0.05, 0.6
"""Share of the errors of a pixel's slices that is of one sign: of lattices, of single samples.

The middles of neighbouring slices are off in the same way by what is bent across the pixel.
"""

STEEPEST = 1e6
"""Largest step that is told: from what diffracts to what does not there is no finite one."""


_BITS_OF_ONE, _PER_DOUBLING = 0x3F800000, 2.0**-23
_MOST_RATED = 24


@compiled
def steps_along_rays(
    q: Floats, scales: Floats, pixels: Ints, steps: Floats32, middles: Floats
) -> None:
    """Largest change of q from a sample of a ray to the next; and q of all pixels in one array.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    scales : (3,) ndarray
        Change of each component that counts as 1.
    pixels : (n,) ndarray of int64
        The first n ≤ width pixels of the block.
    steps : (pixels of the image,) ndarray of float32
        Filled in at `pixels`.
    middles : (3, samples, pixels of the image) ndarray
        Filled in at `pixels`.
    """
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    largest = np.zeros(q.shape[2])
    for k in range(q.shape[1] - 1):
        q1, q2, q3 = q[0, k], q[1, k], q[2, k]
        n1, n2, n3 = q[0, k + 1], q[1, k + 1], q[2, k + 1]
        for p in range(largest.size):
            step = abs(n1[p] - q1[p]) * rock + abs(n2[p] - q2[p]) * roll
            largest[p] = max(largest[p], step + abs(n3[p] - q3[p]) * two_theta)
        if k > 0:
            for c in range(3):
                before, here, after = q[c, k - 1], q[c, k], q[c, k + 1]
                for p in range(largest.size):
                    bend = BENT * rock * abs(after[p] - 2.0 * here[p] + before[p])
                    largest[p] = max(largest[p], bend)
    for p in range(pixels.size):
        steps[pixels[p]] = min(largest[p], STEEPEST)
    for c in range(3):
        for k in range(q.shape[1]):
            here, row = q[c, k], middles[c, k]
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
    change = np.empty(count, np.float32)
    for k in range(middles.shape[1]):
        q1, q2, q3 = middles[0, k], middles[1, k], middles[2, k]
        for axis in range(2):
            apart, row = columns if axis == 0 else 1, steps[axis, k]
            for p in range(count - apart):
                n = p + apart
                step = abs(q1[n] - q1[p]) * rock + abs(q2[n] - q2[p]) * roll
                change[p] = min(step + abs(q3[n] - q3[p]) * two_theta, STEEPEST)
            if axis == 1:
                for p in range(columns - 1, count - 1, columns):
                    change[p] = 0.0
            for p in range(count - apart):
                row[p] = change[p]
            for p in range(count - apart):
                row[p + apart] = max(row[p + apart], change[p])


@inlined
def _step(q: Floats, k: int, n: int, p: int, scales: Floats) -> float:
    """Change of q from one sample to another."""
    step = abs(q[0, n, p] - q[0, k, p]) / scales[0] + abs(q[1, n, p] - q[1, k, p]) / scales[1]
    step += abs(q[2, n, p] - q[2, k, p]) / scales[2]
    return step  # type: ignore[no-any-return]


@inlined
def _bend(q: Floats, k: int, p: int) -> float:
    """Largest second difference of a component of q, about a sample of a ray."""
    bend = abs(q[0, k + 1, p] - 2.0 * q[0, k, p] + q[0, k - 1, p])
    bend = max(bend, abs(q[1, k + 1, p] - 2.0 * q[1, k, p] + q[1, k - 1, p]))
    bend = max(bend, abs(q[2, k + 1, p] - 2.0 * q[2, k, p] + q[2, k - 1, p]))
    return bend  # type: ignore[no-any-return]


@inlined
def _looked_up(table: Floats, grid: tuple[float, float, float], q: float, step: float) -> float:
    """Value of a table at a middle q_rock' and a step, in scales; see :class:`.Edges`."""
    first, density, finest = grid
    # Steps double from row to row; below the first one values fall with the square of the step.
    # The bits of a number are nearly its logarithm, and a library's takes longer than all the rest.
    bits = np.float32(max(step / finest, 1.0)).view(np.int32)
    row = min((bits - _BITS_OF_ONE) * _PER_DOUBLING, table.shape[0] - 1.001)
    at = (q - first) * density
    inside = 0.0 < at < table.shape[1] - 1.001
    at = at if inside else 0.0
    a, b = int(row), int(at)
    x, y = row - a, at - b
    low = (1.0 - y) * table[a, b] + y * table[a, b + 1]
    high = (1.0 - y) * table[a + 1, b] + y * table[a + 1, b + 1]
    value = ((1.0 - x) * low + x * high) * min(1.0, (step / finest) ** 2)
    return value if inside else 0.0


@inlined
def _nearest(table: Floats, grid: tuple[float, float, float], q: float) -> float:
    """Value of the first row of a table at q_rock'; 0 outside."""
    at = (q - grid[0]) * grid[1]
    inside = 0.0 < at < table.shape[1] - 1.0
    return table[0, int(at + 0.5) if inside else 0] if inside else 0.0


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
    wildness: Floats32,
    errors: Floats32,
) -> None:
    """How far the slices of whole pixels may be off, each with one sample.

    Parameters
    ----------
    q : (3, slices, width) ndarray
        Imaging frame.
    weights : (slices,) ndarray
        Of the samples.
    runs : int
        Slices come in this many runs along the ray, one for each sub-pixel.
    scales
        As for :func:`steps_along_rays`.
    bent, change, grid
        See :class:`~weakbeam.imaging.edges.Edges`.
    shape : (3,) ndarray
        Length of a slice along rows and columns relative to that along the ray, in the crystal;
        and 1, or 0 for edges that are not cut.
    wild : (3,) ndarray
        Step of q along each edge from which a defect may be within the slice.
    unknown : float
        Change of the intensity in such a slice.
    pixels : (n,) ndarray of int64
        The first n ≤ width pixels of the block.
    across : (2, depths, pixels of the image) ndarray of float32
        Change of q across a sub-pixel, along rows and columns, at some depths.
    nearest : (slices of a run,) ndarray of int64
        Which of those depths each slice is nearest to.
    steps : (n, slices) ndarray of float32
        Filled in: change of q along all edges of a slice.
    wildness : (n, slices) ndarray of float32
        Filled in: the largest relative to `wild`.
    errors : (n, slices) ndarray of float32
        Filled in.
    """
    depths, width = q.shape[1] // runs, pixels.size
    step, rock = np.zeros(width), np.zeros(width)
    for k in range(q.shape[1]):
        step[:] = 0.0
        rock[:] = 0.0
        start = k - k % depths
        for n in range(max(k - 1, start), min(k + 2, start + depths)):
            if n == k:
                continue
            for p in range(width):
                step[p] = max(step[p], _step(q, k, n, p, scales))
                rock[p] = max(rock[p], abs(q[0, n, p] - q[0, k, p]) / scales[0])
        for n in range(max(k - 1, start + 1), min(k + 2, start + depths - 1)):
            for p in range(width):
                step[p] = max(step[p], BENT / scales[0] * _bend(q, n, p))
        for p in range(width):
            whole, squares, wildest = 0.0, 0.0, 0.0
            for axis in range(3):
                # Across the ray it may change as along it, or as to the next pixel.
                along, of_rock = step[p] * shape[axis], rock[p] * shape[axis]
                if axis < 2:
                    seen = across[axis, nearest[k - start], pixels[p]]
                    along, of_rock = max(along, seen), max(of_rock, seen)
                whole += along
                squares += of_rock * of_rock
                wildest = max(wildest, along / wild[axis])
            middle = q[0, k, p]
            if wildest > 1.0:
                error = CROSSED * max(unknown, _looked_up(change, grid, middle, MARGIN * whole))
            elif whole > REGULAR:
                error = CROSSED * _looked_up(change, grid, middle, MARGIN * whole)
            else:
                error = _looked_up(bent, grid, middle, np.sqrt(squares))
            steps[p, k] = min(whole, STEEPEST)
            wildness[p, k] = min(wildest, STEEPEST)
            errors[p, k] = weights[k] * error


@compiled
def rate_lattices(
    q: Floats,
    weights: Floats,
    scales: Floats,
    varied: Floats,
    ended: Floats,
    grid: tuple[float, float, float],
    unknown: float,
    expected: Floats,
    calm: Floats,
    steps: Floats32,
    errors: Floats32,
) -> None:
    """How far slices or cells may be off whose samples lie on a lattice.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    scales, grid, unknown
        As for :func:`rate_slices`.
    weights : (n,) ndarray
        Of the first n ≤ width members.
    varied, ended : (n, m) and (1, m) ndarray
        See :class:`~weakbeam.imaging.edges.Edges`.
    expected : (n,) ndarray
        Change of q within each that was expected.
    calm : (n,) ndarray
        Up to which there is no defect in it.
    steps : (n,) ndarray of float32
        Filled in: change of q within each.
    errors : (n,) ndarray of float32
        Filled in.
    """
    samples, count = q.shape[1], weights.size
    total, most, largest = np.zeros(count), np.zeros(count), np.zeros(count)
    apart_by = max(1, samples // _MOST_RATED)
    rated = samples // apart_by
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    for k in range(samples - 1):
        q1, q2, q3, n1, n2, n3 = q[0, k], q[1, k], q[2, k], q[0, k + 1], q[1, k + 1], q[2, k + 1]
        for p in range(count):
            step = abs(n1[p] - q1[p]) * rock + abs(n2[p] - q2[p]) * roll
            largest[p] = max(largest[p], step + abs(n3[p] - q3[p]) * two_theta)
    for k in range(0, rated * apart_by, apart_by):
        n = (k + apart_by) % (rated * apart_by)
        for p in range(count):
            low, high = min(q[0, n, p], q[0, k, p]), max(q[0, n, p], q[0, k, p])
            step, middle = (high - low) * rock, 0.5 * (low + high)
            other = abs(q[1, n, p] - q[1, k, p]) * roll + abs(q[2, n, p] - q[2, k, p]) * two_theta
            square = _looked_up(varied, grid, middle, step + other)
            square = max(square, _looked_up(varied, grid, middle, step))
            # What enters or leaves by the other components, or where nothing diffracts.
            share = min(1.0, BY_OTHERS * other * other)
            square = max(
                square, share * max(_nearest(ended, grid, low), _nearest(ended, grid, high))
            )
            total[p] += square
            most[p] = max(most[p], square)
    shrunk = SPREAD**2 * samples**-1.5
    for p in range(count):
        seen = max(expected[p], min(largest[p], STEEPEST))
        resolved = min(1.0, SMOOTHER * seen / np.sqrt(samples))
        # A lit part of the slice, with an edge; or one so small that its samples count as chance.
        error = resolved * np.sqrt(min(shrunk * most[p], total[p] / (rated * samples)))
        if seen > calm[p] * np.sqrt(samples):
            error = max(error, UNSEEN * unknown / samples)
        steps[p] = seen
        errors[p] = weights[p] * error


@compiled
def listed(
    errors: Floats32, levels: NDArray[np.int8], least: float, pixels: Ints, sizes: Floats
) -> int:
    """Errors that are more than some.

    Parameters
    ----------
    errors : (pixels, slices) ndarray of float32
        Of each slice.
    levels : (pixels, slices) ndarray of int8
        What it is cut to.
    least : float
        Smallest that is listed.
    pixels : (n,) ndarray of int64
        Filled in: of each that is listed; negative (from -1 on) for lattices.
    sizes : (n,) ndarray
        Filled in: its error.

    Returns
    -------
    int
        How many there are.
    """
    count = 0
    for p in range(errors.shape[0]):
        for k in range(errors.shape[1]):
            if errors[p, k] > least:
                pixels[count] = p if levels[p, k] == 0 else -1 - p
                sizes[count] = errors[p, k]
                count += 1
    return count


@compiled
def sum_of_squares(pixels: Ints, sizes: Floats, limit: float) -> float:
    """Sum of the squares of the errors of pixels, by slices with errors below a limit.

    Parameters
    ----------
    pixels, sizes : (n,) ndarray
        As :func:`listed` has them.
    limit : float
        Slices with larger errors are left out.
    """
    total, alike, last = 0.0, 0.0, -1
    for n in range(sizes.size):
        p, share = pixels[n], SLICES_ALIKE
        if p < 0:
            p, share = -1 - p, ALIKE
        if p != last:
            total += alike * alike
            alike, last = 0.0, p
        if sizes[n] < limit:
            total += sizes[n] * sizes[n]
            alike += share * sizes[n]
    return total + alike * alike


@compiled
def finer_levels(
    errors: Floats32,
    steps: Floats32,
    samples: Ints,
    cells: int,
    limit: float,
    levels: NDArray[np.int8],
    rows: Ints,
    slices: Ints,
    finer: NDArray[np.int8],
) -> tuple[int, int]:
    """How slices are to be cut whose errors are larger than a limit.

    Parameters
    ----------
    errors, steps, levels : (pixels, slices) ndarray
        As for :func:`rate_slices` and :func:`listed`.
    samples : (levels,) ndarray of int64
        Of a slice.
    cells : int
        The level of slices that no lattice does for: that of the finest, or another one that stands
        for cells.
    limit : float
        Largest error.
    rows, slices, finer : (n,) ndarray
        Filled in: the slices, and the level at which each is expected to be right.

    Returns
    -------
    count, more : int
        How many there are, and how many samples they are altogether.
    """
    count, more, finest = 0, 0, samples.size - 1
    spread, apart = samples**-0.75, samples**-0.5
    for p in range(errors.shape[0]):
        for k in range(errors.shape[1]):
            level = levels[p, k]
            if errors[p, k] < limit or level >= cells:
                continue
            error, step = errors[p, k], SMOOTHER * steps[p, k]
            if level == 0:
                error *= SPREAD / CROSSED
            else:
                error /= spread[level] * min(1.0, step * apart[level])
            while level <= finest:
                level += 1
                n = min(level, finest)
                if level <= finest and error * spread[n] * min(1.0, step * apart[n]) < limit:
                    break
            n = samples[min(level, finest)]
            if level > finest:
                level, n = cells, 8 * n if cells > finest else n
            rows[count], slices[count], finer[count] = p, k, level
            more += n
            count += 1
    return count, more
