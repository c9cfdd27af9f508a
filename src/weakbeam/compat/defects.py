"""The dislocations of a dfxm-geo file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.compat.crystal import REMOUNTS
from weakbeam.compat.keys import Keys, Notes, Triple
from weakbeam.compat.optics import rounded
from weakbeam.compat.populations import SYSTEMS, draw
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError

Section = dict[str, Any]

MODES = ("centered", "wall", "random_dislocations", "gnb")

WALL_BURGERS: Triple = (1, -1, 0)
WALL_PLANE: Triple = (1, 1, -1)
"""What the walls of dfxm-geo are made of, whatever the file says elsewhere."""

LONGEST_LIST = 2000
"""Most dislocations that are listed one by one."""


@dataclass(frozen=True)
class Frame:
    """Where the dislocations are put.

    Parameters
    ----------
    sample_from_lab : (3, 3) ndarray or None
        Rotation in the simplified geometry; None in the oblique one.
    sample_from_crystal : (3, 3) ndarray or None
        Orientation there, of a cubic crystal.
    field_of_view : float
        Width of the image (µm).
    """

    sample_from_lab: Floats | None
    sample_from_crystal: Floats | None
    field_of_view: float


@dataclass(frozen=True)
class Layout:
    """Which dislocations a file describes.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    table : Keys
        The table of that mode.
    remount : str
        Mount of a wall, one of `REMOUNTS`.
    """

    mode: str
    table: Keys
    remount: str

    @classmethod
    def of(cls, crystal: Keys, identify: bool) -> Layout:
        """Take the layout of ``[crystal]``; files for dfxm-identify have none."""
        mode = "centered" if identify else crystal.choice("mode", "centered", MODES)
        table = crystal.table(mode)
        for other in MODES:
            crystal.ignore(f"crystal.mode is {mode}", other)
        remount = "S1"
        if mode == "wall":
            remount = table.choice("sample_remount", "S1", tuple(REMOUNTS))
        return cls(mode, table, remount)

    def defects(self, frame: Frame, crystal: Section) -> list[Section]:
        """The dislocations.

        Parameters
        ----------
        frame : Frame
            Where they are put.
        crystal : dict
            The section of the experiment.

        Raises
        ------
        InputError
            If a value is not one that dfxm-geo allows.
        """
        if self.mode == "centered":
            return centered(self.table)
        if self.mode == "wall":
            return wall(self.table, frame)
        if self.mode == "gnb":
            return boundary(self.table)
        simple = crystal.get("material") == "Al" and "slip_systems" not in crystal
        return random_dislocations(self.table, frame, simple)


def centered(table: Keys) -> list[Section]:
    """One edge dislocation through the origin.

    Raises
    ------
    InputError
        If the Burgers vector does not lie in the plane, or the line is not along n × b.
    """
    b = table.indices("b", (1, 0, -1))
    n = table.indices("n", (1, 1, 1))
    given = "t" in table
    t = table.indices("t", (1, -2, 1))
    table.finish()
    if np.dot(b, n):
        raise InputError(table.name("n"), list(n), f"does not contain b = {list(b)}")
    line = np.cross(b, n)
    if given and np.cross(line, t).any():
        raise InputError(
            table.name("t"), list(t), f"must be along b x n = {line.tolist()}, a pure edge"
        )
    if given and np.dot(line, t) < 0:
        table.notes.restate(
            f"{table.name('t')} = {list(t)}: the line is b x n = {line.tolist()}; dfxm-geo makes "
            "the same field of both, which belong to Burgers vectors of opposite sign"
        )
    return [_edge(b, n)]


def wall(table: Keys, frame: Frame) -> list[Section]:
    """A wall of edge dislocations along the normal of (1 1 -1)."""
    spacing, count = table.positive("dis"), table.integer("ndis", least=1)
    table.finish()
    section = {"kind": "wall", **_edge(WALL_BURGERS, WALL_PLANE)}
    section |= {"spacing_um": spacing, "count": count}
    if count % 2 == 0 and frame.sample_from_crystal is not None:
        # An even wall of dfxm-geo has one line more below the origin than above.
        normal = frame.sample_from_crystal @ np.array(WALL_PLANE) / math.sqrt(3.0)
        section["position_um"] = [rounded(x) for x in -0.5 * spacing * normal]
    table.notes.change(
        "crystal.wall: edges of [1 -1 0] on (1 1 -1), which is what dfxm-geo takes; all of them "
        "act, in closed form, so that an infinite wall (without count) costs no more"
    )
    return [section]


def random_dislocations(table: Keys, frame: Frame, simple: bool) -> list[Section]:
    """Edge dislocations through random points.

    With a seed, those that dfxm-geo draws from it for the slip systems of FCC in the simplified
    geometry; else a population with the same parameters.
    """
    count = table.integer("ndis", least=1)
    sigma = table.positive("sigma", frame.field_of_view / 4.0)
    distance = table.number("min_distance", 0.0)
    seed = table.integer_or_none("seed")
    table.finish()
    if seed is None or not simple or frame.sample_from_lab is None or count > LONGEST_LIST:
        table.notes.change(
            "crystal.random_dislocations: drawn by weakbeam, "
            + ("from the seed 0" if seed is None else "other ones than dfxm-geo has for that seed")
        )
        population: Section = {"kind": "random", "count": count, "region": "gaussian"}
        population |= {"sigma_um": rounded(sigma), "minimum_distance_um": distance}
        return [population | {"character_deg": 0.0, "seed": seed or 0}]
    points, systems = draw(count, sigma, distance, seed)
    table.notes.restate(
        "crystal.random_dislocations: listed one by one, as dfxm-geo draws them from that seed"
    )
    in_sample = np.c_[points, np.zeros(count)] @ frame.sample_from_lab.T
    return [
        _edge(*SYSTEMS[k]) | {"position_um": [rounded(x) for x in place]}
        for k, place in zip(systems, in_sample, strict=True)
    ]


def boundary(table: Keys) -> list[Section]:
    """A boundary between two subgrains, by Frank's equation."""
    recipe = table.choice("recipe", None, ("leds_eq11", "leds_eq14", "frankus", "custom"))
    section: Section = {"kind": "boundary", "angle_deg": table.number("theta_deg")}
    section["extent_um"] = table.positive("extent_um")
    table.ignore("any number is computed", "max_dislocations")
    custom = table.table("custom")
    table.finish()
    mixed_lines(table.notes)
    if recipe != "custom":
        return [section | {"recipe": recipe}]
    section["normal"] = list(custom.indices("n"))
    section["axis"] = list(custom.indices("a"))
    section["sets"] = []
    for entry in custom.tables("set"):
        dislocations: Section = {
            "burgers": list(entry.indices("b")),
            "line": list(entry.indices("xi")),
        }
        dislocations["ratio"] = entry.number("rel_density", 1.0)
        entry.ignore("the field depends on Burgers vector and line alone", "slip_plane")
        entry.finish()
        section["sets"].append(dislocations)
    custom.finish()
    return [section]


def mixed_lines(notes: Notes) -> None:
    """Note what differs for dislocations that are neither edge nor screw."""
    notes.change(
        "mixed dislocations: edge and screw part have one line; in dfxm-geo two lines that cross"
    )


def _edge(burgers: Triple, plane: Triple) -> Section:
    return {"burgers": list(burgers), "plane": list(plane), "character_deg": 0.0}
