"""Images of a library moved by fractions of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.observation import Bools

Shape = tuple[int, int]

_MARGIN = 2
"""Frame of a model that is not used: there it depends most on how it goes on outside."""

_FRAME = 12
"""Width of the frame by which a model is continued before its spline is made."""


class MovedModel:
    """A model's spline, evaluated on the pixels that count and those between them.

    Parameters
    ----------
    model : (conditions, rows', columns') ndarray
        Its images.
    image_shape : (int, int)
        Rows and columns of the images of the observation.
    good : (conditions, rows, columns) ndarray of bool
        Pixels that count.

    Raises
    ------
    ValueError
        If none does.
    """

    def __init__(self, model: Floats, image_shape: Shape, good: Bools) -> None:
        whole: Bools = np.asarray(good.any(axis=0))
        rows: Bools = np.asarray(whole.any(axis=1))
        columns: Bools = np.asarray(whole.any(axis=0))
        if not rows.any():
            raise ValueError("image and model share no pixel that counts")
        self.rows = slice(int(np.argmax(rows)), len(rows) - int(np.argmax(rows[::-1])))
        self.columns = slice(int(np.argmax(columns)), len(columns) - int(np.argmax(columns[::-1])))
        self.good: Bools = np.ascontiguousarray(good[:, self.rows, self.columns])
        self.shape = self.good.shape
        self._corner = _corner(image_shape, (model.shape[1], model.shape[2]), (0, 0))
        self._coefficients = np.stack([_spline(image) for image in model])

    def cut(self, values: Floats) -> Floats:
        """The part of images of the observation that is compared."""
        return values[:, self.rows, self.columns]

    def at(self, shift: ArrayLike) -> tuple[Floats, tuple[Floats, Floats]]:
        """The moved model and its derivatives with respect to the shift."""
        whole = np.floor(np.asarray(shift)).astype(int)
        first = [
            span.start - corner - int(n) + _FRAME
            for span, corner, n in zip((self.rows, self.columns), self._corner, whole, strict=True)
        ]
        fraction = np.asarray(shift, dtype=np.float64) - whole
        tall, wide = self.shape[1:]
        across, along = _weights(float(fraction[0])), _weights(float(fraction[1]))
        value, slope = (
            sum(
                w * self._coefficients[:, first[0] + j : first[0] + j + tall]
                for j, w in zip(range(-2, 2), weights, strict=True)
            )
            for weights in across
        )

        def columns(values: Floats, weights: Floats) -> Floats:
            total = sum(
                w * values[:, :, first[1] + j : first[1] + j + wide]
                for j, w in zip(range(-2, 2), weights, strict=True)
            )
            return np.asarray(total)

        light = columns(np.asarray(value), along[0])
        slopes = columns(np.asarray(slope), along[0]), columns(np.asarray(value), along[1])
        return light, slopes


def overlap(
    image_shape: Shape, model_shape: Shape, shift: Sequence[int], margin: int = _MARGIN
) -> Bools:
    """Pixels of an image that a moved model covers.

    Parameters
    ----------
    image_shape, model_shape : (int, int)
        Rows and columns; the middles lie on each other at shift 0.
    shift : (int, int)
        Rows and columns by which the model is moved.
    margin : int
        Width of the model's frame that is not used.

    Returns
    -------
    (rows, columns) ndarray of bool
    """
    covered = np.zeros(image_shape, np.bool_)
    spans = [
        slice(max(first + margin, 0), max(first + length - margin, 0))
        for first, length in zip(_corner(image_shape, model_shape, shift), model_shape, strict=True)
    ]
    covered[spans[0], spans[1]] = True
    return covered


def moved_image(model: ArrayLike, shape: Shape, shift: ArrayLike) -> Floats:
    """A model's images moved by a fraction of a pixel, NaN where it does not reach.

    Parameters
    ----------
    model : (conditions, rows', columns') array_like
        Its images.
    shape : (int, int)
        Rows and columns of the result.
    shift : (2,) array_like
        Rows and columns by which it is moved.

    Returns
    -------
    (conditions, rows, columns) ndarray
    """
    light = np.asarray(model, dtype=np.float64)
    whole = np.floor(np.asarray(shift)).astype(int)
    covered = overlap(shape, (light.shape[1], light.shape[2]), (int(whole[0]), int(whole[1])))
    result = np.full((len(light), *shape), np.nan)
    if not covered.any():
        return result
    pixels = np.broadcast_to(covered, result.shape)
    moved = MovedModel(light, shape, pixels)
    result[:, moved.rows, moved.columns] = np.where(moved.good, moved.at(shift)[0], np.nan)
    return result


def _spline(image: Floats) -> Floats:
    """Coefficients of the cubic spline through an image that goes on straight beyond its edges."""
    framed = np.pad(image, _FRAME, mode="reflect", reflect_type="odd")
    return np.asarray(scipy.ndimage.spline_filter(framed, order=3))


def _corner(image_shape: Shape, model_shape: Shape, shift: Sequence[int]) -> tuple[int, int]:
    """Pixel of the image on which the model's first pixel lies."""
    rows, columns = (
        (image - model) // 2 + int(moved)
        for image, model, moved in zip(image_shape, model_shape, shift, strict=True)
    )
    return rows, columns


def _weights(fraction: float) -> tuple[Floats, Floats]:
    """Cubic B-spline and its derivative by the shift, at the distances of the nearest four."""
    distance = fraction + np.arange(-2.0, 2.0)
    near, size = np.abs(distance) < 1.0, np.abs(distance)
    value = np.where(near, 2.0 / 3.0 - size**2 + 0.5 * size**3, (2.0 - size) ** 3 / 6.0)
    slope = np.where(near, -2.0 * size + 1.5 * size**2, -0.5 * (2.0 - size) ** 2)
    return value, np.sign(distance) * slope
