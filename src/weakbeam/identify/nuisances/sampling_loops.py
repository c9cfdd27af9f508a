"""Compiled loops that read a stack of images between its amounts of tilt and between its pixels."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled, inlined


@inlined
def cubic(t: float) -> tuple[float, float, float, float, float, float, float, float]:
    """Weights of four neighbours by Keys' cubic convolution (a = -1/2), and their derivatives."""
    t2 = t * t
    t3 = t2 * t
    return (
        -0.5 * t + t2 - 0.5 * t3,
        1.0 - 2.5 * t2 + 1.5 * t3,
        0.5 * t + 2.0 * t2 - 1.5 * t3,
        -0.5 * t2 + 0.5 * t3,
        -0.5 + 2.0 * t - 1.5 * t2,
        -5.0 * t + 4.5 * t2,
        0.5 + 4.0 * t - 4.5 * t2,
        -t + 1.5 * t2,
    )


@compiled
def sample_stack(
    stack: Floats32, tilt: Floats, row: float, column: float, margin: int, out: Floats
) -> None:
    """Read a stack at a tilt of each pixel, the images being moved as a whole.

    Parameters
    ----------
    stack : (n, rows + 2 margin, columns + 2 margin) ndarray of float32
        Images at n evenly spaced tilts.
    tilt : (rows, columns) ndarray
        Of each pixel, in steps from the first image of the stack; at the first or last tilt beyond.
    row, column : float
        By how many pixels the images are moved; no further than the margin less 2.
    margin : int
        By how much the stack is larger on each side.
    out : (4, rows, columns) ndarray
        Filled in with the value and its derivatives with respect to tilt, row and column.
    """
    n = stack.shape[0]
    whole_row, whole_column = int(np.floor(-row)), int(np.floor(-column))
    a = cubic(-row - whole_row)
    b = cubic(-column - whole_column)
    for y in range(tilt.shape[0]):
        for x in range(tilt.shape[1]):
            t = tilt[y, x]
            inside = 1.0
            if t < 0.0:
                t, inside = 0.0, 0.0
            if t > n - 1.0:
                t, inside = n - 1.0, 0.0
            k = min(int(t), max(n - 2, 0))
            c = cubic(t - k)
            value, along, down, right = 0.0, 0.0, 0.0, 0.0
            for m in range(4):
                layer = min(max(k + m - 1, 0), n - 1)
                if n == 1 and m != 1:
                    continue
                total, slope_y, slope_x = 0.0, 0.0, 0.0
                for i in range(4):
                    r = y + margin + whole_row + i - 1
                    plain, sloped = 0.0, 0.0
                    for j in range(4):
                        s = stack[layer, r, x + margin + whole_column + j - 1]
                        plain += b[j] * s
                        sloped += b[4 + j] * s
                    total += a[i] * plain
                    slope_y += a[4 + i] * plain
                    slope_x += a[i] * sloped
                value += c[m] * total
                along += c[4 + m] * total
                down += c[m] * slope_y
                right += c[m] * slope_x
            out[0, y, x] = value
            out[1, y, x] = inside * along
            out[2, y, x] = -down
            out[3, y, x] = -right


@compiled
def sample_all(
    stack: Floats32,
    others: Floats32,
    tilt: Floats,
    away: Floats,
    row: float,
    column: float,
    margin: int,
    out: Floats,
) -> None:
    """Read a stack of images, and what changes them, at a tilt of each pixel.

    Parameters
    ----------
    stack : (n, rows + 2 margin, columns + 2 margin) ndarray of float32
        As of :func:`sample_stack`.
    others : (m, n, rows + 2 margin, columns + 2 margin) ndarray of float32
        Derivatives of the images with respect to m parameters.
    tilt : (rows, columns) ndarray
        As of :func:`sample_stack`.
    away : (m, rows, columns) ndarray
        By how much each parameter differs from where the images were computed.
    row, column, margin
        As of :func:`sample_stack`.
    out : (4 + m, rows, columns) ndarray
        Filled in with the value, of which the derivatives times `away` are a part; its derivatives
        with respect to tilt, row and column, without that part; and those of `others`.
    """
    n, m = stack.shape[0], others.shape[0]
    whole_row, whole_column = int(np.floor(-row)), int(np.floor(-column))
    sample_stack(stack, tilt, row, column, margin, out[:4])
    a = cubic(-row - whole_row)
    b = cubic(-column - whole_column)
    for y in range(tilt.shape[0]):
        for x in range(tilt.shape[1]):
            t = min(max(tilt[y, x], 0.0), n - 1.0)
            k = min(int(t), max(n - 2, 0))
            c = cubic(t - k)
            top, left = y + margin + whole_row - 1, x + margin + whole_column - 1
            for other in range(m):
                value = 0.0
                for layer in range(4):
                    if n == 1 and layer != 1:
                        continue
                    image = others[other, min(max(k + layer - 1, 0), n - 1)]
                    total = 0.0
                    for i in range(4):
                        part = 0.0
                        for j in range(4):
                            part += b[j] * image[top + i, left + j]
                        total += a[i] * part
                    value += c[layer] * total
                out[4 + other, y, x] = value
                out[0, y, x] += away[other, y, x] * value


@compiled
def block_means(
    images: Floats, good: Floats, row: int, column: int, factor: int, out: Floats, counted: Ints
) -> None:
    """Means of the pixels that count in blocks of factor by factor pixels.

    Parameters
    ----------
    images, good : (n, rows', columns') ndarray
        Images, and 1 for pixels that count, else 0.
    row, column : int
        First pixel of the first block.
    factor : int
        Edge of a block.
    out : (n, rows, columns) ndarray
        Filled in with the means; 0 where no pixel counts.
    counted : (n, rows, columns) ndarray of int
        Filled in with the number of pixels that count.
    """
    for k in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                total, number = 0.0, 0
                for i in range(factor):
                    for j in range(factor):
                        r, c = row + y * factor + i, column + x * factor + j
                        if good[k, r, c] > 0.0:
                            total += images[k, r, c]
                            number += 1
                out[k, y, x] = total / number if number else 0.0
                counted[k, y, x] = number
