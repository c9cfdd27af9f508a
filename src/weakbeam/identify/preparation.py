"""From frames as they were recorded to an observation that a library can be matched with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble.camera import sharp_detector_of
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.fit.frame_noise import IDEAL_SIGMA, FrameNoise
from weakbeam.fit.observation import (
    Bools,
    Noise,
    Observation,
    estimate_noise,
    isolated_pixels,
)
from weakbeam.fit.resampling import resample
from weakbeam.identify.frame_conditions import (
    check_energy,
    differences,
    left_entries,
    with_conditions,
)
from weakbeam.identify.library.library import Library
from weakbeam.io.images import ImageStack
from weakbeam.run.stored import stored_experiment

_NO_COUNT = 1e15

_SAME_PIXEL = 1e-3
"""Relative difference that does not matter."""

_LOWEST = 1.0
"""Percentile of an image's pixels that is taken as its level without light, if nothing tells it."""

_DARK = 5.0
"""An image is dark if no pixel lies this many standard deviations above the level without light."""


@dataclass(frozen=True, eq=False)
class ImageOptions:
    """What the user says of the images.

    Parameters
    ----------
    phi : sequence of float
        Offset of φ from the Bragg setting (rad) for each image, in place of what the file tells.
    pixel_um : float, optional
        Size of a pixel in the sample (µm), in place of what the file tells.
    dark : float or (rows, columns) ndarray, optional
        What is subtracted from every image (ADU).
    noise : Noise, optional
        Noise of the counts, in place of the camera's or an estimate.
    saturation : float, optional
        Counts from which a pixel does not count.
    hot : float, optional
        Isolated pixels that stand out by so many standard deviations do not count.
    """

    phi: Sequence[float] = ()
    pixel_um: float | None = None
    dark: float | Floats | None = None
    noise: Noise | None = None
    saturation: float | None = None
    hot: float | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images ready to be matched.

    Parameters
    ----------
    observation : Observation
        The images.
    conditions : tuple of int
        Under which condition of the library each of them was taken.
    sources : tuple of str
        Where each of them comes from.
    notes : tuple of str
        What was done to them that one should know, a line each.
    """

    observation: Observation
    conditions: tuple[int, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def prepare(
    stacks: Sequence[ImageStack], library: Library, options: ImageOptions | None = None
) -> Prepared:
    """Subtract the dark level, find noise, pixels that count and conditions of images.

    Parameters
    ----------
    stacks, library
        As for :func:`.with_conditions`.
    options : ImageOptions, optional
        What else is known.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        If images and library do not belong together, or an image shows nothing at all.
    """
    chosen = options or ImageOptions()
    check_energy(stacks, library)
    notes = [*left_entries(stacks), *differences(stacks, library)]
    kept = with_conditions(stacks, library, chosen.phi, notes)
    notes += [
        f"{stack.source}: the file says that frames were {stack.saved.name} before they were "
        "saved; that is undone"
        for stack in stacks
        if stack.saved
    ]
    images, good, noises = [], [], []
    for stack, frame, _ in kept:
        image, counted, noise = _cleaned(stack, frame, chosen)
        images.append(stack.saved.undone(image))
        good.append(stack.saved.undone(counted))
        noises.append(noise)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        shown = " and ".join(f"{rows} x {columns}" for rows, columns in sorted(shapes))
        raise InputError("images", None, f"have {shown} pixels; all must be alike")
    lost = sum(int((~g).sum()) for g in good)
    if lost:
        notes.append(f"{lost} pixels do not count: hot, saturated or no finite numbers")
    observation = Observation(np.stack(images), _common(noises), np.stack(good))
    for number, (stack, _, _) in enumerate(kept):
        _check_light(observation, number, stack.source)
    observation = _of_pixels(observation, [s for s, _, _ in kept], library, chosen, notes)
    conditions = tuple(condition for _, _, condition in kept)
    sources = tuple(stack.source for stack, _, _ in kept)
    return Prepared(observation, conditions, sources, tuple(notes))


def _cleaned(stack: ImageStack, frame: int, options: ImageOptions) -> tuple[Floats, Bools, Noise]:
    """An image without its dark level, its pixels that count, and its noise."""
    raw = np.asarray(stack.frames[frame], dtype=np.float64)
    # No camera counts so far; single precision would overflow.
    good: Bools = np.abs(raw, dtype=np.float64) < _NO_COUNT
    if not good.any():
        raise InputError("image", stack.source, "has no pixel that is a finite number")
    if options.saturation is not None:
        good &= raw < options.saturation
        if not good.any():
            lost = f"no pixel of {stack.source} is darker"
            raise InputError("saturation", options.saturation, lost)
    simulated = _simulated(stack)
    if simulated is not None and simulated.detector.largest is not None:
        good &= raw < simulated.detector.largest
    elif stack.frames.dtype.kind == "u":
        good &= raw < np.iinfo(stack.frames.dtype).max
    if not good.any():
        raise InputError("image", stack.source, "is saturated everywhere")
    _check_uneven(raw[good], stack.source)
    noise = options.noise
    if options.dark is not None:
        dark = np.asarray(options.dark, dtype=np.float64)
        if not np.isfinite(dark).all():
            raise InputError("dark", dark.item() if dark.ndim == 0 else None, "must be finite")
        if dark.ndim and dark.shape != raw.shape:
            raise InputError("dark", None, f"has {dark.shape} pixels and the image {raw.shape}")
        image = raw - dark
    elif simulated is not None:
        image = raw - simulated.detector.dark
    else:
        image = raw - float(np.percentile(raw[good], _LOWEST))
    if noise is None and simulated is not None:
        noise = simulated.noise or Noise(0.0, IDEAL_SIGMA**2)
    if noise is None:
        try:
            noise = estimate_noise(image, good)
        except ValueError as error:
            raise InputError("noise", None, f"must be given: {error} in {stack.source}") from None
    if options.hot is not None:
        good &= ~isolated_pixels(np.where(good, image, -np.inf)[None], noise, options.hot)[0]
    return np.where(good, image, 0.0), good, noise


def _simulated(stack: ImageStack) -> FrameNoise | None:
    """The camera of a simulated image."""
    if stack.configuration is None:
        return None
    experiment = stored_experiment(stack.configuration, stack.source)
    return FrameNoise(sharp_detector_of(experiment.camera))


def _common(noises: Sequence[Noise]) -> Noise:
    """One noise for all images: the mean of theirs."""
    return Noise(
        float(np.mean([noise.gain for noise in noises])),
        float(np.mean([noise.floor for noise in noises])),
    )


def _check_light(observation: Observation, number: int, source: str) -> None:
    image, good = observation.images[number], observation.good[number]
    pixels = image[good]
    _check_uneven(pixels, source)
    noise = math.sqrt(observation.noise.floor)
    mean = abs(float(pixels.mean())) * math.sqrt(pixels.size)
    if float(pixels.max()) < _DARK * noise and mean < _DARK * noise:
        raise InputError("image", source, "is dark: nothing in it rises above the noise")


def _check_uneven(pixels: Floats, source: str) -> None:
    if np.ptp(pixels) == 0.0:
        raise InputError("image", source, f"is even: all of its pixels are {float(pixels[0]):g}")


def _of_pixels(
    observation: Observation,
    stacks: Sequence[ImageStack],
    library: Library,
    options: ImageOptions,
    notes: list[str],
) -> Observation:
    """Images with the library's size of pixels."""
    wanted = library.experiment.camera.pixel_um * library.experiment.camera.binning
    sizes = {options.pixel_um} if options.pixel_um else {stack.pixel_um for stack in stacks}
    if len(sizes) > 1:
        raise InputError(
            "images", None, f"have pixels of several sizes: {sorted(map(str, sizes))} um"
        )
    (own,) = sizes
    if own is None:
        notes.append(
            f"the size of the pixels is taken to be the library's, {1e3 * wanted:g} nm: the files "
            "do not tell it"
        )
    if own is None or abs(own - wanted) < _SAME_PIXEL * wanted:
        return observation
    try:
        changed = resample(observation, own / wanted)
    except ValueError as error:
        raise InputError("pixel_um", own, str(error)) from None
    rows, columns = changed.shape
    done = (
        f"pixels of {1e3 * own:g} nm are resampled to the library's {1e3 * wanted:g} nm: "
        f"{rows} x {columns} pixels"
    )
    least_rows, least_columns = library.shape
    if rows < least_rows or columns < least_columns:
        least = f"fewer than the library's {least_rows} x {least_columns}"
        raise InputError("image", stacks[0].source, f"{done}, {least}; make a smaller library")
    notes.append(done)
    return changed
