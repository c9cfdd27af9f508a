"""From the experiment's description to the crystal."""

from __future__ import annotations

from dataclasses import dataclass

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import Material, material
from weakbeam.crystal.symmetry import check_cell, find_space_group
from weakbeam.errors import naming
from weakbeam.experiment import Experiment


@dataclass(frozen=True)
class CrystalModel:
    """The crystal of an experiment.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    space_group : str
        Hermann-Mauguin symbol.
    named : Material or None
        The material, where the places of the atoms are those of the table.
    poisson_ratio : float
        For isotropic elasticity.
    """

    cell: UnitCell
    space_group: str
    named: Material | None
    poisson_ratio: float


def crystal_of(experiment: Experiment) -> CrystalModel:
    """The crystal that an experiment describes.

    Raises
    ------
    InputError
        For an unknown material or space group, or a cell that contradicts its space group.
    """
    table = experiment.crystal
    listed = None
    if table.material is not None:
        with naming("crystal.material", table.material):
            listed = material(table.material)
    cell = UnitCell(**table.cell.model_dump()) if table.cell is not None else None
    if cell is None:
        assert listed is not None
        cell = listed.cell
    poisson_ratio = table.poisson_ratio
    if poisson_ratio is None:
        assert listed is not None
        poisson_ratio = listed.poisson_ratio
    if table.space_group is not None:
        with naming("crystal.space_group", table.space_group):
            space_group = find_space_group(table.space_group).hm
            check_cell(space_group, cell)
        return CrystalModel(cell, space_group, None, poisson_ratio)
    assert listed is not None
    if table.cell is not None:
        with naming("crystal.cell", table.cell.model_dump()):
            check_cell(listed.space_group, cell)
    return CrystalModel(cell, listed.space_group, listed, poisson_ratio)
