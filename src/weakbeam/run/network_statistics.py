"""What a file of a dislocation network holds, in numbers and as a figure, without any crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.lines import angle_deg
from weakbeam.errors import InputError
from weakbeam.io.networks.network_file import NetworkFile
from weakbeam.plot.drawing import Drawing

_SAME = 0.02
"""Components of Burgers vectors are compared to this."""

_LARGEST_INDEX = 6
_MOST_KINDS = 18


@dataclass(frozen=True)
class NetworkStatistics:
    """Numbers of a network; lengths in `unit`.

    Parameters
    ----------
    format : str
        Name and version of the file's format.
    unit : str
        "b", "Å" or "µm".
    nodes, segments : int
        How many there are.
    junctions : dict of int to int
        Nodes by how many arms they have.
    box : tuple of float, optional
        Lengths of the edges of the box.
    periodic : tuple of bool
        Along which of them it repeats.
    line_length : float
        Of all segments together.
    density_per_m2 : float, optional
        Length of line in the box over its volume; None without a box or the length of b.
    segment_lengths : tuple of 3 float
        The shortest, the median, the longest.
    burgers : dict of str to (int, float)
        Segments, and share of the length, by Burgers vector.
    characters : dict of str to float
        Share of the length of screws (up to 15° from b), mixed and edges (from 75°).
    imbalance : float
        Largest sum of the Burgers vectors at a node, relative to the largest of them.
    ends : int
        Nodes at which a line ends.
    out_of_plane : float
        Largest sine of the angle between a Burgers vector and its plane; NaN without planes.
    clusters : int
        Orientations of the crystal that the file tells of.
    lacks : tuple of str
        What the file does not tell.
    """

    format: str
    unit: str
    nodes: int
    segments: int
    junctions: dict[int, int]
    box: tuple[float, ...] | None
    periodic: tuple[bool, ...]
    line_length: float
    density_per_m2: float | None
    segment_lengths: tuple[float, float, float]
    burgers: dict[str, tuple[int, float]]
    characters: dict[str, float]
    imbalance: float
    ends: int
    out_of_plane: float
    clusters: int
    lacks: tuple[str, ...]

    def numbers(self) -> dict[str, Any]:
        """The same, for JSON."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told["burgers"] = {
            name: {"segments": count, "share": share}
            for name, (count, share) in told["burgers"].items()
        }
        told["out_of_plane"] = None if np.isnan(self.out_of_plane) else self.out_of_plane
        return told

    def lines(self) -> list[str]:
        """The same, for people."""
        unit = self.unit
        told = [("format", self.format)]
        by_arms = ", ".join(f"{n} with {arms}" for arms, n in sorted(self.junctions.items()))
        told.append(("nodes", f"{self.nodes}; arms: {by_arms}" if by_arms else str(self.nodes)))
        told.append(("segments", str(self.segments)))
        if self.box is not None:
            edges = " × ".join(f"{edge:.6g}" for edge in self.box)
            along = "".join(name for name, on in zip("abc", self.periodic, strict=True) if on)
            repeats = {"abc": "repeats", "": "does not repeat"}.get(along, f"repeats along {along}")
            told.append(("box", f"{edges} {unit}, {repeats}"))
        if self.segments:
            short, middle, long = self.segment_lengths
            told.append(("length", f"{self.line_length:.6g} {unit} of line"))
            if self.density_per_m2 is not None:
                told.append(("density", f"{self.density_per_m2:.3g} per m²"))
            told.append(
                ("", f"segments from {short:.4g} to {long:.4g} {unit}, median {middle:.4g}")
            )
            for place, (name, (count, share)) in enumerate(self.burgers.items()):
                told.append(("" if place else "b", f"{name}: {count} segments, {share:.1%}"))
            shares = ", ".join(f"{name} {share:.1%}" for name, share in self.characters.items())
            told.append(("character", f"{shares} of the length"))
            balance = f"Σb = 0 at every node, to {self.imbalance:.1g} b"
            if self.imbalance > 1e-3:
                balance = f"Σb up to {self.imbalance:.3g} b at a node"
            if self.ends:
                balance += f"; {self.ends} ends of lines"
            told.append(("balance", balance))
            if not np.isnan(self.out_of_plane):
                told.append(("planes", f"b leaves its plane by {self.out_of_plane:.1g} at most"))
        if self.clusters > 1:
            told.append(("clusters", f"{self.clusters} orientations of the crystal"))
        told += [("" if place else "lacks", text) for place, text in enumerate(self.lacks)]
        return [f"{name:<10} {text}" for name, text in told]


