"""Several reflections of the same defects: in memory, in the file, and where they come from."""

import math

import h5py
import numpy as np
import pytest

from weakbeam import center_of_mass, q_field, simulate
from weakbeam.assemble import assemble, assemble_all, resolve
from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.assemble.reflection import reflections_of
from weakbeam.crystal.lattice import unit
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.reading import entry_names, read_entry, read_frames
from weakbeam.run.estimate import estimate
from weakbeam.run.figures import draw_file, figure_prefix, is_own_figure
from weakbeam.run.labelled import LabelledArray
from weakbeam.run.record import record
from weakbeam.run.reflection_rows import validity_notes
from weakbeam.run.simulate import Run, draw_run

SMALL = """
[camera]
pixels = [6, 9]
oversampling = "point"
pixel_nm = 300
[scan.phi]
half_range_mrad = 0.2
steps = 4
[output]
figures = false
"""
EDGE = "[[defects]]\nburgers = [1, 0, -1]\nline = [1, -2, 1]\nposition_um = [0.1, 0.3, 0.05]\n"
CUBE = "[crystal]\nmount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n[beam]\nenergy_keV = 19.1\n"
OBLIQUE = [
    'hkl = [-1, -1, 3]\ngeometry = "oblique"',
    'hkl = [1, 1, 3]\ngeometry = "oblique"\nsolution = 2',
    'hkl = [2, 0, 0]\ngeometry = "goniometer"\nmu_deg = 2\nphi_deg = 3\nchi_deg = -1',
]
SYMMETRIC = ["hkl = [-1, 1, -1]", "hkl = [2, 0, 0]\nx_axis = [0, 1, 1]", "hkl = [0, 2, 0]"]


def experiment(reflections, start: str = CUBE, rest: str = SMALL) -> Experiment:
    listed = "\n".join(f"[[reflections]]\n{table}" for table in reflections)
    return Experiment.from_toml_text(f"{start}\n{listed}\n{EDGE}\n{rest}")


def alone(table: str, start: str = CUBE) -> Experiment:
    return Experiment.from_toml_text(f"{start}\n[reflection]\n{table}\n{EDGE}\n{SMALL}")


SEVERAL = experiment(OBLIQUE)


