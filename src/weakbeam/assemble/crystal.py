"""From the experiment's description to the crystal and its slip systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from weakbeam.assemble.indices import check_in_plane, direction_of, plane_of
from weakbeam.core.arrays import Floats
from weakbeam.crystal.atoms import AtomicStructure, Site, told_by_atoms
from weakbeam.crystal.cif import read_cif
from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium, Medium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import Material, extinction_reason, material
from weakbeam.crystal.slip import (
    LATTICES,
    SlipSystem,
    burgers_vector,
    slip_families,
)
from weakbeam.crystal.stiffness import check_positive, completed, free_constants, symmetrised
from weakbeam.crystal.structure_factor import form_factor
from weakbeam.crystal.symmetry import (
    Centring,
    absence_reason,
    centring_vectors,
    check_cell,
    fixed_by_system,
    lattice_type,
    settings_named,
)
from weakbeam.crystal.translations import lattice_of_atoms, lattice_of_axes
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Crystal, Experiment
from weakbeam.experiment.crystal import Cell


@dataclass(frozen=True)
class CrystalModel:
    """The crystal of an experiment.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    space_group : str
        Hermann-Mauguin symbol, with its setting where there are several.
    named : Material or None
        The material, where the places of the atoms are those of the table.
    poisson_ratio : float
        For isotropic elasticity.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell, the origin first: those of the space group, and those that
        the atoms have besides.
    name : str
        What to call the crystal: the material, or the formula of the CIF file.
    sites : tuple of Site or None
        Atoms of the asymmetric unit; None where they are not known.
    structure : str or None
        Which slip systems it has; None where that is not known.
    files : tuple of str
        Files that the crystal was read from.
    core_radius : float or None
        Radius of the core of every dislocation (µm); None where it is the length of its Burgers
        vector.
    constants : AnisotropicMedium or None
        Its elastic constants, in the crystal frame; None where they are not asked for.
    elasticity : {"isotropic", "anisotropic"}
        Whether fields follow from Poisson's ratio or from the constants.
    """

    cell: UnitCell
    space_group: str
    named: Material | None
    poisson_ratio: float
    centring: Centring
    name: str = "crystal"
    sites: tuple[Site, ...] | None = None
    structure: str | None = None
    files: tuple[str, ...] = ()
    core_radius: float | None = None
    constants: AnisotropicMedium | None = None
    elasticity: Literal["isotropic", "anisotropic"] = "isotropic"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the crystal was read."""
        listed = centring_vectors(self.space_group)
        if len(self.centring) == len(listed):
            return ()
        points = [point for point in self.centring if point not in listed]
        shown = ", ".join("(" + ", ".join(map(str, point)) + ")" for point in points[:3])
        more = " ..." if len(points) > 3 else ""
        return (
            f"the atoms repeat at {shown}{more} inside the cell, of which {self.space_group} says "
            f"nothing: the lattice is {lattice_of_axes(self.cell, self.centring)}, and Burgers "
            "vectors are vectors of it",
        )

    @property
    def medium(self) -> Medium:
        """What dislocations of the crystal lie in, in the Cartesian crystal frame.

        Its :meth:`turned` gives that of a sample.
        """
        if self.elasticity == "anisotropic":
            assert self.constants is not None
            return self.constants
        return IsotropicMedium(self.poisson_ratio)

    @property
    def elastic_lines(self) -> tuple[str, ...]:
        """What elasticity the fields have, in words."""
        if self.constants is None or self.elasticity == "isotropic":
            return (f"elasticity: isotropic, Poisson ratio {self.poisson_ratio:.4g}",)
        matrix, mean = self.constants.matrix, self.constants.averages
        shown = ", ".join(
            f"{name} {matrix[int(name[1]) - 1, int(name[2]) - 1]:.4g}"
            for name in free_constants(self.space_group, self.cell)
        )
        ratio = self.constants.zener_ratio
        anisotropy = f"universal anisotropy {mean.universal_anisotropy:.3g}"
        if ratio is not None:
            anisotropy = f"Zener ratio {ratio:.3g}, {anisotropy}"
        return (
            f"elasticity: anisotropic, {shown} GPa; {anisotropy}",
            f"its averages (Voigt-Reuss-Hill): K {mean.bulk:.4g}, G {mean.shear:.4g}, "
            f"E {mean.young:.4g} GPa, Poisson ratio {mean.poisson_ratio:.3g}",
        )

    def core_radii(self, burgers_vectors: Floats) -> Floats:
        """Radii of the cores (µm) of dislocations with Burgers vectors (..., 3), in µm."""
        if self.core_radius is not None:
            return np.full(burgers_vectors.shape[:-1], self.core_radius)
        # The norm of a vector alone rounds otherwise than that of a row, and images keep each bit.
        axis = None if burgers_vectors.ndim == 1 else -1
        return np.asarray(np.linalg.norm(burgers_vectors, axis=axis))

    @property
    def atomic_structure(self) -> AtomicStructure | None:
        """Cell, space group and atoms; None where the atoms are not known."""
        if self.sites is None:
            return None
        return AtomicStructure(self.cell, self.space_group, self.sites)

    def extinction_reason(self, hkl: Sequence[int]) -> str | None:
        """Say why a reflection is extinct, by the atoms where they are known; None if it is not."""
        if self.sites is None:
            return absence_reason(self.space_group, hkl)
        return extinction_reason(self.space_group, self.sites, hkl)


