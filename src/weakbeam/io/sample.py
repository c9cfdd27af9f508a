"""The images of one experiment of a sweep, and what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """The images of one experiment.

    Parameters
    ----------
    number : int
        Place of the task in its sweep.
    id : str
        Hash of the experiment and the files that it names, 64 hexadecimal digits.
    settings : mapping of str to object
        The keys that vary in the sweep, and their values.
    experiment : str
        The whole experiment (TOML).
    images : ndarray
        C-contiguous; the last two axes are those of the image.
    coords : mapping of str to (n,) ndarray
        Positions along each axis, in order.
    units : mapping of str to str
        Their units.
    """

    number: int
    id: str
    settings: Mapping[str, Any]
    experiment: str
    images: NDArray[Any]
    coords: Mapping[str, NDArray[Any]]
    units: Mapping[str, str]

    @property
    def group(self) -> str:
        """Name that images of the same axes, lengths and type share: ``phi21_x128_y128``."""
        axes = "_".join(f"{name}{len(values)}" for name, values in self.coords.items())
        return axes if self.images.dtype == np.float32 else f"{axes}_{self.images.dtype}"

    def without_images(self) -> Sample:
        """What belongs to the images; none of them, of the same type and number of axes."""
        return replace(self, images=self.images[..., :0, :0].copy())


def settings_text(settings: Mapping[str, Any]) -> str:
    """The keys that vary, and their values, as JSON."""
    return json.dumps(settings, ensure_ascii=False)