def network_statistics(
    file: NetworkFile, burgers_length_nm: float | None = None
) -> NetworkStatistics:
    """Count and measure a network.

    Parameters
    ----------
    file : NetworkFile
        What has been read.
    burgers_length_nm : float, optional
        Length of the Burgers vector, the unit of files that count in it.

    Raises
    ------
    InputError
        For a length with a file that has units of its own.
    """
    scale, unit = _unit_um(file, burgers_length_nm)
    per = 1.0 if scale is None else _shown(file, scale)
    lengths = np.linalg.norm(file.steps, axis=1)
    total = float(lengths.sum())
    sizes = np.linalg.norm(file.burgers, axis=1)
    names, of_name = burgers_directions(file)
    counts = np.bincount(file.arms.ravel(), minlength=len(file.nodes))
    arms, many = np.unique(counts, return_counts=True)
    density = None
    if file.cell is not None and scale is not None:
        volume = abs(float(np.linalg.det(file.cell))) * scale**3
        density = 1e12 * total * scale / volume
    balance = np.zeros((len(file.nodes), 3))
    np.add.at(balance, file.arms[:, 0], file.burgers)
    np.add.at(balance, file.arms[:, 1], -file.burgers)
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = np.abs(np.sum(file.burgers * file.planes, axis=1)) / (
            sizes * np.linalg.norm(file.planes, axis=1)
        )
    angles = characters_deg(file)
    screw, edge = angles <= 15.0, angles >= 75.0
    shares = {
        "screw": screw,
        "mixed": ~screw & ~edge,
        "edge": edge,
    }
    return NetworkStatistics(
        file.format,
        unit,
        len(file.nodes),
        len(lengths),
        {int(n): int(c) for n, c in zip(arms, many, strict=True)},
        None if file.cell is None else tuple((per * np.linalg.norm(file.cell, axis=1)).tolist()),
        file.periodic,
        per * total,
        density,
        _spread(per * lengths),
        {
            name: (int((of_name == k).sum()), float(lengths[of_name == k].sum() / total))
            for k, name in enumerate(names)
        },
        {
            name: float(lengths[which].sum() / total) if total else 0.0
            for name, which in shares.items()
        },
        float(np.linalg.norm(balance, axis=1).max(initial=0.0) / sizes.max(initial=1e-300)),
        int((counts == 1).sum()),
        float(np.nanmax(slopes)) if np.isfinite(slopes).any() else float("nan"),
        file.clusters,
        tuple(
            text for text in file.lacks if burgers_length_nm is None or "burgers_length" not in text
        ),
    )


def network_drawing(file: NetworkFile, burgers_length_nm: float | None = None) -> Drawing | None:
    """The figure of a network; None if it holds none."""
    if not len(file.arms):
        return None
    scale, unit = _unit_um(file, burgers_length_nm)
    per = 1.0 if scale is None else _shown(file, scale)
    names, of_name = burgers_directions(file)
    starts = per * file.nodes[file.arms[:, 0]]
    ends = np.stack([starts, starts + per * file.steps], axis=1)
    return Drawing(
        "weakbeam.plot.network.network_figure",
        (ends, of_name, names),
        {
            "characters_deg": characters_deg(file),
            "cell": None if file.cell is None else per * file.cell,
            "origin": per * file.origin,
            "unit": unit,
            "title": f"{file.format}: {len(file.nodes)} nodes, {len(file.arms)} segments",
        },
    )


