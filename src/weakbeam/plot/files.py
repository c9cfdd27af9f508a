"""Figures and pictures into files.

Apart from :mod:`weakbeam.run.figures`, so that what draws measured scans imports no physics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from weakbeam.io.targets import PICTURE, claim, claim_folder, place_bytes
from weakbeam.plot.drawing import FORMAT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_all(
    figures: Mapping[str, Figure], folder: Path, suffix: str = ".png", *, overwrite: bool = False
) -> list[Path]:
    """Write figures as ``folder/NAME.suffix``; the folder is made if need be.

    Parameters
    ----------
    figures : mapping of str to Figure
        By their names.
    folder : Path
        Where they go.
    suffix : str
        The format.
    overwrite : bool
        Whether other figures of these names may be replaced. One that would come out the same
        stays without asking.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the folder takes no files, or a file that is there is no figure of this program, or may
        not be replaced. Nothing has been written then.
    RunError
        If the disk is full or fails.
    """
    from weakbeam.plot.style import render

    pictures = {name: render(figure, suffix) for name, figure in figures.items()}
    return save_pictures(pictures, folder, suffix, overwrite=overwrite)


def save_pictures(
    pictures: Mapping[str, bytes], folder: Path, suffix: str = FORMAT, *, overwrite: bool = False
) -> list[Path]:
    """Write figures that are drawn already, as :func:`save_all` does."""
    claim_folder(folder)
    files = {folder / f"{name}{suffix}": picture for name, picture in pictures.items()}
    new = [path for path, picture in files.items() if not _holds(path, picture)]
    for path in new:
        claim(path, PICTURE, overwrite=overwrite)
    for path in new:
        place_bytes(path, files[path])
    return [*files]


def claim_pictures(names: Iterable[str], folder: Path, suffix: str, *, overwrite: bool) -> None:
    """Refuse figures, by their names, that may not be written: before anything is computed."""
    claim_folder(folder)
    for name in names:
        claim(folder / f"{name}{suffix}", PICTURE, overwrite=overwrite)


def _holds(path: Path, picture: bytes) -> bool:
    """Whether a file is this very picture already."""
    with suppress(OSError):
        return path.is_file() and path.read_bytes() == picture
    return False
