"""Crystals from CIF files: cell, symmetry and atoms."""

from __future__ import annotations

import codecs
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites, settle_sites, told_by_atoms
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import check_cell, settings_named

MAX_BYTES = 16 * 2**20
"""A larger file does not describe a crystal."""

_CELL_TAGS = {
    "a": "_cell_length_a",
    "b": "_cell_length_b",
    "c": "_cell_length_c",
    "alpha": "_cell_angle_alpha",
    "beta": "_cell_angle_beta",
    "gamma": "_cell_angle_gamma",
}
_OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOL_TAGS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_MULTIPLICITY_TAGS = ("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity")

SHORTEST_EDGE = 1.5
"""Cell edges (angstrom) below this are in another unit: beryllium, the shortest, has 2.3."""

LARGEST_ROOM = 2000.0
"""A cell with more room for each atom (cubic angstrom) is in another unit, or lacks its atoms."""

_AMU_PER_CUBIC_ANGSTROM = 1.66054
"""In g/cm³."""


@dataclass(frozen=True)
class CifCrystal:
    """What a CIF file tells of a crystal.

    Attributes
    ----------
    name : str
        The chemical formula, or the name of the data block where none is given.
    cell : UnitCell
        The unit cell.
    space_group : str
        Hermann-Mauguin symbol with its setting, such as "F d -3 m:2".
    sites : tuple of Site
        Atoms of the asymmetric unit, those on special positions exactly there.
    """

    name: str
    cell: UnitCell
    space_group: str
    sites: tuple[Site, ...]

    @property
    def atomic_structure(self) -> AtomicStructure:
        """Cell, space group and atoms."""
        return AtomicStructure(self.cell, self.space_group, self.sites)


def read_cif(path: str | os.PathLike[str]) -> CifCrystal:
    """Read the crystal of a CIF file.

    Blocks without a cell, as journals put them in front, are passed over. The symmetry is that of
    the operations, else of the Hall symbol, the Hermann-Mauguin symbol or the number. A symbol
    without its choice of origin is taken with the one that gives the multiplicities, the formula
    and the density of the file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    CifCrystal

    Raises
    ------
    ValueError
        If the file cannot be read, holds no crystal or several ones, lacks cell, symmetry or atoms,
        its cell contradicts its symmetry, atoms of it are at the same place, its choice of origin
        is not told, or it is not in angstrom. One line.
    """
    block = _only_crystal(_read(os.fspath(path)))
    cell = _cell(block)
    settings = _settings(block, cell)
    check_cell(settings[0], cell)
    atoms = _atoms(block, cell)
    if len(settings) > 1:
        settings = [s for s in settings if _agrees(block, cell, s, atoms)] or settings
    space_group, sites = told_by_atoms(cell, settings, [site for _, site in atoms])
    count = sum(len(positions) for _, positions in expand_sites(space_group, sites))
    if cell.volume > LARGEST_ROOM * count:
        raise ValueError(
            f"its cell of {cell.a:g}, {cell.b:g}, {cell.c:g} angstrom holds {count} atoms only; "
            "cell lengths must be in angstrom, and all atoms be listed"
        )
    formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?")
    return CifCrystal(formula or block.name, cell, space_group, sites)


def _read(path: str) -> gemmi.cif.Document:
    try:
        # Looked at first: the parser's own words for a missing file are not plain, and it would
        # read a stream without end.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError(f"this is no plain file of at most {MAX_BYTES >> 20} MiB")
        with open(path, "rb") as file:
            mark = file.read(3)
            if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return gemmi.cif.read_string((mark + file.read()).decode("utf-16"))
            if mark == codecs.BOM_UTF8:
                return gemmi.cif.read_string(file.read().decode("utf-8", "replace"))
        return gemmi.cif.read_file(path)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"must be a CIF file; {_one_line(error)}") from None


def _only_crystal(document: gemmi.cif.Document) -> gemmi.cif.Block:
    blocks = [block for block in document if block.find_value(_CELL_TAGS["a"]) is not None]
    if not blocks:
        raise ValueError(f"has no unit cell: {_CELL_TAGS['a']} is missing")
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks)
        raise ValueError(f"holds {len(blocks)} crystals ({names}); keep one of them")
    return blocks[0]


