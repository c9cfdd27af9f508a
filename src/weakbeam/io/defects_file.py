"""Defects that an output file lists, read back as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium, Medium
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.defects.wall import DislocationWall
from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.reading import opened

_ENTRY = "1.1"

Columns = Mapping[str, NDArray[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RepeatedSegments:
    """Segments of a box that repeats for ever.

    Parameters
    ----------
    segments : Segments
        Those of one box, in the sample frame of the first reflection.
    periods : (3, 3) ndarray
        Its edges, one a row (µm).
    centre : (3,) ndarray
        Its centre (µm).
    images : int
        Boxes on each side of it that are summed.
    """

    segments: Segments
    periods: Floats
    centre: Floats
    images: int


@dataclass(frozen=True, eq=False)
class StoredPart:
    """The stored defects that lie in one medium.

    Parameters
    ----------
    medium : Medium
        The crystal of the run that placed them.
    lines : StraightLines
        Single dislocations, in the sample frame of the first reflection.
    system : (n,) ndarray of int
        Number of each one's slip system in `labels`; -1 for none.
    labels : tuple of str
        Slip systems, as plane and direction.
    walls : tuple of DislocationWall
        Walls, those of boundaries included.
    segments : Segments
        Pieces of loops, bowed lines and networks.
    repeated : tuple of RepeatedSegments
        Networks that repeat.
    """

    medium: Medium
    lines: StraightLines
    system: Ints
    labels: tuple[str, ...]
    walls: tuple[DislocationWall, ...]
    segments: Segments
    repeated: tuple[RepeatedSegments, ...]


@dataclass(frozen=True, eq=False)
class StoredDefects:
    """The defects of an output file.

    Parameters
    ----------
    parts : tuple of StoredPart
        By medium, of which there is one unless the run read a list of another crystal.
    sample_from_crystal : (3, 3) ndarray
        The orientation that belongs to the frame of the defects.
    gradients : tuple of (3, 3) ndarray
        Displacement gradients of uniform deformations.
    """

    parts: tuple[StoredPart, ...]
    sample_from_crystal: Floats
    gradients: tuple[Floats, ...] = ()


def read_defects(path: str, key: str) -> StoredDefects:
    """Read the defects of an output file, to the last bit.

    Parameters
    ----------
    path : str
        The file.
    key : str
        What names it, for messages.

    Raises
    ------
    InputError
        If the file cannot be read, or lists no defects.
    """
    with opened(path, key) as file:
        sample = guard.group(file, f"{_ENTRY}/sample")
        orientation = guard.numbers(sample, "orientation_matrix", kinds="f", shape=(3, 3))
        columns = guard.table(sample, "defects") if "defects" in sample else {}
    if not len(columns.get("kind", ())):
        raise InputError(key, path, "lists no defects")
    with guard.telling_damage(path, key):
        others = {"grid", "field"} & {_word(kind) for kind in columns["kind"]}
        if others:
            raise InputError(
                key,
                path,
                f"lists a {min(others)}, whose deformation it does not hold; give that again",
            )
        unknown = np.full(len(columns["kind"]), np.nan)
        is_wall = np.isfinite(columns.get("spacing", unknown))
        gradients, is_uniform = _gradients(columns, len(unknown))
        for name in ("burgers_vector", "line", "position"):
            if not is_uniform.all() and not np.isfinite(columns[name][~is_uniform]).all():
                raise guard.Fault(f"/{_ENTRY}/sample/defects/{name}", "has numbers that are none")
        media, number = _media(columns, ~is_uniform)
        parts = tuple(
            _part(columns, medium, is_wall, number == place) for place, medium in enumerate(media)
        )
    return StoredDefects(parts, orientation, gradients)


def _word(kind: object) -> str:
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _gradients(columns: Columns, count: int) -> tuple[tuple[Floats, ...], Mask]:
    """The uniform deformations, and which of the rows they are."""
    if "gradient" not in columns:
        return (), np.zeros(count, bool)
    values = columns["gradient"].reshape(count, 3, 3)
    is_uniform = np.array(np.isfinite(values).all(axis=(1, 2)))
    return tuple(values[is_uniform]), is_uniform


def _media(columns: Columns, which: Mask) -> tuple[list[Medium], Ints]:
    """The media of the rows in question, and which of them each row has; -1 for other rows."""
    number = np.full(len(which), -1)
    if not which.any():
        return [], number
    constants = np.full((len(which), 37), np.nan)
    constants[:, 0] = columns["poisson_ratio"]
    if "stiffness" in columns:
        constants[:, 1:] = columns["stiffness"].reshape(len(which), 36)
    rows = np.ascontiguousarray(constants[which])
    told = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, alike = np.unique(told, return_index=True, return_inverse=True)
    # In the order in which they come.
    order = np.argsort(first)
    number[which] = np.argsort(order)[alike]
    media: list[Medium] = []
    for row in rows[first[order]]:
        isotropic = np.isnan(row[1:]).any()
        media.append(
            IsotropicMedium(float(row[0]))
            if isotropic
            else AnisotropicMedium(row[1:].reshape(6, 6))
        )
    return media, number


def _part(columns: Columns, medium: Medium, is_wall: Mask, belongs: Mask) -> StoredPart:
    """The rows that belong to a medium."""
    # A half-line is a segment too, of infinite length; lines and walls have none.
    is_piece = ~np.isnan(columns.get("length", np.full(len(belongs), np.nan)))
    is_line = belongs & ~is_wall & ~is_piece
    repeats = np.isfinite(columns.get("periods", np.full((len(belongs), 1, 1), np.nan)))
    repeats = belongs & repeats.all(axis=(1, 2))
    labels, system = _systems(columns, is_line)
    return StoredPart(
        medium,
        _lines(columns, is_line),
        system,
        labels,
        _walls(columns, belongs & is_wall),
        _segments(columns, belongs & is_piece & ~repeats),
        tuple(_repeated(columns, repeats)),
    )


def _lines(columns: Columns, which: Mask) -> StraightLines:
    return StraightLines(
        columns["burgers_vector"][which],
        columns["line"][which],
        columns["position"][which],
        columns["core_radius"][which],
    )


def _repeated(columns: Columns, which: Mask) -> Iterator[RepeatedSegments]:
    """Networks that repeat, each of which has a table of its own."""
    for number in np.unique(columns["defect"][which]) if which.any() else ():
        mine = which & (columns["defect"] == number)
        first = int(np.flatnonzero(mine)[0])
        yield RepeatedSegments(
            _segments(columns, mine),
            columns["periods"][first],
            columns["box_centre"][first],
            int(columns["images"][first]),
        )


def _segments(columns: Columns, which: Mask) -> Segments:
    if not which.any():
        return Segments.joined([])
    lines = _lines(columns, which)
    return Segments(
        lines.burgers_vectors,
        lines.positions,
        lines.lines,
        columns["length"][which],
        lines.core_radii,
    )


def _walls(columns: Columns, which: Mask) -> tuple[DislocationWall, ...]:
    if not which.any():
        return ()
    rows = zip(
        _lines(columns, which),
        columns["stacking"][which],
        columns["spacing"][which].tolist(),
        columns["count"][which].tolist(),
        strict=True,
    )
    # A count of 0 stands for infinitely many.
    return tuple(
        DislocationWall(line, stacking, spacing, count or None)
        for line, stacking, spacing, count in rows
    )


def _systems(columns: Columns, which: Mask) -> tuple[tuple[str, ...], Ints]:
    """Names of the slip systems that occur, and the number of each line's."""
    names = columns.get("slip_system", np.full(len(which), ""))[which].tolist()
    labels = tuple(dict.fromkeys(name for name in names if name))
    number = {"": -1} | {label: index for index, label in enumerate(labels)}
    return labels, np.array([number[name] for name in names], dtype=np.int64)
