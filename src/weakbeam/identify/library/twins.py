"""Types whose images are the same: what an image can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import Floats32, Ints
from weakbeam.experiment import Experiment
from weakbeam.identify.library.candidates import Candidates
from weakbeam.identify.library.variation import Variation
from weakbeam.run.render import Renderer

EQUAL = 1e-5
"""Images that differ by less than this share of the contrast are the same."""

_LARGEST = 32
"""Rows and columns that are compared: about the line, where types differ most."""

_DRAWN = 2
"""Instruments under which images must be the same, too, where it varies."""


def first_equals(images: Floats32) -> list[int]:
    """For each of some images the number of the first one that is the same.

    Parameters
    ----------
    images : (n, ...) ndarray of float32
        All of one shape.
    """
    contrast = float(np.ptp(images)) if len(images) else 0.0
    total = images.reshape(len(images), -1).sum(axis=1, dtype=np.float64)
    of: list[int] = []
    for number, image in enumerate(images):
        near = [
            k
            for k in dict.fromkeys(of)
            if abs(total[k] - total[number]) < EQUAL * contrast * image.size
        ]
        same = (k for k in near if np.abs(images[k] - image).max() < EQUAL * contrast)
        of.append(next(same, number))
    return of


def classes_of(candidates: Candidates, variation: Variation) -> Ints:
    """The class of each type: those whose images are the same are one.

    Parameters
    ----------
    candidates : Candidates
        The types, and how images of them are taken.
    variation : Variation
        What varies among the images; what differs under any instrument is told apart.

    Returns
    -------
    (types,) ndarray of int
        From 0, in the order of the first type of each class; -1 for types that nothing shows.
    """
    # Screws of several planes are the same line, whatever digits their images lose.
    of = [min((kind.number, *kind.same_as)) for kind in candidates.types]
    compared = sorted({of[number] for number in candidates.visible})
    renderer = Renderer(_about_the_line(variation), 1)
    small = Candidates(renderer, candidates.types, candidates.distortion)
    nearby = Variation(renderer.experiment, variation.vary, variation.seed)
    sets = [_images(small, compared, nearby, None)]
    if variation.tells_apart:
        sets += [_images(small, compared, nearby, number) for number in range(_DRAWN)]
    alike = [*zip(*(first_equals(images) for images in sets), strict=True)]
    numbers: dict[tuple[int, ...], int] = {}
    by_line = {
        line: numbers.setdefault(group, len(numbers))
        for line, group in zip(compared, alike, strict=True)
    }
    return np.array([by_line.get(line, -1) for line in of])


def _about_the_line(variation: Variation) -> Experiment:
    camera = variation.experiment.camera
    rows, columns = (min(count, _LARGEST) for count in camera.pixels)
    changes = {
        "pixels": (rows, columns),
        "binning": 1,
        "region": None,
        "psf_px": None,
        # What differs does so at the middles of pixels, where types that are the same have the same
        # digits; averages over pixels would cost far more.
        "oversampling": "point",
    }
    return variation.experiment.replace(camera=changes)


def _images(
    candidates: Candidates, types: Sequence[int], variation: Variation, number: int | None
) -> Floats32:
    renderer, about = candidates.renderer, None
    if number is not None:
        values = variation.draw(number)
        renderer = renderer.with_instrument(variation.applied(values))
        about = variation.surroundings(values, renderer)
    origin = np.zeros((1, 3))
    return np.stack([renderer.image(candidates.lines([k], origin), about) for k in types])
