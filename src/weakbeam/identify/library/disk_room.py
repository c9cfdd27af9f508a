"""Whether the images of a library or a training set fit on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from weakbeam.errors import InputError, RunError

NOISE_PACKED = 0.2
"""Least size of compressed counts, by the entropy of a camera's noise, relative to uint16."""

_FITS = "fewer frames or dislocations, or camera.binning, make it fit"


class Room:
    """Room on the disk for a file that is written piece by piece.

    How small images become is known only when some are made: those without noise are black where
    the objective takes no light, and then take a hundredth of their size in memory. So a file is
    refused before it is begun only if it cannot fit at all, and else after its first images.

    Parameters
    ----------
    folder : Path
        Where the file goes; it need not exist.
    most : float
        Bytes of all its images as they are in memory.
    least : float
        Bytes that they take at least.

    Raises
    ------
    InputError
        If there is no room.
    """

    def __init__(self, folder: Path, most: float, least: float) -> None:
        place = folder.absolute()
        while not place.exists() and place != place.parent:
            place = place.parent
        self._free = shutil.disk_usage(place).free
        self._folder = folder
        self._is_sure = most <= self._free
        if least > self._free:
            raise InputError("identify", None, f"its images take {self._words('at least', least)}")

    def check(self, path: Path, begun: int, share: float) -> None:
        """Look at what the file takes after some of its images; further looks cost nothing.

        Parameters
        ----------
        path : Path
            The file.
        begun : int
            Its size (bytes) before there were images in it.
        share : float
            How much of all images are in it.

        Raises
        ------
        RunError
            If all of them have no room.
        """
        if self._is_sure:
            return
        needed = begun + (path.stat().st_size - begun) / share
        if needed > self._free:
            raise RunError(f"all images would take {self._words('about', needed)}")
        self._is_sure = True

    def _words(self, about: str, needed: float) -> str:
        there = f"{self._folder} had {self._free / 1e9:.3g} GB left"
        return f"{about} {needed / 1e9:.3g} GB and {there}; {_FITS}"
