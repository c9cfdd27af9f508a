"""A kind of defect that the package does not know: one table and one class, defined here alone.

What it takes to add a kind is told in docs/explanation/architecture.md, "Where things go".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import h5py
import numpy as np
import pytest
from pydantic import Field

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all, input_files
from weakbeam.assemble.defects import PLACING
from weakbeam.assemble.placed import ShownLines, Sources
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, Reflection
from weakbeam.experiment.defects import DefectTable
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.estimate import estimate
from weakbeam.run.record import record


class Bending(DefectTable):
    """The table."""

    kind: Literal["bending"] = Field("bending", description="the lattice turns along a direction")
    along: tuple[int, int, int] = Field(description="direction [uvw] along which it turns")
    curvature_per_um: float = Field(description="by how much")
    measured_in: str | None = Field(None, description="file that tells how much")

    @property
    def line_count(self):
        return 40

    @property
    def files(self):
        return () if self.measured_in is None else (self.measured_in,)


@dataclass(frozen=True)
class BendingField:
    """The field: β = κ (r·a) (b ⊗ a − a ⊗ b)."""

    along: Floats
    towards: Floats
    curvature: float

    def add_to(self, gradient, points):
        turn = np.outer(self.towards, self.along) - np.outer(self.along, self.towards)
        gradient += self.curvature * turn.reshape(9, 1) * (self.along @ points)


@dataclass(frozen=True)
class PlacedBending:
    """The class."""

    field: BendingField
    kind: str = "bending"

    @property
    def sources(self):
        return Sources(fields=(self.field,))

    def turned(self, rotation):
        along, towards = rotation @ self.field.along, rotation @ self.field.towards
        return replace(self, field=replace(self.field, along=along, towards=towards))

    def rows(self):
        return {
            "bent_along": (self.field.along[None], ""),
            "curvature": (np.array([self.field.curvature]), "1/um"),
        }

    def shown(self, centre, reach):
        line = StraightLines([[1e-4, 0, 0]], self.field.along[None], centre[None], 0.0)
        return ShownLines(line, np.zeros(1, np.int64), ("bending",))


def place_bending(table, key, host):
    if abs(table.curvature_per_um) > 0.1:
        raise InputError(f"{key}.curvature_per_um", table.curvature_per_um, "must be small")
    along = host.sample_from_crystal @ host.crystal.cell.direction(table.along)
    along = along / np.linalg.norm(along)
    towards = np.cross(along, host.sample_from_crystal @ [0.6, 0.0, 0.8])
    towards = towards / np.linalg.norm(towards)
    return (PlacedBending(BendingField(along, towards, table.curvature_per_um)),)


class BentExperiment(Experiment):
    """An experiment file that may hold the new table."""

    defects: tuple[Bending | Dislocation, ...] = ()


EDGE = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
OTHER = EDGE.model_copy(update={"position_um": (0.3, 0.2, 0.0)})
BENT = Bending(along=(-1, 1, 2), curvature_per_um=1e-4)
SETTINGS = [
    "camera.pixels=[12, 16]",
    "camera.pixel_nm=200",
    "beam.height_fwhm_um=0.6",
    "scan.phi.value_mrad=0.12",
]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(PLACING, Bending, place_bending)


def bent(*defects, **keys):
    return BentExperiment(defects=defects, **keys).with_settings(SETTINGS)


def test_its_field_is_in_the_image():
    alone, edge, both = (
        simulate(bent(*defects)).images.values for defects in ((BENT,), (EDGE,), (BENT, EDGE))
    )
    assert np.ptp(alone) > 0.05 * alone.max()
    assert np.abs(both - edge).max() > 0.05 * edge.max()
    assert np.abs(both - alone).max() > 0.05 * alone.max()
    setup = assemble(bent(BENT, EDGE))
    points = np.random.default_rng(1).normal(size=(20, 3))
    expected = evaluate(assemble(bent(EDGE)).field_at(), points)
    expected += evaluate(setup.defects.placed[0].field, points)
    np.testing.assert_allclose(evaluate(setup.field_at(), points), expected, rtol=0, atol=1e-17)


def test_it_turns_with_the_crystal():
    mounts = (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))
    for setup in assemble_all(bent(BENT, reflections=mounts)):
        (placed,) = setup.defects.placed
        axis = setup.sample_from_crystal @ [-1, 1, 2] / np.sqrt(6)
        np.testing.assert_allclose(placed.field.along, axis, atol=1e-15)


def test_its_rows_stand_in_the_file(tmp_path):
    experiment = bent(EDGE, BENT)
    file = record(experiment, tmp_path).file
    with h5py.File(file) as opened:
        table = {name: values[()] for name, values in opened["1.1/sample/defects"].items()}
        unit = opened["1.1/sample/defects/curvature"].attrs["units"]
    assert [kind.decode() for kind in table["kind"]] == ["dislocation", "bending"]
    assert table["defect"].tolist() == [0, 1]
    (placed,) = assemble(bent(BENT)).defects.placed
    np.testing.assert_array_equal(table["curvature"], [np.nan, placed.field.curvature])
    np.testing.assert_array_equal(table["bent_along"][1], placed.field.along)
    assert unit == "1/um"
    assert np.isnan(table["burgers_vector"][1]).all()


def test_a_picture_shows_what_it_says():
    drawn = defects_drawing(assemble(bent(EDGE, OTHER, BENT)), 0.0)
    names = [drawn.options["labels"][kind] for kind in drawn.options["kinds"]]
    assert names == [names[0], names[0], "bending"]
    assert drawn.picture()[1:4] == b"PNG"


def test_it_tells_what_it_costs_and_names():
    assert estimate(bent(BENT)).seconds > estimate(bent(EDGE)).seconds
    defects = assemble(bent(BENT, EDGE)).defects
    assert defects.count == 2
    assert defect_lines(defects)[0] == "defects[0]  bending"
    measured = BENT.model_copy(update={"measured_in": "bending.h5"})
    assert input_files(bent(EDGE, measured)) == ["bending.h5"]


def test_its_mistakes_name_their_key():
    with pytest.raises(InputError, match="must be small") as raised:
        assemble(bent(EDGE, BENT.model_copy(update={"curvature_per_um": 1.0})))
    assert raised.value.key == "defects[1].curvature_per_um"
