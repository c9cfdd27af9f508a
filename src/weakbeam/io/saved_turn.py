"""How a camera's program has flipped and turned the frames that it saved, as BLISS writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.io.members import dataset_at, group_at

_FLIPS = ("image_flip", "flip")
_TURNS = ("image_rotation", "rotation")


@dataclass(frozen=True)
class SavedTurn:
    """What was done to frames before they were saved: flips first, then turns.

    Parameters
    ----------
    columns, rows : bool
        Whether the order of the columns (left and right) and of the rows was reversed.
    turns : int
        Quarter turns, clockwise as the frame is shown with its first row on top.
    """

    columns: bool = False
    rows: bool = False
    turns: int = 0

    def __bool__(self) -> bool:
        return self.columns or self.rows or self.turns % 4 != 0

    @property
    def name(self) -> str:
        """In words."""
        flips = [
            f"flipped {way}"
            for way, done in (("left to right", self.columns), ("upside down", self.rows))
            if done
        ]
        turned = [f"turned by {90 * (self.turns % 4)} degrees"] if self.turns % 4 else []
        return " and ".join(flips + turned) or "as the camera sees them"

    def undone(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Frames (..., rows, columns) as the camera has seen them."""
        back = np.rot90(frames, self.turns, (-2, -1))
        if self.columns:
            back = back[..., ::-1]
        return np.ascontiguousarray(back[..., ::-1, :] if self.rows else back)


AS_SEEN = SavedTurn()
"""Nothing was done to frames."""


def saved_turn(entry: h5py.Group, detector: str) -> SavedTurn:
    """Read it of an entry's detector.

    Parameters
    ----------
    entry : h5py.Group
        An entry that BLISS has written.
    detector : str
        Name of the camera in its ``instrument``.

    Returns
    -------
    SavedTurn
        Nothing where the file tells nothing.

    Notes
    -----
    LImA flips and turns frames when it is asked to (``image_flip``, two switches for columns and
    rows; ``image_rotation``, degrees clockwise or NONE), before anything is saved. BLISS keeps what
    was asked for among the parameters of the camera, in a group below the detector's whose name has
    changed with its versions: all groups there are looked at.
    """
    own = group_at(entry, f"instrument/{detector}")
    if own is None:
        return AS_SEEN
    columns = rows = False
    turns = 0
    for group in _groups(own):
        for name in _FLIPS:
            values = _values(group, name)
            if len(values) == 2:
                columns, rows = (str(v).strip().lower() in ("1", "1.0", "true") for v in values)
        for name in _TURNS:
            values = _values(group, name)
            if len(values) == 1:
                turns = _quarters(str(values[0])) or turns
    return SavedTurn(columns, rows, turns)


def _groups(own: h5py.Group) -> Iterator[h5py.Group]:
    yield own
    for name in own:
        below = group_at(own, name)
        if below is not None:
            yield below


def _values(group: h5py.Group, name: str) -> list[object]:
    """Numbers or words of a small dataset, none where there is no such one."""
    found = dataset_at(group, name)
    if found is None or found.size is None or not 0 < found.size <= 2:
        return []
    if h5py.check_string_dtype(found.dtype) is not None:
        words = np.atleast_1d(found.asstr()[()]).tolist()
        # Two switches may stand in one text, as lists are printed.
        return [w for text in words for w in str(text).strip("[]() ").replace(",", " ").split()]
    return list(np.atleast_1d(found[()]).tolist()) if found.dtype.kind in "fiub" else []


def _quarters(text: str) -> int:
    """Quarter turns of an angle in words; 0 for none, and for what is none."""
    word = text.strip().lower().removeprefix("rotation_").removesuffix(".0")
    return {"90": 1, "180": 2, "270": 3}.get(word, 0)
