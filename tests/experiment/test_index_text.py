"""Indices and names as people write them, the same in TOML, settings and Python."""

import math

import pytest

from weakbeam.assemble import assemble_all
from weakbeam.crystal.materials import MATERIALS, material
from weakbeam.errors import InputError
from weakbeam.experiment import Crystal, Experiment, Reflection

SPELLINGS = [
    ("2 2 0", (2, 2, 0)),
    ("220", (2, 2, 0)),
    ("2,2,0", (2, 2, 0)),
    ("(2 2 0)", (2, 2, 0)),
    ("-1 1 -1", (-1, 1, -1)),
    ("-11-1", (-1, 1, -1)),
    ("\u22121 1 \u22121", (-1, 1, -1)),
    ("1\u0304 1 1\u0305", (-1, 1, -1)),
    ("0 0 10", (0, 0, 10)),
    ("002", (0, 0, 2)),
]


@pytest.mark.parametrize(("written", "meant"), SPELLINGS)
def test_indices_are_read_on_every_route(written, meant):
    assert Reflection(hkl=written).hkl == meant
    assert Experiment.from_toml_text(f'[reflection]\nhkl = "{written}"').reflection.hkl == meant
    assert Experiment().with_settings([f"reflection.hkl={written}"]).reflection.hkl == meant
    assert Experiment().replace(reflection={"hkl": written}).reflection.hkl == meant


def test_numbers_of_three_digits_are_indices():
    assert Experiment().with_settings(["reflection.hkl=220"]).reflection.hkl == (2, 2, 0)
    assert Experiment().with_settings(["reflection.hkl=-111"]).reflection.hkl == (-1, 1, 1)


def test_vectors_and_mounts_are_read_as_well():
    experiment = Experiment().with_settings(
        ["crystal.mount=['100', '0 1 0', [0, 0, 1]]", "defects[0].burgers=1 0 -1"]
    )
    assert experiment.crystal.mount == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert experiment.defects[0].burgers == (1, 0, -1)


def test_text_and_list_give_the_same_file():
    written = Experiment().with_settings(["reflection.hkl=2 2 0", "crystal.material=copper"])
    plain = Experiment().with_settings(["reflection.hkl=[2, 2, 0]", "crystal.material=Cu"])
    assert written.to_toml() == plain.to_toml()
    assert written.digest == plain.digest


@pytest.mark.parametrize(
    "wrong", ["two", "2 2", "1 2 3 4 5", "1 x 0", "22", 22, True, "0 0 0", "1 1 100", "1.5 1 1", ""]
)
def test_what_is_no_list_of_indices_is_refused_in_one_line(wrong):
    with pytest.raises(InputError, match="must be three integers") as error:
        Reflection(hkl=wrong)
    assert error.value.key == "hkl"
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------------------- four indices

TITANIUM = ["crystal.material=titanium", "defects=[]"]
UPRIGHT = "crystal.x_axis=[0, 0, 1]"


def assembled(*settings):
    (setup,) = assemble_all(Experiment().with_settings([*TITANIUM, *settings]))
    return setup


def test_a_hexagonal_reflection_may_have_four_indices():
    four, three = (assembled(UPRIGHT, f"reflection.hkl={hkl}") for hkl in ("1 -1 0 0", "1 -1 0"))
    assert four.hkl == three.hkl == (1, -1, 0)
    assert four.geometry.theta == three.geometry.theta
    # d of (10-10) is a √3 / 2 whatever program says so; 17 keV.
    sine = 12.398419843 / 17.0 / (2 * 2.9506 * math.sqrt(3) / 2)
    assert math.sin(four.geometry.theta) == pytest.approx(sine, rel=1e-7)


def test_axis_and_mount_may_have_four_indices():
    prism = "reflection.hkl=1 -1 0 0"
    four = assembled(prism, "crystal.x_axis=[1, 1, -2, 0]").sample_from_crystal
    assert four == pytest.approx(assembled(prism, "crystal.x_axis=110").sample_from_crystal)
    # As a direction of three indices [1 -1 0] it would lie elsewhere.
    mounted = assembled(prism, "crystal.mount=['11-20', '0001', '1-100']").sample_from_crystal
    assert mounted == pytest.approx(
        assembled(prism, "crystal.mount=['110', '001', '1-10']").sample_from_crystal
    )


def test_the_third_of_four_indices_is_checked():
    with pytest.raises(InputError, match=r"up to 0, not 1; did you mean \[1, 1, -2, 0\]\?"):
        Reflection(hkl=(1, 1, -1, 0))
    with pytest.raises(InputError, match=r"did you mean \[1, 0, -1, 0\]\?"):
        Experiment().with_settings(["reflection.hkl=1000"])
    with pytest.raises(InputError, match=r"must add up to 0"):
        Crystal(mount=["1 1 0 0", "0 0 1", "1 -1 0"])


def test_cubic_reflections_have_three_indices():
    with pytest.raises(InputError, match="four indices need hexagonal axes") as error:
        assemble_all(Experiment().with_settings(["reflection.hkl=1 -1 0 0"]))
    assert error.value.key == "reflection.hkl"


# ---------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("written", "meant"),
    [("copper", "Cu"), ("Copper", "Cu"), ("cu", "Cu"), ("aluminum", "Al"), ("ALUMINIUM", "Al")],
)
def test_materials_have_the_names_that_people_use(written, meant):
    assert Crystal(material=written).material == meant
    assert Experiment().with_settings([f"crystal.material={written}"]).crystal.material == meant
    assert material(written) is MATERIALS[meant]


def test_names_of_materials_name_one_each():
    from weakbeam.core.material_names import NAMES, table_name
    from weakbeam.instrument.matter import SUBSTANCES

    assert {*MATERIALS, *SUBSTANCES} == {*NAMES}
    every = [name.lower() for known, names in NAMES.items() for name in (known, *names)]
    assert len(every) == len({*every})
    assert all(table_name(name) == name for name in NAMES)


def test_a_misspelt_word_is_told_the_one_that_was_meant():
    with pytest.raises(InputError, match='"goniometer"; did you mean "symmetric"'):
        Reflection(geometry="symetric")
    with pytest.raises(ValueError, match="did you mean 'copper'"):
        material("coper")
    with pytest.raises(InputError) as error:
        Reflection(geometry="upside down")
    assert "did you mean" not in str(error.value)


def test_the_axis_of_the_documentation_is_a_direction_and_no_plane():
    (setup,) = assemble_all(
        Experiment().with_settings([*TITANIUM, "reflection.hkl=0002", "crystal.x_axis=2 -1 -1 0"])
    )
    towards_x = setup.sample_from_crystal @ [1.0, 0.0, 0.0]
    assert towards_x == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)
