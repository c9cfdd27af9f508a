"""Which condition of a library each image was taken under, and whether the two belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weakbeam.assemble.reflection import reflections_of
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.library import Library
from weakbeam.io.images import ImageStack

_ANGLE = 5e-6
_HEIGHT = 0.02
"""How far a motor may stand from a condition of the library (rad; µm)."""

_SAME_ENERGY = 1e-3
"""Relative difference that does not matter."""

_TABLES = ("crystal", "beam", "objective")
_CAMERA = ("plane", "rotation_deg", "phi_blur_mrad")
"""Tables of an experiment, and keys of its camera, that decide how a dislocation looks."""

_LABELS = {"phi": "mrad", "chi": "mrad", "two_theta": "mrad", "z": "um"}


def check_energy(stacks: Sequence[ImageStack], library: Library) -> None:
    """Look for images of another energy than the library's.

    Raises
    ------
    InputError
        If there is one.
    """
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


def left_entries(stacks: Sequence[ImageStack]) -> list[str]:
    """Entries of files of which the user named none."""
    notes = []
    for stack in stacks:
        if stack.other_entries:
            first, last = (f"FILE::{stack.other_entries[k]}" for k in (0, -1))
            others = f"the file also has {first}" + (f" to {last}" if last != first else "")
            notes.append(f"{stack.source}: only the entry {stack.entry} is used; {others}")
    return notes


def differences(stacks: Sequence[ImageStack], library: Library) -> list[str]:
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
    if experiment.crystal.cif is not None:
        # Runs and libraries keep copies of their own.
        keys["crystal.cif"] = Path(experiment.crystal.cif).name
    if hkl is not None:
        for described in reflections_of(experiment):
            if described.reflection.plane == tuple(hkl):
                keys |= {f"reflection.{key}": value for key, value in described.reflection}
    return keys


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _hkls(library: Library) -> list[tuple[int, ...]]:
    return [described.reflection.plane for described in reflections_of(library.experiment)]


def with_conditions(
    stacks: Sequence[ImageStack], library: Library, phi: Sequence[float], notes: list[str]
) -> list[tuple[ImageStack, int, int]]:
    """Find the condition of the library under which each image was taken.

    Parameters
    ----------
    stacks : sequence of ImageStack
        What the files hold.
    library : Library
        What they will be matched with.
    phi : sequence of float
        Offsets of φ (rad) in place of what the files tell: none, one, or one for each image.
    notes : list of str
        Is added what one should know of it.

    Returns
    -------
    list of (ImageStack, int, int)
        What a file holds, frame and condition of every image that the library has a condition for.

    Raises
    ------
    InputError
        If offsets and images do not belong together, an image may belong to several conditions, or
        a file has none that belongs to any.
    """
    total = sum(map(len, stacks))
    if not np.isfinite(phi).all():
        raise InputError("phi", list(phi), "must be finite")
    if phi and len(phi) not in (1, total):
        raise InputError(
            "phi",
            list(phi),
            f"must be given once, or once for each of {total} images",
        )
    phis = list(phi) * (total if len(phi) == 1 else 1)
    offsets = [own for stack in stacks for own in stack.offsets]
    if phis:
        offsets = [{**own, "phi": value} for own, value in zip(offsets, phis, strict=True)]
    count = len(library.conditions)
    in_order = not any(offsets) and total == count
    kept: list[tuple[ImageStack, int, int]] = []
    number = 0
    for stack in stacks:
        used = 0
        for frame in range(len(stack)):
            known = offsets[number]
            fitting = [number] if in_order else _fitting(stack, known, library)
            number += 1
            if not fitting:
                continue
            if len(fitting) > 1:
                raise InputError(
                    "phi",
                    None,
                    f"must be given: {stack.source} may belong to {len(fitting)} of the library's "
                    f"{count} conditions",
                )
            kept.append((stack, frame, fitting[0]))
            used += 1
        if not used:
            raise InputError(
                "image", stack.source, _no_condition(stack, offsets[number - 1], library)
            )
        if used < len(stack):
            notes.append(
                f"{stack.source}: {used} of {len(stack)} frames are used, those that the library "
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
            abs(factor * value - position) > factor * (_HEIGHT if name == "z" else _ANGLE)
            for position in there
        ):
            shown = ", ".join(f"{position:g}" for position in there[:6])
            unit = _LABELS[name]
            return (
                f"was taken at {name} = {factor * value:.4g} {unit}, the library has {shown} {unit}"
            )
    return "was taken under no condition of the library"
