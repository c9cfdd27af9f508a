"""The defects that a run lists in its file, and runs that read them back."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakbeam import simulate
from weakbeam.errors import InputError
from weakbeam.experiment import (
    AllReflections,
    Boundary,
    Dislocation,
    Experiment,
    Loop,
    Polyline,
    RandomDislocations,
    Reflection,
    StoredDislocations,
    Wall,
)
from weakbeam.io.reading import entry_names
from weakbeam.run.record import record

EDGE = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "line": (1.0, -2.0, 1.0)}
KINDS = {
    "random": RandomDislocations(count=80, seed=5),
    "box": RandomDislocations(
        region="box", size_um=(6.0, 8.0, 1.0), density_per_m2=2e12, excess=0.5, character_deg=0.0
    ),
    "wall": Wall(**EDGE, spacing_um=0.4, count=9, position_um=(0.1, 0.2, 0.3)),
    "endless": Wall(**EDGE, spacing_um=0.7, order="bipolar"),
    "twist": Wall(
        burgers=(1, 0, -1), line=(1, 0, -1), spacing_um=2.0, order="twist", second_burgers=(1, 0, 1)
    ),
    "boundary": Boundary(recipe="leds_eq11", angle_deg=0.01, extent_um=30.0),
    "loop": Loop(plane=(1, 1, 1), burgers=(1, 1, 1), radius_um=0.8, segments=7),
    "bow": Polyline(points_um=((-1, 0, 0), (0, 1, 0)), burgers=(0, 1, 1), ends="straight"),
    "line": Dislocation(**EDGE, position_um=(0.5, -0.3, 0.1)),
}
MIXED = tuple(KINDS[name] for name in ("wall", "random", "line", "boundary"))


def small(**keys):
    """An experiment of a few pixels, in the weak beam; a sample each, for it is about the lists."""
    settings = [
        "camera.oversampling='point'",
        "camera.pixels=[12, 16]",
        "camera.pixel_nm=200",
        "beam.height_fwhm_um=0.6",
        "scan.phi.value_mrad=0.12",
        "output.figures=false",
    ]
    return Experiment(**keys).with_settings(settings)


def read_from(path, like):
    return like.model_copy(update={"defects": (StoredDislocations(file=str(path)),)})


def images(experiment, workers=1):
    return simulate(experiment, workers=workers).images.values


@pytest.mark.parametrize("name", KINDS)
def test_images_of_a_stored_list_are_the_same_bit_for_bit(tmp_path, name):
    drawn = small(defects=(KINDS[name],))
    first = record(drawn, tmp_path / "first", workers=1)
    stored = read_from(first.file, drawn)
    expected = images(drawn)
    np.testing.assert_array_equal(images(stored, workers=2), expected)
    # And so is a list that was read from a list.
    second = record(stored, tmp_path / "second", workers=1)
    np.testing.assert_array_equal(images(read_from(second.file, drawn)), expected)


GROUP = {"all_reflections": AllReflections(in_group_of=(-1, -1, 3)), "preset": "id06-oblique"}
FEW = ["camera.pixels=[5, 7]", "camera.pixel_nm=450"]
"""The same field of view in fewer pixels: several reflections of many defects take long."""
REMOUNTED = {"reflections": (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))}


@pytest.mark.parametrize("keys", [GROUP, REMOUNTED], ids=["oblique", "remounted"])
def test_a_stored_list_is_the_same_in_several_reflections(tmp_path, keys):
    drawn = small(defects=MIXED, **keys).with_settings(FEW)
    file = record(drawn, tmp_path, workers=1).file
    expected = images(drawn)
    assert len(entry_names(file)) == len(expected)
    np.testing.assert_array_equal(images(read_from(file, drawn)), expected)


def test_a_stored_list_turns_with_the_crystal(tmp_path):
    both = small(defects=MIXED, **REMOUNTED).with_settings(FEW)
    file = record(both, tmp_path, workers=1).file
    # Mounted for the other reflection, the same dislocations lie elsewhere in the sample.
    alone = small(
        defects=(StoredDislocations(file=str(file)),), reflection=Reflection(hkl=(1, 1, 1))
    ).with_settings(FEW)
    np.testing.assert_allclose(images(alone), images(both)[1], atol=1e-6)


ANISOTROPIC = ["crystal.elasticity='anisotropic'", "crystal.material='Cu'"]


def test_a_stored_list_of_an_anisotropic_crystal_is_the_same_bit_for_bit(tmp_path):
    drawn = small(defects=MIXED).with_settings([*FEW, *ANISOTROPIC])
    first = record(drawn, tmp_path / "first", workers=1)
    expected = images(drawn)
    np.testing.assert_array_equal(images(read_from(first.file, drawn)), expected)
    # In a crystal of its own, and from a list of a list.
    second = record(
        read_from(first.file, small().with_settings(FEW)), tmp_path / "second", workers=1
    )
    here = small().with_settings([*FEW, "crystal.material='Cu'"])
    np.testing.assert_array_equal(images(read_from(second.file, here)), expected)
    assert not np.array_equal(
        images(drawn.with_settings(["crystal.elasticity='isotropic'"])), expected
    )
    with h5py.File(first.file) as opened:
        table = opened["1.1/sample/defects"]
        assert table["stiffness"].shape == (84, 6, 6)
        assert table["stiffness"].attrs["units"] == "GPa"
        assert np.isnan(table["poisson_ratio"][()]).all()


def test_a_stored_list_of_an_anisotropic_crystal_turns_with_its_medium(tmp_path):
    both = small(defects=MIXED, **REMOUNTED).with_settings([*FEW, *ANISOTROPIC])
    file = record(both, tmp_path, workers=1).file
    alone = small(
        defects=(StoredDislocations(file=str(file)),), reflection=Reflection(hkl=(1, 1, 1))
    ).with_settings([*FEW, *ANISOTROPIC])
    np.testing.assert_allclose(images(alone), images(both)[1], atol=1e-6)


def test_a_list_of_an_isotropic_and_an_anisotropic_medium_reads_back_the_same(tmp_path):
    tiny = small().with_settings(FEW)
    first = tiny.model_copy(update={"defects": MIXED})
    file = record(first, tmp_path / "first", workers=1).file
    defects = (StoredDislocations(file=str(file)), KINDS["line"], KINDS["wall"])
    both = tiny.model_copy(update={"defects": defects}).with_settings(
        ["crystal.elasticity='anisotropic'"]
    )
    second = record(both, tmp_path / "second", workers=1).file
    np.testing.assert_array_equal(images(read_from(second, tiny)), images(both))


def test_damaged_constants_say_so(tmp_path):
    drawn = small(defects=(KINDS["line"],)).with_settings(ANISOTROPIC)
    file = record(drawn, tmp_path, workers=1).file
    with h5py.File(file, "r+") as opened:
        opened["1.1/sample/defects/stiffness"][0, 0, 0] = -1.0
    with pytest.raises(InputError, match=r"damaged.*positive definite"):
        images(read_from(file, small()))


OTHER_CRYSTAL = ["crystal.poisson_ratio=0.1"]


def test_a_stored_list_keeps_the_medium_in_which_it_was_made(tmp_path):
    drawn = small(defects=MIXED)
    file = record(drawn, tmp_path, workers=1).file
    stored = read_from(file, drawn.with_settings(OTHER_CRYSTAL))
    np.testing.assert_array_equal(images(stored), images(drawn))
    assert not np.array_equal(images(drawn.with_settings(OTHER_CRYSTAL)), images(drawn))


def test_a_list_of_two_media_reads_back_the_same(tmp_path):
    file = record(small(defects=MIXED), tmp_path / "first", workers=1).file
    both = small(
        defects=(StoredDislocations(file=str(file)), KINDS["line"], KINDS["wall"])
    ).with_settings(OTHER_CRYSTAL)
    second = record(both, tmp_path / "second", workers=1).file
    with h5py.File(second) as opened:
        ratios = opened["1.1/sample/defects/poisson_ratio"][()].tolist()
    assert ratios == [0.334] * 84 + [0.1] * 2
    np.testing.assert_array_equal(images(read_from(second, small())), images(both))


def test_the_file_lists_every_dislocation_and_wall(tmp_path):
    file = record(small(defects=MIXED), tmp_path, workers=1).file
    with h5py.File(file) as opened:
        table = {name: values[()] for name, values in opened["1.1/sample/defects"].items()}
        units = {n: values.attrs.get("units") for n, values in opened["1.1/sample/defects"].items()}
    kinds = [kind.decode() for kind in table["kind"]]
    assert kinds == ["wall"] + ["random"] * 80 + ["dislocation"] + ["boundary"] * 2
    np.testing.assert_array_equal(table["defect"], [0] + [1] * 80 + [2, 3, 3])
    assert (units["burgers_vector"], units["position"], units["spacing"]) == ("um", "um", "um")
    length = 4.0495e-4 / np.sqrt(2.0)
    np.testing.assert_allclose(np.linalg.norm(table["burgers_vector"], axis=1), length)
    np.testing.assert_allclose(np.linalg.norm(table["line"], axis=1), 1.0)
    names = [name.decode() for name in table["slip_system"]]
    assert all(name.startswith("(") for name in names[1:81])
    assert not any([names[0], *names[81:]])
    assert table["spacing"][0] == 0.4
    assert np.isnan(table["spacing"][1:82]).all()
    assert table["count"][0] == 9


lines = st.builds(
    RandomDislocations,
    count=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
    excess=st.floats(-1, 1),
    minimum_distance_um=st.sampled_from([0.0, 0.01]),
    depth_um=st.none() | st.floats(0, 2),
    position_um=st.tuples(*[st.floats(-3, 3)] * 3),
    character_deg=st.none() | st.floats(-180, 180) | st.just((0.0, 60.0, 90.0)),
)


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(lines, st.booleans())
def test_any_population_reads_back_the_same(tmp_path_factory, population, oblique):
    chosen = {"preset": "id06-oblique"} if oblique else {}
    drawn = small(defects=(population,), **chosen).with_settings(["camera.pixels=[3, 4]"])
    file = record(drawn, tmp_path_factory.mktemp("run"), workers=1).file
    np.testing.assert_array_equal(images(read_from(file, drawn)), images(drawn))


def test_workers_change_nothing():
    drawn = small(defects=(KINDS["random"], KINDS["boundary"]))
    np.testing.assert_array_equal(images(drawn, workers=1), images(drawn, workers=3))


def test_a_run_does_not_replace_the_file_that_it_reads(tmp_path):
    drawn = small(defects=(KINDS["random"],))
    file = record(drawn, tmp_path, workers=1).file
    before = file.read_bytes()
    with pytest.raises(InputError, match="which the experiment reads"):
        record(read_from(file, drawn), tmp_path, overwrite=True)
    assert file.read_bytes() == before


def test_files_without_defects_say_so(tmp_path):
    perfect = record(small(defects=()), tmp_path / "perfect", workers=1).file
    (tmp_path / "text.h5").write_text("not HDF5")
    h5py.File(tmp_path / "other.h5", "w").close()
    for path, said in (
        (perfect, "lists no defects"),
        (tmp_path / "text.h5", "no readable HDF5 file"),
        (tmp_path / "other.h5", "not written by weakbeam"),
        (tmp_path / "absent.h5", "no such file"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(InputError, match=said) as raised:
            images(read_from(path, small()))
        assert raised.value.key == "defects[0].file"


def test_a_damaged_list_says_so(tmp_path):
    file = record(small(defects=(KINDS["random"],)), tmp_path, workers=1).file
    with h5py.File(file, "r+") as opened:
        opened["1.1/sample/defects/burgers_vector"][3] = 0.0
    with pytest.raises(InputError, match=r"damaged.*a Burgers vector is zero"):
        images(read_from(file, small()))
    with h5py.File(file, "r+") as opened:
        opened["1.1/sample/defects/poisson_ratio"][3] = 0.7
    with pytest.raises(InputError, match=r"damaged.*poisson_ratio"):
        images(read_from(file, small()))