def characters_deg(file: NetworkFile) -> Floats:
    """Angle between Burgers vector and line of each segment, 0 for a screw, 90 for an edge."""
    lengths = np.linalg.norm(file.steps, axis=1, keepdims=True)
    along = np.sum(file.burgers * file.steps / lengths, axis=1)
    across = np.linalg.norm(file.burgers - along[:, None] * file.steps / lengths, axis=1)
    return angle_deg(along, across)


def burgers_directions(file: NetworkFile) -> tuple[tuple[str, ...], Ints]:
    """Burgers vectors that occur, along the axes of the file, either sign as one.

    Returns
    -------
    names : tuple of str
        Direction and length, the one with most line first.
    of_name : (m,) ndarray of int
        Which of them each segment has.
    """
    if not len(file.burgers):
        return (), np.zeros(0, np.int64)
    size = float(np.linalg.norm(file.burgers, axis=1).max())
    rows = np.round(file.burgers / (_SAME * size)) * _SAME * size
    first = np.argmax(np.abs(rows) > 0.0, axis=1)
    signs = np.sign(rows[np.arange(len(rows)), first])
    rows = rows * signs[:, None] + 0.0
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    lengths = np.bincount(inverse, weights=np.linalg.norm(file.steps, axis=1))
    order = np.argsort(-lengths, kind="stable")
    means = [(file.burgers[inverse == k] * signs[inverse == k, None]).mean(axis=0) for k in order]
    names = [_name(mean, file) for mean in means]
    of_name = np.argsort(order)[inverse]
    if len(unique) > _MOST_KINDS:
        names = [*names[: _MOST_KINDS - 1], "others"]
        of_name = np.minimum(of_name, _MOST_KINDS - 1)
    # Rounding may have parted what has one name.
    merged = tuple(dict.fromkeys(names))
    place = np.array([merged.index(name) for name in names], dtype=np.int64)
    return merged, place[of_name]


def _name(vector: Floats, file: NetworkFile) -> str:
    length = float(np.linalg.norm(vector))
    unit = {"burgers vectors": " b", "lattice constants": " a", "um": " nm"}[file.burgers_unit]
    shown = 1e3 * length if file.burgers_unit == "um" else length
    smallest = np.abs(vector)[np.abs(vector) > _SAME * length].min()
    for factor in range(1, _LARGEST_INDEX + 1):
        whole = factor * vector / smallest
        if np.abs(whole - np.round(whole)).max() < 0.02 * factor and np.abs(whole).max() < 10:
            text = " ".join(str(int(n)) for n in np.round(whole))
            return f"[{text}], {shown:.4g}{unit}"
    text = " ".join(f"{x:.3f}" for x in vector / length)
    return f"[{text}], {shown:.4g}{unit}"


def _unit_um(file: NetworkFile, burgers_length_nm: float | None) -> tuple[float | None, str]:
    """Unit of the file in µm, where it is known, and the one that is shown."""
    if file.unit != "burgers vectors":
        if burgers_length_nm is not None:
            raise InputError(
                "burgers_length_nm", burgers_length_nm, f"{file.format} has lengths of its own"
            )
        return (1.0, "µm") if file.unit == "um" else (1e-4, "Å")
    if burgers_length_nm is None:
        return None, "b"
    if not 1e-3 <= burgers_length_nm <= 100.0:
        raise InputError("burgers_length_nm", burgers_length_nm, "must be from 0.001 to 100")
    return 1e-3 * burgers_length_nm, "µm"


def _shown(file: NetworkFile, scale: float) -> float:
    """Factor from the unit of the file to the one that is shown."""
    return 1.0 if file.unit == "angstrom" else scale


def _spread(lengths: Floats) -> tuple[float, float, float]:
    if not len(lengths):
        return 0.0, 0.0, 0.0
    return float(lengths.min()), float(np.median(lengths)), float(lengths.max())
