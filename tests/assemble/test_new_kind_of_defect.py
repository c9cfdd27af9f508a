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
from weakbeam.defects.field import UniformGradient, evaluate
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, Reflection
from weakbeam.experiment.defects import DefectTable
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.estimate import estimate
from weakbeam.run.record import record


class UniformStrain(DefectTable):
    """The table."""

    kind: Literal["strain"] = Field("strain", description="the whole crystal is stretched")
    direction: tuple[int, int, int] = Field(description="direction [uvw] of the stretching")
    strain: float = Field(description="how much")
    measured_in: str | None = Field(None, description="file that tells how much")

    @property
    def line_count(self):
        return 40

    @property
    def files(self):
        return () if self.measured_in is None else (self.measured_in,)


@dataclass(frozen=True)
class PlacedStrain:
    """The class."""

    gradient: Floats
    kind: str = "strain"

    @property
    def sources(self):
        return Sources(fields=(UniformGradient(self.gradient),))

    def turned(self, rotation):
        return replace(self, gradient=rotation @ self.gradient @ rotation.T)

    def rows(self):
        return {"gradient": (self.gradient[None], "um/um")}

    def shown(self, centre, reach):
        axis = np.linalg.eigh(self.gradient)[1][:, -1:].T
        line = StraightLines([[1e-4, 0, 0]], axis, centre[None], 0.0)
        return ShownLines(line, np.zeros(1, np.int64), ("strain",))


def place_strain(table, key, host):
    if abs(table.strain) > 0.1:
        raise InputError(f"{key}.strain", table.strain, "must be small")
    axis = host.sample_from_crystal @ host.crystal.cell.direction(table.direction)
    axis = axis / np.linalg.norm(axis)
    return (PlacedStrain(table.strain * np.outer(axis, axis)),)


class StrainedExperiment(Experiment):
    """An experiment file that may hold the new table."""

    defects: tuple[UniformStrain | Dislocation, ...] = ()


EDGE = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
OTHER = EDGE.model_copy(update={"position_um": (0.3, 0.2, 0.0)})
STRAIN = UniformStrain(direction=(-1, 1, -1), strain=1e-3)
SETTINGS = [
    "camera.pixels=[12, 16]",
    "camera.pixel_nm=200",
    "beam.height_fwhm_um=0.6",
    "scan.phi.value_mrad=0.12",
]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(PLACING, UniformStrain, place_strain)


def strained(*defects, **keys):
    return StrainedExperiment(defects=defects, **keys).with_settings(SETTINGS)


def test_its_field_is_in_the_image():
    strain, edge, both = (
        simulate(strained(*defects)).images.values
        for defects in ((STRAIN,), (EDGE,), (STRAIN, EDGE))
    )
    assert np.ptp(strain) == 0.0
    assert np.abs(both - edge).max() > 0.05 * edge.max()
    assert np.abs(both - strain).max() > 0.05 * strain.max()
    setup = assemble(strained(STRAIN, EDGE))
    points = np.random.default_rng(1).normal(size=(20, 3))
    expected = (
        evaluate(assemble(strained(EDGE)).field_at(), points) + setup.defects.placed[0].gradient
    )
    np.testing.assert_allclose(evaluate(setup.field_at(), points), expected, rtol=0, atol=1e-17)


def test_it_turns_with_the_crystal():
    mounts = (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))
    for setup in assemble_all(strained(STRAIN, reflections=mounts)):
        (placed,) = setup.defects.placed
        axis = setup.sample_from_crystal @ [-1, 1, -1] / np.sqrt(3)
        np.testing.assert_allclose(placed.gradient, 1e-3 * np.outer(axis, axis), atol=1e-17)


def test_its_rows_stand_in_the_file(tmp_path):
    experiment = strained(EDGE, STRAIN)
    file = record(experiment, tmp_path).file
    with h5py.File(file) as opened:
        table = {name: values[()] for name, values in opened["1.1/sample/defects"].items()}
        unit = opened["1.1/sample/defects/gradient"].attrs["units"]
    assert [kind.decode() for kind in table["kind"]] == ["dislocation", "strain"]
    assert table["defect"].tolist() == [0, 1]
    (placed,) = assemble(strained(STRAIN)).defects.placed
    np.testing.assert_array_equal(table["gradient"], [np.full((3, 3), np.nan), placed.gradient])
    assert unit == "um/um"
    assert np.isnan(table["burgers_vector"][1]).all()


def test_a_picture_shows_what_it_says():
    drawn = defects_drawing(assemble(strained(EDGE, OTHER, STRAIN)), 0.0)
    names = [drawn.options["labels"][kind] for kind in drawn.options["kinds"]]
    assert names == [names[0], names[0], "strain"]
    assert drawn.picture()[1:4] == b"PNG"


def test_it_tells_what_it_costs_and_names():
    assert estimate(strained(STRAIN)).seconds > estimate(strained(EDGE)).seconds
    assert assemble(strained(STRAIN, EDGE)).defects.count == 2
    measured = STRAIN.model_copy(update={"measured_in": "strain.h5"})
    assert input_files(strained(EDGE, measured)) == ["strain.h5"]


def test_its_mistakes_name_their_key():
    with pytest.raises(InputError, match="must be small") as raised:
        assemble(strained(EDGE, STRAIN.model_copy(update={"strain": 1.0})))
    assert raised.value.key == "defects[1].strain"