@pytest.fixture(scope="module")
def run():
    return simulate(SEVERAL, workers=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "run"
    return record(SEVERAL.with_settings(["output.field=true"]), path, workers=1).folder


def test_every_reflection_is_simulated_as_it_is_alone(run) -> None:
    assert run.images.dims == ("reflection", "phi", "row", "column")
    assert run.images.shape == (3, 4, 6, 9)
    for number, table in enumerate(OBLIQUE):
        single = simulate(alone(table), workers=1)
        np.testing.assert_array_equal(run.images.values[number], single.images.values)


def test_maps_and_fields_have_a_reflection_axis(run) -> None:
    maps = center_of_mass(run)
    assert maps.chi is None
    q = q_field(SEVERAL, workers=1)
    assert q.dims == ("reflection", "component", "row", "column")
    for number, table in enumerate(OBLIQUE):
        single = alone(table)
        np.testing.assert_array_equal(q.values[number], q_field(single, workers=1).values)
        expected = center_of_mass(simulate(single, workers=1)).phi
        np.testing.assert_array_equal(maps.phi[number], expected)


def test_a_remount_carries_the_defects_along() -> None:
    """Positions count in the sample frame of the first reflection; the crystal keeps its defect."""
    setups = assemble_all(experiment(SYMMETRIC, start=""))
    places, normals = [], []
    for setup in setups:
        ((line,),) = [[placed.line for placed in setup.dislocations]]
        to_crystal = setup.sample_from_crystal.T
        places.append((to_crystal @ line.position, to_crystal @ line.line))
        normals.append(to_crystal[:, 2])
        assert setup.geometry.eta == 0
    np.testing.assert_allclose(setups[0].dislocations[0].line.position, [0.1, 0.3, 0.05])
    for place in places[1:]:
        np.testing.assert_allclose(place, places[0], atol=1e-12)
    expected = [unit(h) for h in ([-1, 1, -1], [1, 0, 0], [0, 1, 0])]
    np.testing.assert_allclose(normals, expected, atol=1e-12)
    np.testing.assert_allclose(setups[1].sample_from_crystal[0], unit([0, 1, 1]), atol=1e-12)


def test_the_first_one_is_what_one_gets_where_only_one_is_wanted() -> None:
    setup, whole = assemble(SEVERAL), assemble_all(SEVERAL)
    assert setup.hkl == whole[0].hkl == (-1, -1, 3)
    np.testing.assert_array_equal(setup.sample_from_crystal, whole[0].sample_from_crystal)
    assert fingerprint_of(SEVERAL).digest != fingerprint_of(alone(OBLIQUE[0])).digest


def test_the_file_has_an_entry_for_each(folder, run) -> None:
    path = folder / "weakbeam.h5"
    assert entry_names(path) == ["1.1", "2.1", "3.1"]
    setups = assemble_all(SEVERAL)
    with h5py.File(path) as file:
        for number, setup in enumerate(setups):
            entry = file[f"{number + 1}.1"]
            frames = read_frames(path, f"{number + 1}.1", range(4))
            np.testing.assert_array_equal(frames, run.images.values[number])
            motors = entry["instrument/positioners"]
            for name in ("mu", "omega", "chi"):
                assert motors[name][()] == pytest.approx(math.degrees(setup.motors[name]))
            # φ counts from the motor's zero, and so does its centre of mass.
            bragg = math.degrees(setup.motors["phi"])
            scanned = np.degrees([-2e-4, -2e-4 / 3, 2e-4 / 3, 2e-4])
            np.testing.assert_allclose(entry["instrument/phi/value"], bragg + scanned, atol=1e-12)
            assert np.nanmean(entry["maps/phi_com/phi_com"]) == pytest.approx(bragg, abs=0.02)
            two_theta = math.degrees(2 * setup.geometry.theta)
            assert motors["obpitch"][()] == pytest.approx(two_theta)
            goniometer = entry["instrument/goniometer"]
            assert tuple(goniometer["hkl"][()]) == setup.hkl
            assert goniometer["eta"][()] == pytest.approx(math.degrees(setup.geometry.eta))
            table = entry["sample/reflections"]
            assert list(table["entry"].asstr()) == ["1.1", "2.1", "3.1"]
            assert tuple(table["hkl"][number]) == setup.hkl
            assert table["omega"][number] == pytest.approx(math.degrees(setup.motors["omega"]))
            found = table["structure_factor"][number]
            assert found == pytest.approx(setup.strength.structure_factor)
        # (200) is the strongest of the three.
        assert np.argmax(table["relative_power"]) == 2
        assert table["relative_power"][2] == 1
        configuration = file["1.1/simulation/configuration/data"].asstr()[()]
        assert Experiment.from_toml_text(configuration).reflections == SEVERAL.reflections
    with h5py.File(folder / "weakbeam_truth.h5") as file:
        q = q_field(SEVERAL, workers=1).values
        for number in range(3):
            np.testing.assert_array_equal(file[f"{number + 1}.1/q/q"], q[number])


def test_remounts_have_orientations_and_defects_of_their_own(tmp_path) -> None:
    several = experiment(SYMMETRIC, start="")
    record(several, tmp_path / "run", workers=1)
    with h5py.File(tmp_path / "run" / "weakbeam.h5") as file:
        for number, setup in enumerate(assemble_all(several)):
            sample = file[f"{number + 1}.1/sample"]
            np.testing.assert_array_equal(sample["orientation_matrix"], setup.sample_from_crystal)
            (placed,) = setup.dislocations
            np.testing.assert_allclose(sample["defects/line"][0], placed.line.line)


def test_twins_follow_all_reflections(tmp_path) -> None:
    with_twins = SEVERAL.with_settings(["output.perfect_crystal=true", "output.layout=bliss"])
    result = record(with_twins, tmp_path / "run", workers=1)
    assert result.frames == 24
    assert estimate(with_twins).frames == 24
    assert len(entry_names(result.file)) == 6
    with h5py.File(result.file) as file:
        perfect = [int(file[f"{n}.1/instrument/crystal/perfect"][()]) for n in range(1, 7)]
        hkl = [tuple(file[f"{n}.1/instrument/goniometer/hkl"]) for n in range(1, 7)]
    assert perfect == [0, 0, 0, 1, 1, 1]
    assert hkl[:3] == hkl[3:]
    for name in ("4.1", "6.1"):
        frames = read_frames(result.file, name, range(4))
        # All pixels are alike, and the peak of the scan is the peak of the acceptance.
        np.testing.assert_allclose(frames.std(axis=(1, 2)), 0, atol=1e-6)


def test_an_interrupted_run_goes_on(tmp_path) -> None:
    counted = SEVERAL.with_settings(["camera.model=pco_edge"])
    left = [6.0]

    def interrupt(amount: float) -> None:
        left[0] -= amount
        if left[0] <= 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(counted, tmp_path / "cut", workers=1, progress=interrupt)
    assert not read_entry(tmp_path / "cut" / "weakbeam.h5", "3.1").done.any()
    result = record(counted, tmp_path / "cut", resume=True, workers=1)
    whole = record(counted, tmp_path / "whole", workers=1)
    for name in entry_names(whole.file):
        a, b = (read_frames(path, name, range(4)) for path in (result.file, whole.file))
        np.testing.assert_array_equal(a, b)
        for kind in ("phi_com", "phi_fwhm"):
            maps = [read_entry(r.file, name).maps[kind].values for r in (result, whole)]
            np.testing.assert_array_equal(*maps)


def test_every_reflection_has_its_figures(tmp_path) -> None:
    drawn = experiment(OBLIQUE[:2], rest=SMALL.replace("figures = false", "figures = true"))
    result = record(drawn, tmp_path / "run", workers=1)
    prefixes = [figure_prefix(n, 2, s) for n, s in enumerate(assemble_all(drawn))]
    assert prefixes == ["1_-1_-1_3_", "2_1_1_3_"]
    kinds = ("image", "rocking", "acceptance", "maps")
    names = [f"{prefix}{kind}.png" for prefix in prefixes for kind in kinds]
    assert [path.name for path in result.figures] == names
    assert all(is_own_figure(path) for path in result.figures)
    assert not is_own_figure(tmp_path / "my_image.png")
    again = record(drawn, tmp_path / "run", resume=True, workers=1)
    assert again.unchanged
    assert again.figures == result.figures
    assert again.reflections == result.reflections
    # A run without figures takes the place of all of them.
    record(alone(OBLIQUE[0]), tmp_path / "run", overwrite=True, workers=1)
    assert list((tmp_path / "run" / "figures").iterdir()) == []


def test_figures_of_many_reflections_sort_by_their_number(tmp_path) -> None:
    setup = assemble_all(experiment(OBLIQUE[:1]))[0]
    prefixes = [figure_prefix(number, 12, setup) for number in range(12)]
    assert prefixes[0] == "01_-1_-1_3_"
    assert prefixes[-1] == "12_-1_-1_3_"
    assert sorted(prefixes) == prefixes
    assert all(is_own_figure(tmp_path / f"{prefix}image.png") for prefix in prefixes)


def test_a_run_in_memory_has_the_same_figures(run) -> None:
    one = LabelledArray(
        run.images.values[:2],
        run.images.dims,
        run.images.coords | {"reflection": np.arange(2)},
        run.images.units,
    )
    figures = draw_run(Run(experiment(OBLIQUE[:2]), one))
    assert len(figures) == 8
    assert {"1_-1_-1_3_image", "2_1_1_3_maps"} < set(figures)


def test_figures_of_an_entry_are_those_of_its_reflection(folder) -> None:
    figure = draw_file(folder / "weakbeam.h5", 1)["image"]
    said = " ".join(text.get_text() for text in figure.texts)
    assert "Al (1 1 3), 19.1 keV" in said
    assert "frame" in said


GROUP = CUBE + "[all_reflections]\nin_group_of = [-1, -1, 3]\n"


def found(text: str) -> dict[tuple[int, ...], float]:
    """η (degrees) by hkl and solution."""
    return {
        (*part.reflection.hkl, part.reflection.solution): math.degrees(part.setting.geometry.eta)
        for part in resolve(Experiment.from_toml_text(text)).reflections
    }


def test_the_group_of_a_reflection_stands_at_one_azimuth() -> None:
    group = found(GROUP)
    # Henningsson et al. (2025), table A.2: which of the two has the η of the first one's first.
    assert set(group) == {(-1, -1, 3, 1), (-1, 1, 3, 1), (1, -1, 3, 2), (1, 1, 3, 2)}
    assert np.ptp(list(group.values())) < 1e-9
    both = found(GROUP + 'solutions = "both"\n')
    assert set(both) == {(*hkl[:3], n) for hkl in group for n in (1, 2)}


def test_all_reflections_below_an_angle() -> None:
    text = CUBE + "[all_reflections]\ntheta_max_deg = 13.2\n"
    below = found(text)
    # {111} and those of {202} that leave the horizontal plane: {200} does not, or lies along the
    # axis of rotation.
    families = [tuple(sorted(map(abs, key[:3]))) for key in below]
    assert families.count((1, 1, 1)) == families.count((0, 2, 2)) == 8
    assert len(below) == 16
    assert {key[3] for key in below} == {1}
    asked = Experiment.from_toml_text(text)
    assert estimate(asked).frames == 16
    assert {named.key for named in reflections_of(asked)} == {"all_reflections"}
    assert Experiment.from_toml_text(asked.to_toml()) == asked


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("[reflection]\n[[reflections]]", "reflections", "either reflection or reflections"),
        ("reflections = []", "reflections", "a list of tables"),
        ("[reflections]\nhkl = [1, 1, 1]", "reflections", "a list of tables"),
        ("[[reflections]]\nhkl = [1, 1, 1]\n[[reflections]]\nhkl = [0, 0, 1]",
         "reflections[1].hkl", "extinct"),
        ("[[reflections]]\nhkl = [1, 1, 1]\n[[reflections]]\nhkl = [1, 1, 31]",
         "reflections[1].hkl", "keV"),
        ("[[reflections]]\nhkl = [1, 1, 1]\n[[reflections]]\nhkl = [2, 0, -2]",
         "crystal.x_axis", "parallel"),
        ('[[reflections]]\n[[reflections]]\ngeometry = "oblique"', "crystal.mount", "missing"),
        ("[[reflections]]\nhkl = [1, 1, 1]\nomega_deg = 3",
         "reflections[0].omega_deg", "goniometer"),
        (CUBE + '[[reflections]]\nhkl = [2, 0, 0]\ngeometry = "goniometer"\nomega_deg = 3',
         "reflections[0].omega_deg", "misses the Laue condition by"),
        (CUBE + "[all_reflections]", "all_reflections.theta_max_deg", "missing"),
        (CUBE + "[all_reflections]\ntheta_max_deg = 9\nin_group_of = [1, 1, 1]",
         "all_reflections.in_group_of", "either"),
        (CUBE + "[all_reflections]\ntheta_max_deg = 3", "all_reflections.theta_max_deg",
         "no reflection at 19.1 keV"),
        (CUBE + "[all_reflections]\nin_group_of = [2, 0, 0]",
         "all_reflections.in_group_of", "sheet of the line beam"),
        (CUBE + "[all_reflections]\ntheta_max_deg = 45", "all_reflections.theta_max_deg", "45"),
        (CUBE + "[all_reflections]\nin_group_of = [1, 1, 2]",
         "all_reflections.in_group_of", "extinct"),
        (CUBE + "[all_reflections]\nin_group_of = [0, 0, 2]",
         "all_reflections.in_group_of", "mu_deg = -9.2"),
        ("[all_reflections]\ntheta_max_deg = 9", "crystal.mount", "missing"),
        ("[crystal]\nmaterial = 'Ti'\nmount = [[1, 0, 0], [-1, 2, 0], [0, 0, 1]]\n[beam]\n"
         "energy_keV = 600\n[all_reflections]\ntheta_max_deg = 44",
         "all_reflections.theta_max_deg", "at most 20000"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(text: str, key: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        assemble_all(Experiment.from_toml_text(text))
    assert caught.value.key == key
    assert "\n" not in str(caught.value)


def test_more_entries_than_a_file_holds_are_refused(tmp_path) -> None:
    many = SEVERAL.with_settings(["scan.z.half_range_um=1", "scan.z.steps=4000"])
    with pytest.raises(InputError, match="12000 scans"):
        record(many, tmp_path / "run")


def test_one_line_says_where_extinction_is_worst() -> None:
    setups = assemble_all(SEVERAL)
    assert len(setups) == 3
    (note,) = validity_notes(setups)
    # (2 0 0) is the strongest.
    assert note.startswith("(2 0 0): at the peak the incident beam loses ")
    assert note.endswith("; 2 other reflections are no worse")
    (alone_note,) = validity_notes(setups[:1])
    assert alone_note.startswith("at the peak the incident beam")


def test_only_scans_that_come_close_to_the_peak_are_noted() -> None:
    settings = ["camera.pixels=[170, 510]", "scan.phi.value_mrad=0.2"]
    away = assemble_all(Experiment().with_settings(settings))
    near = assemble_all(Experiment().with_settings([*settings[:1], "scan.phi.value_mrad=-0.1"]))
    assert away[0].nearest_to_peak == pytest.approx(2e-4)
    assert validity_notes(away, scanned=True) == []
    assert validity_notes(near, scanned=True) == validity_notes(away) != []
    # χ does not rock a symmetric reflection, and a scan counts where it is nearest.
    settings = ["scan.chi.value_mrad=1", "scan.phi.half_range_mrad=0.3", "scan.phi.steps=4"]
    assert assemble(Experiment().with_settings(settings)).nearest_to_peak == pytest.approx(1e-4)
    # In a strain scan φ follows the arm at half its angle.
    settings = ["scan.strain.half_range_mrad=1", "scan.strain.steps=4"]
    strained = assemble(Experiment().with_settings(settings))
    assert strained.nearest_to_peak == pytest.approx(1e-3 / 3 / 2)


def test_what_the_beam_loses_is_in_the_file_and_in_the_note(tmp_path) -> None:
    experiment = Experiment().with_settings(["camera.pixels=[170, 8]", "scan.phi.value_mrad=0.1"])
    (setup,) = assemble_all(experiment)
    # The rows of a vertical camera look along the beam.
    length = 170 * 0.04 / math.tan(2 * setup.geometry.theta)
    assert setup.depletion.path == pytest.approx(length)
    notes = record(experiment, tmp_path / "run").notes
    assert validity_notes([setup]) == [note for note in notes if "incident beam" in note]
    with h5py.File(tmp_path / "run" / "weakbeam.h5") as file:
        table = file["1.1/sample/reflections"]
        assert table["peak_loss"][0] == pytest.approx(float(setup.depletion.per_path()))
        assert table["peak_loss"].attrs["units"] == "1/um"
        assert table["peak_loss_over_field"][0] == pytest.approx(float(setup.depletion.over_path()))
        assert table["absorbed_over_field"][0] == pytest.approx(setup.depletion.absorbed)
        off = math.radians(table["kinematical_from"][0])
        assert off == pytest.approx(setup.depletion.harmless_from)
