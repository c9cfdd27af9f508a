"""Arrays as a page shows them: upright, with what their axes and values are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats32
from weakbeam.errors import InputError
from weakbeam.plot.view import View

MOST_GLANCED = 2**20
"""Pixels of a picture that is looked at while a slider moves."""

Place = tuple[int, int]
"""Row from the top and column from the left of a picture."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An array with what a page needs to draw it.

    Parameters
    ----------
    values : (rows, columns) ndarray of float32
        As it is drawn: the first row is on top, the first column on the left.
    about : mapping
        Plain values: ``extent`` (left, right, bottom, top in the unit of the axes), ``labels`` of
        both axes and of the values (``across``, ``along``, ``values``), ``diverging`` (whether 0
        has the middle colour), ``stored`` (how the array was turned: ``swapped``, then ``rows`` and
        ``columns`` reversed, and the number of its first pixel).
    """

    values: Floats32
    about: dict[str, Any]


def picture_of(
    stored: NDArray[Any],
    view: View,
    label: str,
    *,
    diverging: bool = False,
    first: Place = (0, 0),
) -> Picture:
    """A stored image or map as it is drawn.

    Parameters
    ----------
    stored : (rows, columns) ndarray
        As the camera stores it.
    view : View
        What rows and columns are.
    label : str
        What the values are, with their unit.
    diverging : bool
        Whether values of either sign are told apart by colour.
    first : (int, int)
        Numbers of the first row and column on the camera.
    """
    across, along = view.labels
    rows, columns = reversals(view)
    return Picture(
        np.ascontiguousarray(view.upright(np.asarray(stored)), dtype=np.float32),
        {
            "extent": list(view.extent),
            "labels": {"across": across, "along": along, "values": label},
            "diverging": diverging,
            "stored": {
                "swapped": view.swapped,
                "rows": rows,
                "columns": columns,
                "first": list(first),
            },
        },
    )


def glanced_at(picture: Picture) -> Picture:
    """A large picture with means of blocks of its pixels.

    ``step`` says how many rows and columns a block has, ``whole`` how many there are; what is left
    over at the ends is left out.
    """
    rows, columns = picture.values.shape
    step = math.ceil(math.sqrt(rows * columns / MOST_GLANCED))
    down, across = rows // step, columns // step
    blocks = picture.values[: down * step, : across * step].reshape(down, step, across, step)
    mean = np.zeros((down, across), np.float32)
    for row in range(step):
        for column in range(step):
            mean += blocks[:, row, :, column]
    mean /= np.float32(step * step)
    return Picture(mean, {**picture.about, "step": step, "whole": [rows, columns]})


def reversals(view: View) -> tuple[bool, bool]:
    """Whether rows and columns run backwards once they are swapped, if they are."""
    # A corner of it tells.
    shape = tuple(min(2, count) for count in view.shape)
    order = np.arange(int(np.prod(shape))).reshape(shape)
    upright, plain = view.upright(order), order.swapaxes(0, 1) if view.swapped else order
    rows = upright.shape[0] > 1 and bool(upright[0, 0] in plain[-1])
    columns = upright.shape[1] > 1 and bool(upright[0, 0] in plain[:, -1])
    return rows, columns


def stored_place(view: View, row: float, column: float) -> tuple[float, float]:
    """Row and column in the stored array of a place in the picture."""
    backwards = reversals(view)
    shape = view.shape[::-1] if view.swapped else view.shape
    row, column = (
        count - 1 - place if reverse else place
        for place, count, reverse in zip((row, column), shape, backwards, strict=True)
    )
    return (column, row) if view.swapped else (row, column)


def shown_places(view: View, places: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns in the picture, (..., 2), of places in the stored array, (..., 2)."""
    shown = places[..., ::-1].copy() if view.swapped else np.array(places, dtype=float)
    shape = view.shape[::-1] if view.swapped else view.shape
    for axis, reverse in enumerate(reversals(view)):
        if reverse:
            shown[..., axis] = shape[axis] - 1 - shown[..., axis]
    return shown


def stored_region(view: View, region: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of the stored array in a region of the picture.

    Parameters
    ----------
    view : View
        What rows and columns of the stored array are.
    region : tuple of 4 int
        First row and the one after the last, first column and the one after the last.

    Raises
    ------
    InputError
        If it is empty or reaches beyond the picture.
    """
    top, bottom, left, right = region
    rows, columns = view.shape[::-1] if view.swapped else view.shape
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise InputError(
            "region",
            list(region),
            f"must be rows from 0 to {rows} and columns from 0 to {columns}, not empty",
        )
    ends = np.array(
        [stored_place(view, top, left), stored_place(view, bottom - 1, right - 1)], dtype=np.int64
    )
    low, high = ends.min(axis=0), ends.max(axis=0) + 1
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
