"""Crystals from CIF files: cell, symmetry and atoms."""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass

import gemmi
import numpy as np

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import Site, check_cell, check_occupancies, settle_sites

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


def read_cif(path: str | os.PathLike[str]) -> CifCrystal:
    """Read the crystal of a CIF file.

    Blocks without a cell, as journals put them in front, are passed over. The symmetry is that of
    the operations, else of the Hall symbol, the Hermann-Mauguin symbol or the number.

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
        its cell contradicts its symmetry, or atoms of it are at the same place. One line.
    """
    block = _only_crystal(_read(os.fspath(path)))
    cell = _cell(block)
    group = _space_group(block, cell)
    check_cell(group.xhm(), cell)
    formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?")
    sites = settle_sites(cell, group.xhm(), _sites(block, cell))
    check_occupancies(cell, group.xhm(), sites)
    return CifCrystal(formula or block.name, cell, group.xhm(), sites)


def _read(path: str) -> gemmi.cif.Document:
    try:
        # Looked at first: the parser's own words for a missing file are not plain, and it would
        # read a stream without end.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError(f"this is no plain file of at most {MAX_BYTES >> 20} MiB")
        with open(path, "rb"):
            pass
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
        values[name] = value
    return UnitCell(**values)


def _space_group(block: gemmi.cif.Block, cell: UnitCell) -> gemmi.SpaceGroup:
    symbol = _first_text(block, _SYMBOL_TAGS)
    named = gemmi.find_spacegroup_by_name(symbol, cell.alpha, cell.gamma) if symbol else None
    for tag in _OPERATION_TAGS:
        triplets = [gemmi.cif.as_string(text) for text in block.find_values(tag)]
        if triplets:
            return _group_of_operations(triplets, named)
    if hall := _first_text(block, _HALL_TAGS):
        try:
            group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall))
        except (ValueError, RuntimeError):
            group = None
        if group is None:
            raise ValueError(f"space group {hall!r} (Hall) is unknown")
        return group
    if symbol:
        if named is None:
            raise ValueError(f"space group {symbol!r} is unknown")
        if named.ext in ("1", "2") and ":" not in symbol:
            raise ValueError(
                f"space group {symbol!r} has two choices of origin: add the symmetry operations, "
                f'or write "{named.hm}:1" or "{named.hm}:2"'
            )
        return named
    if number := _first_text(block, _NUMBER_TAGS):
        group = gemmi.find_spacegroup_by_number(int(number)) if number.isdecimal() else None
        if group is None:
            raise ValueError(f"space group number {number!r} is unknown")
        if group.ext in ("1", "2"):
            raise ValueError(
                f"space group number {number} has two choices of origin: add the symmetry "
                f"operations, or {_SYMBOL_TAGS[0]}"
            )
        return group
    raise ValueError(f"has no symmetry: give {_OPERATION_TAGS[0]} or {_SYMBOL_TAGS[0]}")


def _group_of_operations(triplets: list[str], named: gemmi.SpaceGroup | None) -> gemmi.SpaceGroup:
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
    if named is not None and named.number != group.number:
        raise ValueError(
            f"its symmetry operations are those of {group.xhm()}, its symbol says {named.xhm()}"
        )
    return group


def _sites(block: gemmi.cif.Block, cell: UnitCell) -> list[Site]:
    structure = gemmi.make_small_structure_from_block(block)
    sites = []
    for atom in structure.sites:
        if atom.element.atomic_number == 0 or atom.element.it92 is None:
            raise ValueError(f"atom {atom.label!r} is of no element with a known form factor")
        x, y, z = atom.fract.tolist()
        if not math.isfinite(x + y + z):
            raise ValueError(f"atom {atom.label!r} has no place")
        if not 0.0 <= atom.occ <= 1.0:
            raise ValueError(f"atom {atom.label!r} has the occupancy {atom.occ:g}, not 0 to 1")
        if atom.occ > 0.0:
            b_factor = 8.0 * math.pi**2 * _mean_square(atom, cell)
            sites.append(Site(atom.element.name, (x, y, z), atom.occ, b_factor))
    if not sites:
        raise ValueError("has no atoms: _atom_site_fract_x, y and z are missing")
    return sites


def _mean_square(atom: gemmi.SmallStructure.Site, cell: UnitCell) -> float:
    """Mean square displacement along one direction (Å²), the mean of three where they differ."""
    if atom.u_iso > 0.0 or not atom.aniso.nonzero():
        return max(float(atom.u_iso), 0.0)
    # U is on the axes a* A a, with |a*| without 2π: its trace in Cartesian axes.
    axes = cell.direct * (np.linalg.norm(cell.reciprocal, axis=0) / (2.0 * math.pi))
    tensor = np.array(atom.aniso.as_mat33().tolist())
    return float(np.trace(axes @ tensor @ axes.T)) / 3.0


def _first_text(block: gemmi.cif.Block, tags: tuple[str, ...]) -> str:
    for tag in tags:
        text = gemmi.cif.as_string(block.find_value(tag) or "?").strip()
        if text:
            return text
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