@dataclass(frozen=True)
class CrystalSlipSystem:
    """A slip system of the experiment's crystal.

    Parameters
    ----------
    family : str
        Such as "basal" or "{111}<110>".
    system : SlipSystem
        Plane (hkl) and direction [uvw], three indices each.
    burgers_vector : (3,) ndarray
        Shortest lattice vector along the direction (µm), Cartesian crystal frame.
    """

    family: str
    system: SlipSystem
    burgers_vector: Floats


def crystal_of(experiment: Experiment) -> CrystalModel:
    """The crystal that an experiment describes.

    Raises
    ------
    InputError
        For an unknown material or space group, a cell that contradicts its space group, atoms at
        the same place, a CIF file that cannot be used, a structure of another lattice, or slip
        systems that the crystal does not have.
    """
    table = experiment.crystal
    crystal = _from_cif(table) if table.cif is not None else _from_keys(table)
    if table.slip_families is not None or table.slip_systems is not None:
        slip_systems_of(experiment, crystal)
    return crystal


def _from_cif(table: Crystal) -> CrystalModel:
    assert table.cif is not None
    with naming("crystal.cif", table.cif):
        structure = read_cif(table.cif)
    cell, space_group = structure.cell, structure.space_group
    centring, sites = lattice_of_atoms(structure.atomic_structure)
    constants, poisson_ratio = _elastic(table, None, cell, space_group)
    return CrystalModel(
        cell,
        space_group,
        None,
        poisson_ratio,
        centring,
        structure.name,
        sites,
        _structure_of(table, None, cell, space_group, centring),
        (table.cif,),
        _core_radius(table),
        constants,
        table.elasticity,
    )


def _from_keys(table: Crystal) -> CrystalModel:
    """Return the crystal of a material, with what the keys beside it change, or of a cell."""
    listed = None
    if table.material is not None:
        with naming("crystal.material", table.material):
            listed = material(table.material)
    cell, settings = _cell_and_settings(table, listed)
    space_group = settings[0]
    named = listed if table.space_group is None and table.atoms is None else None
    sites = None if named is None else named.sites
    centring = centring_vectors(space_group)
    if table.atoms is not None:
        for index, atom in enumerate(table.atoms):
            with naming(f"crystal.atoms[{index}].element", atom.element):
                form_factor(atom.element, 0.0)
        own_sites = [Site(a.element, a.position, a.occupancy, a.b_factor) for a in table.atoms]
        with naming("crystal.atoms" if len(settings) == 1 else "crystal.space_group", None):
            space_group, sites = told_by_atoms(cell, settings, own_sites)
        centring, sites = lattice_of_atoms(AtomicStructure(cell, space_group, sites))
    constants, poisson_ratio = _elastic(table, listed, cell, space_group)
    return CrystalModel(
        cell,
        space_group,
        named,
        poisson_ratio,
        centring,
        table.material or "crystal",
        sites,
        _structure_of(table, listed, cell, space_group, centring),
        core_radius=_core_radius(table),
        constants=constants,
        elasticity=table.elasticity,
    )


def _elastic(
    table: Crystal, listed: Material | None, cell: UnitCell, space_group: str
) -> tuple[AnisotropicMedium | None, float]:
    """Return the elastic constants, None where nothing asks for them, and Poisson's ratio."""
    given, constants = table.stiffness_GPa, None
    key = "crystal.elasticity" if given is None else "crystal.stiffness_GPa"
    if given is not None or table.elasticity == "anisotropic":
        with naming(key, table.elasticity if given is None else None):
            if given is None:
                assert listed is not None
                # The table's axes are those of the table's cell, which may have been replaced.
                matrix = symmetrised(listed.stiffness_matrix, space_group, cell)
            elif isinstance(given, dict):
                matrix = completed(given, space_group, cell)
            else:
                check_positive(given)
                matrix = symmetrised(given, space_group, cell)
            check_positive(matrix)
            constants = AnisotropicMedium(matrix)
    if table.poisson_ratio is not None:
        return constants, table.poisson_ratio
    if constants is not None and given is not None:
        return constants, constants.averages.poisson_ratio
    assert listed is not None
    return constants, listed.poisson_ratio