def _cell(block: gemmi.cif.Block) -> UnitCell:
    values = {}
    for name, tag in _CELL_TAGS.items():
        text = block.find_value(tag)
        if text is None and name in ("alpha", "beta", "gamma"):
            text = "90"  # the dictionary's default
        value = math.nan if text is None else gemmi.cif.as_number(text)
        if not math.isfinite(value):
            raise ValueError(f"has no unit cell: {tag} is {text or 'missing'}")
        if name in ("a", "b", "c") and 0.0 < value < SHORTEST_EDGE:
            raise ValueError(
                f"{tag} is {value:g} angstrom, shorter than any crystal's: cell lengths must be in "
                f"angstrom (for {value:g} nm write {10.0 * value:g})"
            )
        values[name] = value
    return UnitCell(**values)


def _settings(block: gemmi.cif.Block, cell: UnitCell) -> list[str]:
    """Return the setting of the space group, or all that the file leaves open."""
    symbol = _first_text(block, _SYMBOL_TAGS)
    try:
        named = list(settings_named(symbol, cell)) if symbol else []
    except ValueError:
        named = []
    for tag in _OPERATION_TAGS:
        triplets = [gemmi.cif.as_string(text) for text in block.find_values(tag)]
        if triplets:
            return [_group_of_operations(triplets, named[0] if named else None)]
    if hall := _first_text(block, _HALL_TAGS):
        try:
            group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall))
        except (ValueError, RuntimeError):
            group = None
        if group is None:
            raise ValueError(f"space group {hall!r} (Hall) is unknown")
        return [group.xhm()]
    if symbol:
        if not named:
            raise ValueError(f"space group {symbol!r} is unknown")
        return named
    if number := _first_text(block, _NUMBER_TAGS):
        if not number.isdecimal() or gemmi.find_spacegroup_by_number(int(number)) is None:
            raise ValueError(f"space group number {number!r} is unknown")
        return list(settings_named(str(int(number)), cell))
    raise ValueError(f"has no symmetry: give {_OPERATION_TAGS[0]} or {_SYMBOL_TAGS[0]}")


def _agrees(
    block: gemmi.cif.Block,
    cell: UnitCell,
    space_group: str,
    atoms: Sequence[tuple[str, Site]],
) -> bool:
    """Whether a setting makes as many atoms as the file says in its other places."""
    sites = settle_sites(AtomicStructure(cell, space_group, [site for _, site in atoms]))
    numbers = [len(positions) for _, positions in expand_sites(space_group, sites)]
    for tag in _MULTIPLICITY_TAGS:
        rows = block.find(["_atom_site_label", tag])
        listed = {gemmi.cif.as_string(row[0]): gemmi.cif.as_number(row[1]) for row in rows}
        for (label, _), number in zip(atoms, numbers, strict=True):
            stated_number = listed.get(label, math.nan)
            if math.isfinite(stated_number) and stated_number != number:
                return False
    contents: dict[str, float] = {}
    for site, number in zip(sites, numbers, strict=True):
        contents[site.element] = contents.get(site.element, 0.0) + site.occupancy * number
    return _has_formula(block, contents) and _has_density(block, cell, contents)


def _has_formula(block: gemmi.cif.Block, contents: Mapping[str, float]) -> bool:
    formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?")
    formula_numbers = {
        element: float(number or 1.0)
        for element, number in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", formula)
        if element in contents
    }
    if not formula_numbers:
        return True
    ratios = [contents[element] / n for element, n in formula_numbers.items() if n > 0.0]
    units = gemmi.cif.as_number(block.find_value("_cell_formula_units_Z") or "?")
    if math.isfinite(units):
        ratios.append(units)
    return not ratios or max(ratios) <= 1.05 * min(ratios)


