"""From frames as they were recorded to an observation that a library can be matched with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble.camera import sharp_detector_of
from weakbeam.assemble.reflection import reflections_of
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.frame_noise import IDEAL_SIGMA, FrameNoise
from weakbeam.fit.observation import (
    Bools,
    Noise,
    Observation,
    estimate_noise,
    isolated_pixels,
)
from weakbeam.fit.resampling import resample
from weakbeam.identify.library.library import Library
from weakbeam.io.images import ImageStack

_ANGLE = 5e-6
_HEIGHT = 0.02
"""How far a motor may stand from a condition of the library (rad; µm)."""

_SAME_ENERGY = 1e-3
_SAME_PIXEL = 1e-3
"""Relative differences that do not matter."""

_LOWEST = 1.0
"""Percentile of an image's pixels that is taken as its level without light, if nothing tells it."""

_DARK = 5.0
"""An image is dark if no pixel lies this many standard deviations above the level without light."""

_TABLES = ("crystal", "beam", "objective")
_CAMERA = ("plane", "rotation_deg", "phi_blur_mrad")
"""Tables of an experiment, and keys of its camera, that decide how a dislocation looks."""

_LABELS = {"phi": "mrad", "chi": "mrad", "two_theta": "mrad", "z": "um"}


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
    stacks : sequence of ImageStack
        What the files hold.
    library : Library
        What they will be matched with.
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
    _check_conditions(stacks, library)
    notes = [*_left_entries(stacks), *_unlike(stacks, library)]
    kept = _assigned(stacks, library, chosen, notes)
    images, good, noises = [], [], []
    for stack, frame, _ in kept:
        image, counted, noise = _cleaned(stack, frame, chosen)
        images.append(image)
        good.append(counted)
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


def _check_conditions(stacks: Sequence[ImageStack], library: Library) -> None:
    energy = library.experiment.beam.energy_keV
    for stack in stacks:
        if stack.energy_kev is not None and (
            abs(stack.energy_kev - energy) > _SAME_ENERGY * energy
        ):
            raise InputError(
                "image",
                stack.source,
                f"was taken at {stack.energy_kev:g} keV, the library is for {energy:g} keV",
            )


def _left_entries(stacks: Sequence[ImageStack]) -> list[str]:
    """Entries of files of which the user named none."""
    notes = []
    for stack in stacks:
        if stack.other_entries:
            first, last = (f"FILE::{stack.other_entries[k]}" for k in (0, -1))
            others = f"the file also has {first}" + (f" to {last}" if last != first else "")
            notes.append(f"{stack.source}: only the entry {stack.entry} is used; {others}")
    return notes


def _unlike(stacks: Sequence[ImageStack], library: Library) -> list[str]:
    """Where simulated images were made with another crystal or instrument than the library."""
    notes: dict[str, None] = {}
    for stack in stacks:
        if stack.configuration is None:
            continue
        own = Experiment.from_toml_text(stack.configuration, stack.source)
        there = _appearance(library.experiment, stack.hkl)
        for key, value in _appearance(own, stack.hkl).items():
            if key in there and value != there[key]:
                notes[
                    f"{stack.source} was simulated with {key} = {_text(value)}, "
                    f"the library with {_text(there[key])}"
                ] = None
    return list(notes)


def _appearance(experiment: Experiment, hkl: Sequence[int] | None) -> dict[str, object]:
    """All keys that decide how a dislocation looks in a reflection."""
    camera = experiment.camera
    keys: dict[str, object] = {f"camera.{key}": getattr(camera, key) for key in _CAMERA}
    for table in _TABLES:
        keys |= {f"{table}.{key}": value for key, value in getattr(experiment, table)}
    if hkl is not None:
        for one in reflections_of(experiment):
            if tuple(one.reflection.hkl) == tuple(hkl):
                keys |= {f"reflection.{key}": value for key, value in one.reflection}
    return keys


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _hkls(library: Library) -> list[tuple[int, ...]]:
    return [tuple(one.reflection.hkl) for one in reflections_of(library.experiment)]


