"""Crystal, mount and reflections of a dfxm-geo file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from weakbeam.compat.keys import Keys, Notes, Triple
from weakbeam.compat.optics import rounded
from weakbeam.errors import InputError

Section = dict[str, Any]

ALUMINIUM_A = 4.0495e-10
"""Lattice parameter (m) of the simplified geometry of dfxm-geo."""

MOUNTED = (-1, 1, -1)
"""The planes that face up in the simplified geometry of dfxm-geo, whatever the reflection."""

REMOUNTS: dict[str, tuple[Triple, Triple]] = {
    "S1": ((-1, 1, -1), (1, 0, -1)),
    "S2": ((1, 1, 1), (1, 0, -1)),
    "S3": ((1, 1, -1), (1, -1, 0)),
    "S4": ((1, -1, -1), (1, 0, 1)),
}
"""Each remount: the planes that face up, and the direction along x."""

ETA_TOLERANCE = 1e-3
"""How far η (rad) may stand beside that of a reflection."""

_FREE = {
    "cubic": (),
    "tetragonal": ("c",),
    "orthorhombic": ("b", "c"),
    "hexagonal": ("c",),
    "trigonal": ("alpha_deg",),
    "monoclinic": ("b", "c", "beta_deg"),
    "triclinic": ("b", "c", "alpha_deg", "beta_deg", "gamma_deg"),
}
"""What a lattice needs beside a."""

_SPACE_GROUPS = {"fcc": "F m -3 m", "bcc": "I m -3 m", "hcp": "P 63/m m c"}

_STRUCTURES = {"F": "fcc", "I": "bcc"}
"""Structures by the first letter of a cubic space group, as dfxm-geo has them."""

_FAMILIES = {
    "{0001}<11-20>": "basal",
    "{10-10}<11-20>": "prismatic",
    "{10-11}<11-20>": "pyramidal <a>",
    "{10-11}<11-23>": "pyramidal I <c+a>",
    "{11-22}<11-23>": "pyramidal II <c+a>",
}

_POISSON = {"Al": 0.334, "Cu": 0.34, "Ni": 0.31, "Fe": 0.29, "W": 0.28, "Ti": 0.32, "Mg": 0.29}
"""Poisson ratios that dfxm-geo has."""


def crystal_section(table: Keys, lattice_a: float, folder: Path | None) -> Section:
    """Take the unit cell and the slip systems.

    Parameters
    ----------
    table : Keys
        ``[crystal]``.
    lattice_a : float
        Lattice parameter (m) where the table has none.
    folder : Path or None
        Where the file stands, for the path of a CIF file.
    """
    crystal: Section = {}
    cif = table.text_or_none("cif")
    material = table.text_or_none("material")
    structure = None
    if "structure_type" in table:
        structure = table.choice("structure_type", None, tuple(_SPACE_GROUPS))
    else:
        table.text_or_none("structure_type")
    poisson_ratio = table.number_or_none("poisson_ratio")
    space_group = table.text_or_none("space_group")
    cell = _cell(table, lattice_a)
    if cif is not None:
        crystal["cif"] = str(folder / cif) if folder is not None else cif
        crystal["poisson_ratio"] = poisson_ratio or _POISSON.get(material or "Al", 0.334)
    elif material is None and structure in (None, "fcc") and space_group is None:
        crystal["material"] = "Al"
    elif material is None:
        crystal["space_group"] = (
            _SPACE_GROUPS[str(structure)] if space_group is None else space_group
        )
        crystal["poisson_ratio"] = 0.334
    else:
        crystal["material"] = material
        if space_group is not None:
            crystal["space_group"] = space_group
    if cif is None and cell is None and (material is None and lattice_a != ALUMINIUM_A):
        cell = _cubic(lattice_a)
    if cif is None and cell is None and "material" not in crystal:
        raise InputError(table.name("a"), None, "missing; a crystal without a material needs it")
    if cell is not None and cif is None:
        crystal["cell"] = cell
    if structure is None and "space_group" in crystal:
        structure = _STRUCTURES.get(crystal["space_group"].replace(" ", "")[:1])
    if structure is not None:
        crystal["structure"] = structure
    if poisson_ratio is not None:
        crystal["poisson_ratio"] = poisson_ratio
    _slip(table, crystal)
    return crystal


def mount_of(table: Keys, oblique: bool) -> list[list[int]]:
    """Take the planes along x, y and z of the laboratory."""
    names, axes = ("mount_x", "mount_y", "mount_z"), ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    if oblique:
        table.notes.change(
            "crystal.mount_x, mount_y, mount_z: the mount turns the dislocations, too; in dfxm-geo "
            "only the diffraction vector follows it"
        )
    else:
        for name in names:
            if name in table:
                table.notes.ignore(
                    f"{table.name(name)}: ignored: in the symmetric geometry the planes of the "
                    "reflection face up"
                )
    return [list(table.indices(name, axis)) for name, axis in zip(names, axes, strict=True)]


def _cubic(a: float) -> Section:
    a = _angstrom(a)
    return {"a": a, "b": a, "c": a, "alpha": 90, "beta": 90, "gamma": 90}


def _angstrom(length: float) -> float:
    """A length of a file: metres, or angstrom, as a cell of metres would be none."""
    return rounded(length * 1e10 if length < 1e-6 else length)


def _cell(table: Keys, lattice_a: float) -> Section | None:
    lattice = table.choice("lattice", "cubic", tuple(_FREE))
    given = "a" in table
    a = table.positive("a", lattice_a)
    values = {"a": a, "b": a, "c": a, "alpha_deg": 90.0, "beta_deg": 90.0, "gamma_deg": 90.0}
    if lattice == "hexagonal":
        values["gamma_deg"] = 120.0
    for name in ("b", "c", "alpha_deg", "beta_deg", "gamma_deg"):
        if name in _FREE[lattice]:
            values[name] = table.positive(name)
        else:
            table.ignore(f"it follows from the {lattice} lattice", name)
    if lattice == "trigonal":
        values["beta_deg"] = values["gamma_deg"] = values["alpha_deg"]
    if not given and lattice == "cubic":
        return None
    if a > 1e-6:
        table.notes.change(f"crystal.a = {a:g}: taken in angstrom; dfxm-geo reads metres")
    cell = {name: _angstrom(values[name]) for name in "abc"}
    return cell | {name: values[f"{name}_deg"] for name in ("alpha", "beta", "gamma")}


def _slip(table: Keys, crystal: Section) -> None:
    if "slip_families" in table:
        names = table.values("slip_families", "names", lambda v: isinstance(v, str))
        crystal["slip_families"] = [_FAMILIES.get(name, name) for name in names]
    else:
        table.table("slip_families")
    systems = []
    for entry in table.tables("slip_system"):
        plane, burgers = entry.indices("plane"), entry.indices("burgers")
        entry.finish()
        systems.append({"plane": list(plane), "burgers": list(burgers)})
    if systems:
        crystal["slip_systems"] = systems


def symmetric_reflection(hkl: Triple, remount: str, notes: Notes) -> tuple[Section, list[int]]:
    """The reflection of the simplified geometry, and the direction along x of the sample.

    Raises
    ------
    InputError
        If the sample is remounted for another reflection than that of dfxm-geo.
    """
    if remount != "S1":
        if hkl != MOUNTED:
            raise InputError(
                "crystal.wall.sample_remount",
                remount,
                "belongs to reciprocal.hkl = [-1, 1, -1]; use S1",
            )
        planes, x_axis = REMOUNTS[remount]
        notes.change(
            f"crystal.wall.sample_remount = {remount}: the reflection {_words(planes)}, which "
            "faces up then; dfxm-geo turns the dislocations, but not the diffraction vector"
        )
        return {"hkl": list(planes)}, list(x_axis)
    # Direction along x, unless the planes lie across it.
    x_axis = (1, 0, -1)
    if not any(_cross(hkl, x_axis)):
        x_axis = (1, 2, 1)
    if hkl != MOUNTED:
        notes.change(
            f"reciprocal.hkl = {list(hkl)}: these planes face up; dfxm-geo leaves (-1 1 -1) up "
            "for every reflection"
        )
    return {"hkl": list(hkl)}, list(x_axis)


def oblique_reflection(hkl: Triple, eta: float | None, setup: Section) -> Section:
    """A reflection of the oblique geometry, at the one of both ω that has the azimuth `eta` (rad).

    Parameters
    ----------
    hkl : tuple of 3 int
        The reflection.
    eta : float or None
        Azimuth (rad); None for the smaller ω.
    setup : dict
        ``crystal`` and ``beam`` of the experiment.

    Raises
    ------
    InputError
        If the reflection cannot be reached, or none of its two settings has that azimuth.
    """
    reflection = {"hkl": list(hkl), "geometry": "oblique"}
    if eta is None:
        return reflection
    azimuths = _azimuths(hkl, setup)
    apart = [abs(math.remainder(eta - azimuth, 2.0 * math.pi)) for azimuth in azimuths]
    if min(apart) > ETA_TOLERANCE:
        raise InputError(
            "geometry.eta",
            eta,
            f"must be {azimuths[0]:.6f} or {azimuths[1]:.6f} rad for {_words(hkl)} at "
            f"{setup['beam']['energy_keV']:g} keV",
        )
    return reflection | {"solution": 1 + apart.index(min(apart))}


def group_at(eta: float, theta_max: float, hkl_max: int, setup: Section) -> list[Section]:
    """Every reflection that one of both settings brings to the azimuth `eta` (rad)."""
    from weakbeam.assemble.crystal import crystal_of
    from weakbeam.assemble.orientation import orientation_of
    from weakbeam.diffraction.reachable import find_reflections
    from weakbeam.experiment import Experiment, Reflection

    experiment = Experiment.model_validate(setup)
    crystal = crystal_of(experiment)
    rows = find_reflections(
        crystal.cell,
        crystal.space_group,
        experiment.beam.energy_keV,
        theta_max,
        sites=crystal.sites,
        sample_from_crystal=orientation_of(experiment, crystal, Reflection(geometry="oblique")),
    )
    reflections: list[Section] = []
    for row in rows:
        if max(map(abs, row.hkl)) > hkl_max:
            continue
        for number, setting in enumerate(row.solutions, start=1):
            if setting is not None and abs(setting.eta - eta) < ETA_TOLERANCE:
                reflections.append(
                    {"hkl": list(row.hkl), "geometry": "oblique", "solution": number}
                )
                break
    if not reflections:
        raise InputError("reflections_auto.eta_target", eta, "matches no reflection")
    return reflections


def _azimuths(hkl: Triple, setup: Section) -> list[float]:
    from weakbeam.assemble.crystal import crystal_of
    from weakbeam.assemble.orientation import orientation_of
    from weakbeam.diffraction.oblique import solve_oblique
    from weakbeam.experiment import Experiment, Reflection

    experiment = Experiment.model_validate(setup)
    crystal = crystal_of(experiment)
    reflection = Reflection(hkl=hkl, geometry="oblique")
    orientation = orientation_of(experiment, crystal, reflection)
    solutions = solve_oblique(crystal.cell, orientation, hkl, experiment.beam.energy_keV)
    if solutions is None:
        raise InputError("reciprocal.hkl", list(hkl), "no rotation brings it to diffract")
    return [solution.eta for solution in solutions]


def _cross(a: Triple, b: Triple) -> Triple:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _words(hkl: Triple) -> str:
    return f"({' '.join(map(str, hkl))})"
