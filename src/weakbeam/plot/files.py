"""Figures and pictures into files.

Apart from :mod:`weakbeam.run.figures`, so that what draws measured scans imports no physics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weakbeam.io.targets import PICTURE, claim, claim_folder, place_bytes
from weakbeam.plot.drawing import FORMAT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_all(figures: Mapping[str, Figure], folder: Path, suffix: str = ".png") -> list[Path]:
    """Write figures as ``folder/NAME.suffix``; the folder is made if need be.

    Raises
    ------
    InputError
        If the folder takes no files, or a file that is there is no figure of this program.
    RunError
        If the disk is full or fails.
    """
    from weakbeam.plot.style import render

    pictures = {name: render(figure, suffix) for name, figure in figures.items()}
    return save_pictures(pictures, folder, suffix)


def save_pictures(pictures: Mapping[str, bytes], folder: Path, suffix: str = FORMAT) -> list[Path]:
    """Write figures that are drawn already, as :func:`save_all` does."""
    claim_folder(folder)
    paths = [claim(folder / f"{name}{suffix}", PICTURE, overwrite=True) for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        place_bytes(path, picture)
    return paths