def _has_density(block: gemmi.cif.Block, cell: UnitCell, contents: Mapping[str, float]) -> bool:
    stated_density = gemmi.cif.as_number(block.find_value("_exptl_crystal_density_diffrn") or "?")
    if not math.isfinite(stated_density):
        return True
    mass = sum(number * gemmi.Element(element).weight for element, number in contents.items())
    density = mass / cell.volume * _AMU_PER_CUBIC_ANGSTROM
    # Hydrogen is often not listed.
    return 0.8 * stated_density < density < 1.05 * stated_density


def _group_of_operations(triplets: list[str], symbol: str | None) -> str:
    try:
        operations = gemmi.GroupOps([gemmi.Op(triplet) for triplet in triplets])
    except (ValueError, RuntimeError) as error:
        reason = _one_line(error)
        raise ValueError(f"has a symmetry operation that cannot be read: {reason}") from None
    group = gemmi.find_spacegroup_by_ops(operations)
    if group is None:
        raise ValueError(
            f"its {len(triplets)} symmetry operations are those of no tabulated space group"
        )
    named = None if symbol is None else gemmi.find_spacegroup_by_name(symbol)
    if named is not None and named.number != group.number:
        raise ValueError(
            f"its symmetry operations are those of {group.xhm()}, its symbol says {named.xhm()}"
        )
    return str(group.xhm())


def _atoms(block: gemmi.cif.Block, cell: UnitCell) -> list[tuple[str, Site]]:
    """Return the atoms with their labels."""
    structure = gemmi.make_small_structure_from_block(block)
    tensors = _tensors(block, cell)
    atoms = []
    for atom in structure.sites:
        if atom.element.atomic_number == 0 or atom.element.it92 is None:
            raise ValueError(f"atom {atom.label!r} is of no element with a known form factor")
        x, y, z = atom.fract.tolist()
        if not math.isfinite(x + y + z):
            raise ValueError(f"atom {atom.label!r} has no place")
        if not 0.0 <= atom.occ <= 1.0:
            raise ValueError(f"atom {atom.label!r} has the occupancy {atom.occ:g}, not 0 to 1")
        if atom.occ > 0.0:
            mean_square = max(float(atom.u_iso), 0.0)
            if mean_square == 0.0 and atom.label in tensors:
                mean_square = tensors[atom.label]
            b_factor = 8.0 * math.pi**2 * mean_square
            site = Site(atom.element.name, (x, y, z), atom.occ, b_factor)
            atoms.append((atom.label, site))
    if not atoms:
        raise ValueError("has no atoms: _atom_site_fract_x, y and z are missing")
    return atoms


def _tensors(block: gemmi.cif.Block, cell: UnitCell) -> dict[str, float]:
    """Mean square displacements along one direction (Å²) of atoms with tensors, by their labels.

    The mean over all directions, a third of the trace in Cartesian axes. U and B = 8π² U are on the
    axes a* A a, with |a*| without 2π; β, of exp(−Σ β_ij h_i h_j), is 2π² times the tensor on the
    axes a.
    """
    edges = np.linalg.norm(cell.reciprocal, axis=0) / (2.0 * math.pi)
    kinds = {
        "U": (cell.direct * edges, 1.0),
        "B": (cell.direct * edges, 8.0 * math.pi**2),
        "beta": (cell.direct, 2.0 * math.pi**2),
    }
    factors: dict[str, float] = {}
    for kind, (axes, unit) in kinds.items():
        tags = [f"_atom_site_aniso_{kind}_{pair}" for pair in ("11", "22", "33", "12", "13", "23")]
        for row in block.find(["_atom_site_aniso_label", *tags]):
            u11, u22, u33, u12, u13, u23 = (gemmi.cif.as_number(row[n]) for n in range(1, 7))
            tensor = np.array([[u11, u12, u13], [u12, u22, u23], [u13, u23, u33]])
            mean = float(np.trace(axes @ tensor @ axes.T)) / (3.0 * unit)
            if math.isfinite(mean) and mean > 0.0:
                factors[gemmi.cif.as_string(row[0])] = mean
    return factors


def _first_text(block: gemmi.cif.Block, tags: tuple[str, ...]) -> str:
    for tag in tags:
        text = gemmi.cif.as_string(block.find_value(tag) or "?").strip()
        if text:
            return text
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