def _assigned(
    stacks: Sequence[ImageStack], library: Library, options: ImageOptions, notes: list[str]
) -> list[tuple[ImageStack, int, int]]:
    """Stack, frame and condition of every image that the library has a condition for."""
    total = sum(map(len, stacks))
    if not np.isfinite(options.phi).all():
        raise InputError("--phi", [1e3 * value for value in options.phi], "must be finite")
    if options.phi and len(options.phi) not in (1, total):
        raise InputError(
            "--phi",
            [round(1e3 * value, 9) for value in options.phi],
            f"must be given once, or once for each of {total} images",
        )
    phis = list(options.phi) * (total if len(options.phi) == 1 else 1)
    told = [offsets for stack in stacks for offsets in stack.offsets]
    if phis:
        told = [{**offsets, "phi": phi} for offsets, phi in zip(told, phis, strict=True)]
    count = len(library.conditions)
    in_order = not any(told) and total == count
    kept: list[tuple[ImageStack, int, int]] = []
    number = 0
    for stack in stacks:
        found = 0
        for frame in range(len(stack)):
            known = told[number]
            fitting = [number] if in_order else _fitting(stack, known, library)
            number += 1
            if not fitting:
                continue
            if len(fitting) > 1:
                raise InputError(
                    "image",
                    stack.source,
                    f"may belong to {len(fitting)} of the library's {count} conditions: give --phi",
                )
            kept.append((stack, frame, fitting[0]))
            found += 1
        if not found:
            raise InputError("image", stack.source, _no_condition(stack, told[number - 1], library))
        if found < len(stack):
            notes.append(
                f"{stack.source}: {found} of {len(stack)} frames are used, those that the library "
                "has a condition for"
            )
    return kept


def _fitting(stack: ImageStack, known: Mapping[str, float], library: Library) -> list[int]:
    """Conditions of the library that agree with all that is known of a frame."""
    hkls = _hkls(library) if stack.hkl is not None else []
    return [
        number
        for number, condition in enumerate(library.conditions)
        if (stack.hkl is None or hkls[condition.reflection] == tuple(stack.hkl))
        and all(
            abs(getattr(condition, name) - value) < (_HEIGHT if name == "z" else _ANGLE)
            for name, value in known.items()
        )
    ]


def _no_condition(stack: ImageStack, known: Mapping[str, float], library: Library) -> str:
    """Why a frame has no condition in the library."""
    if stack.hkl is not None and tuple(stack.hkl) not in _hkls(library):
        shown = ", ".join(str(list(hkl)) for hkl in _hkls(library))
        return f"was taken in reflection {list(stack.hkl)}, the library is for {shown}"
    for name, value in known.items():
        factor = 1.0 if name == "z" else 1e3
        there = sorted({round(factor * getattr(c, name), 6) for c in library.conditions})
        if all(
            abs(factor * value - one) > factor * (_HEIGHT if name == "z" else _ANGLE)
            for one in there
        ):
            shown = ", ".join(f"{one:g}" for one in there[:6])
            unit = _LABELS[name]
            return (
                f"was taken at {name} = {factor * value:.4g} {unit}, the library has {shown} {unit}"
            )
    return "was taken under no condition of the library"


def _cleaned(stack: ImageStack, frame: int, options: ImageOptions) -> tuple[Floats, Bools, Noise]:
    """An image without its dark level, its pixels that count, and its noise."""
    raw = np.asarray(stack.frames[frame], dtype=np.float64)
    good: Bools = np.isfinite(raw)
    if not good.any():
        raise InputError("image", stack.source, "has no pixel that is a finite number")
    if options.saturation is not None:
        good &= raw < options.saturation
        if not good.any():
            told = f"no pixel of {stack.source} is darker"
            raise InputError("--saturation", options.saturation, told)
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
            raise InputError("--dark", dark.item() if dark.ndim == 0 else None, "must be finite")
        if dark.ndim and dark.shape != raw.shape:
            raise InputError("--dark", None, f"has {dark.shape} pixels and the image {raw.shape}")
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
            raise InputError("image", stack.source, f"{error}; give --noise") from None
    if options.hot is not None:
        good &= ~isolated_pixels(np.where(good, image, -np.inf)[None], noise, options.hot)[0]
    return np.where(good, image, 0.0), good, noise


def _simulated(stack: ImageStack) -> FrameNoise | None:
    """The camera of a simulated image."""
    if stack.configuration is None:
        return None
    experiment = Experiment.from_toml_text(stack.configuration, stack.source)
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
    told = {options.pixel_um} if options.pixel_um else {stack.pixel_um for stack in stacks}
    if len(told) > 1:
        raise InputError(
            "images", None, f"have pixels of several sizes: {sorted(map(str, told))} um"
        )
    (own,) = told
    if own is None:
        notes.append(
            f"the size of the pixels is taken to be the library's, {1e3 * wanted:g} nm: the files "
            "do not tell it, --pixel-nm does"
        )
    if own is None or abs(own - wanted) < _SAME_PIXEL * wanted:
        return observation
    try:
        changed = resample(observation, own / wanted)
    except ValueError as error:
        raise InputError("--pixel-nm", 1e3 * own, str(error)) from None
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