def _cell_and_settings(table: Crystal, listed: Material | None) -> tuple[UnitCell, tuple[str, ...]]:
    """Return the cell, and the settings of the space group that the keys leave open."""
    if table.cell is None:
        assert listed is not None
        cell = listed.cell
    else:
        symbol = table.space_group
        if symbol is None:
            assert listed is not None
            symbol = listed.space_group
        with naming("crystal.space_group", symbol):
            cell = _completed(table.cell, symbol)
    if table.space_group is not None:
        with naming("crystal.space_group", table.space_group):
            settings = settings_named(table.space_group, cell)
            check_cell(settings[0], cell)
        return cell, settings
    assert listed is not None
    if table.cell is not None:
        with naming("crystal.cell", table.cell.model_dump(exclude_none=True)):
            check_cell(listed.space_group, cell)
    return cell, (listed.space_group,)


def _completed(table: Cell, space_group: str) -> UnitCell:
    """Return the cell with the edges and angles that the crystal system fixes."""
    given = table.model_dump(exclude_none=True)
    # Only rhombohedral axes have an angle alpha that is not fixed.
    axes = UnitCell.hexagonal(1.0, 1.0)
    if given.get("alpha", 90.0) != 90.0 or given.get("gamma") == 90.0:
        axes = UnitCell.cubic(1.0)
    setting = settings_named(space_group, axes)[0]
    fixed = fixed_by_system(setting)
    for name in ("b", "c", "alpha", "beta", "gamma"):
        if name in given:
            continue
        value = fixed.get(name)
        value = given.get(value) if isinstance(value, str) else value
        if value is None:
            needed = ", ".join(n for n in type(table).model_fields if n not in fixed)
            raise InputError(
                f"crystal.cell.{name}", None, f"missing; {setting} does not fix it: give {needed}"
            )
        given[name] = value
    with naming("crystal.cell", table.model_dump(exclude_none=True)):
        return UnitCell(**given)


def _core_radius(table: Crystal) -> float | None:
    return None if table.core_radius_nm is None else table.core_radius_nm / 1000.0


def _structure_of(
    table: Crystal,
    listed: Material | None,
    cell: UnitCell,
    space_group: str,
    centring: Centring,
) -> str | None:
    """Return the structure that is given, or the material's where it has the lattice for it.

    Slip systems need no more than the lattice, which may have a higher symmetry than the group
    that the cell is written in.
    """
    lattice = lattice_of_axes(cell, centring)
    lattices = {lattice}
    if centring == centring_vectors(space_group):
        lattice = lattice_type(space_group)
        lattices.add(lattice)
    if table.structure is None:
        inherited = None if listed is None else listed.structure
        return inherited if inherited and LATTICES[inherited] in lattices else None
    if LATTICES[table.structure] not in lattices:
        fitting = ", ".join(name for name, needed in LATTICES.items() if needed == lattice)
        raise InputError(
            "crystal.structure",
            table.structure,
            f"needs a {LATTICES[table.structure]} lattice, the crystal has {lattice}: "
            + (f"allowed are {fitting}" if fitting else "leave it out, or give slip_systems"),
        )
    return table.structure


def slip_systems_of(
    experiment: Experiment,
    crystal: CrystalModel,
    families: Sequence[str] | None = None,
    key: str = "crystal.slip_families",
) -> list[CrystalSlipSystem]:
    """The slip systems that an experiment allows its crystal.

    Those of ``crystal.slip_families`` and ``crystal.slip_systems``; all of the structure where
    neither is given. Or those of `families` alone, which `key` names.

    Raises
    ------
    InputError
        If the structure is not known, a family is none of its families, or an own system has its
        Burgers vector outside its plane.
    """
    table = experiment.crystal
    own_systems = (table.slip_systems or ()) if families is None else ()
    families = table.slip_families if families is None else families
    allowed: list[tuple[str, SlipSystem]] = []
    if families is not None or not own_systems:
        if crystal.structure is None:
            raise InputError(
                "crystal.structure", None, "missing; slip systems need it, or slip_systems"
            )
        known = slip_families(crystal.structure)
        for name in known if families is None else families:
            if name not in known:
                raise InputError(
                    key,
                    name,
                    f"is none of the families of {crystal.structure}: {', '.join(known)}",
                )
            allowed += ((name, system) for system in known[name])
    for index, own in enumerate(own_systems):
        key = f"crystal.slip_systems[{index}]"
        system = SlipSystem(
            plane_of(own.plane, crystal.cell, f"{key}.plane"),
            direction_of(own.burgers, crystal.cell, f"{key}.burgers"),
        )
        check_in_plane(own.burgers, own.plane, system, f"{key}.burgers")
        allowed.append((own.name, system))
    return [
        CrystalSlipSystem(
            name, system, burgers_vector(crystal.cell, crystal.centring, system.direction)
        )
        for name, system in allowed
    ]
