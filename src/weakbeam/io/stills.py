"""Masks and dark frames from files of several kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io.images import read_images


def read_mask(text: str, shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Read which pixels of a camera are not to be used.

    Parameters
    ----------
    text : str
        ``FILE`` (npy, TIFF, EDF and what :func:`weakbeam.io.images.read_images` reads else) or
        ``FILE::PATH`` of a dataset in an HDF5 file: an image, masked where it is not 0, or of
        several images where one of them is.
    shape : (int, int), optional
        Rows and columns of the camera; any unless given.

    Returns
    -------
    (rows, columns) ndarray of bool
        True where masked.

    Raises
    ------
    InputError
        If it cannot be read, has another shape, or masks every pixel.
    """
    frames = _frames(text, shape, "mask", "bfiu")
    with np.errstate(invalid="ignore"):
        masked = (frames != 0).any(axis=0)
    if masked.all():
        raise InputError("mask", text, "masks every pixel; 0 (or false) stands for pixels to use")
    return np.asarray(masked)


def read_dark(text: str, shape: tuple[int, int]) -> Floats:
    """Read dark frames and return their mean.

    Parameters
    ----------
    text, shape
        As for :func:`read_mask`; of an HDF5 file also ``FILE::ENTRY``.

    Returns
    -------
    (rows, columns) ndarray

    Raises
    ------
    InputError
        If they cannot be read, or have another shape.
    """
    frames = _frames(text, shape, "dark", "fiu")
    return np.asarray(frames.mean(axis=0, dtype=np.float64))


def _frames(text: str, shape: tuple[int, int] | None, key: str, kinds: str) -> NDArray[np.generic]:
    try:
        frames = read_images(text, kinds).frames
    except InputError as error:
        raise InputError(key, error.value, error.allowed) from None
    if shape is not None and frames.shape[1:] != shape:
        given = " x ".join(map(str, frames.shape[1:]))
        wanted = " x ".join(map(str, shape))
        raise InputError(key, text, f"has {given} pixels; those of the camera are {wanted}")
    return frames
