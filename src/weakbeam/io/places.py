"""Where images are, as people name it: a file, an entry of it, a frame."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

RUN_FILE = "weakbeam.h5"
"""Name of the file in the folder of a run."""

_PLACE = re.compile(r"(.*?)(?:::(.*?))?(?:#(\d+))?", re.S)


@dataclass(frozen=True)
class Place:
    """A source as it is named: ``FILE``, ``FILE::ENTRY``, ``FILE#FRAME``, ``FILE::ENTRY#FRAME``.

    Parameters
    ----------
    text : str
        The whole name.
    path : Path
        The file, or a folder or pattern.
    entry : str, optional
        An entry, such as 2.1, or the path of a dataset.
    frame : int, optional
        Number of a frame, from 0.
    """

    text: str
    path: Path
    entry: str | None = None
    frame: int | None = None


def place_of(source: str | os.PathLike[str]) -> Place:
    """File, entry and frame of a source; a file that has such a name as a whole is that file."""
    text = os.fspath(source)
    parts = _PLACE.fullmatch(text)
    assert parts is not None
    path, entry, frame = parts.groups()
    if not path or (path != text and os.path.lexists(text)):
        return Place(text, Path(text))
    return Place(text, Path(path), entry or None, None if frame is None else int(frame))
