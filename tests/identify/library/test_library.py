import shutil

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Reflection
from weakbeam.fit.frame_noise import IDEAL_SIGMA, FrameNoise, shortened
from weakbeam.identify.library.candidates import candidates_of, types_of
from weakbeam.identify.library.library import make_library, plan_library
from weakbeam.identify.library.library_files import read_library, record_library
from weakbeam.identify.library.writing import count_images, generate_images
from weakbeam.instrument.detector import Detector, Readout
from weakbeam.io.foreign import read_scan
from weakbeam.run.render import Renderer
from weakbeam.run.simulate import simulate

WEAK = ["camera.pixels=[12, 20]", "camera.oversampling=point", "scan.phi.value_mrad=0.15"]


def experiment(*settings):
    weak = wb.Experiment().with_settings([*WEAK, "identify.character_step_deg=90"])
    return weak.with_settings(settings)


@pytest.fixture(scope="module")
def library():
    return make_library(experiment())


class TestImages:
    def test_are_those_of_the_experiment_with_this_defect(self, library):
        for member in (0, 17, 40):
            one = library.type_of(member)
            plane, burgers, angle = one.members[0]
            told = experiment(
                f"defects[0].plane={list(plane)}",
                f"defects[0].burgers={list(burgers)}",
                f"defects[0].character_deg={angle}",
            )
            image = simulate(told).images.values
            np.testing.assert_allclose(library.images[member][0], image, rtol=2e-5, atol=1e-6)

    def test_of_both_members_of_a_type_agree_bit_for_bit(self):
        renderer = Renderer(experiment(), 1)
        for one in types_of(experiment("identify.character_step_deg=45"))[::5]:
            first, second = (renderer.image(renderer.lines_of(*member)) for member in one.members)
            np.testing.assert_array_equal(first, second)

    def test_of_types_with_the_same_line_agree(self, library):
        for one in library.types:
            for other in one.same_as:
                np.testing.assert_allclose(
                    library.images[one.number], library.images[other], rtol=5e-5, atol=1e-7
                )

    def test_do_not_depend_on_threads(self, library):
        np.testing.assert_array_equal(make_library(experiment(), workers=1).images, library.images)

    def test_opposite_burgers_vectors_swap_with_the_signs_of_all_angles(self):
        # I(b, φ, χ, 2θ) = I(−b, −φ, −χ, −2θ) as far as q is linear in the distortion, and in the
        # arm: its circle moves q_rock' by T δ / 2 sinθ, δ the angle in the lens.
        angles = "scan.phi.values_mrad=[-0.15, 0.15]", "scan.chi.values_mrad=[-0.2, 0.2]"
        arm = "scan.two_theta.values_mrad=[-0.01, 0.01]"
        made = make_library(experiment(*angles, arm, "camera.oversampling=2"))
        mirror = [
            made.conditions.index(type(c)(c.reflection, -c.phi, -c.chi, -c.two_theta, c.z))
            for c in made.conditions
        ]
        worst = 0.0
        for one in made.types:
            same_system = [
                t for t in made.types if (t.plane, t.burgers) == (one.plane, one.burgers)
            ]
            (opposite,) = (
                t for t in same_system if t.character_deg == (one.character_deg + 180.0) % 360.0
            )
            images, mirrored = made.images[one.number], made.images[opposite.number][mirror]
            contrast = np.abs(images - made.perfect[:, None, None]).max()
            worst = max(worst, np.abs(images - mirrored).max() / max(contrast, 1e-2))
            own = np.abs(images - made.images[opposite.number]).max() / max(contrast, 1e-3)
            assert own > 0.1 or not made.members.visible[one.number]
        assert worst < 0.05


class TestTable:
    def test_hidden_members_are_those_without_contrast(self, library):
        hidden = np.flatnonzero(~library.members.visible)
        assert len(hidden) == 12
        for member in hidden:
            one = library.type_of(member)
            assert one.character_deg in (90.0, 270.0)
            assert np.dot(one.burgers, (-1, 1, -1)) == 0
            # The same image as without any dislocation.
            np.testing.assert_allclose(library.images[member], library.perfect[0], rtol=2e-5)
        assert library.members.visibility[library.visible].min() > 1e-3
        assert len(library) == 48

    def test_visibility_is_the_rms_contrast(self, library):
        images = library.images.astype(float)
        rms = np.sqrt(((images - library.perfect[0]) ** 2).mean(axis=(1, 2, 3)))
        np.testing.assert_allclose(library.members.visibility, rms, rtol=1e-3, atol=1e-5)
        assert np.isnan(library.members.signal_to_noise).all()

    def test_what_is_far_away_is_below_the_noise(self):
        far = "identify.positions_um=[[0, 0, 0], [0, 0, 300]]"
        dim = ["camera.model=pco_edge", "camera.counts_per_s=100"]
        made = make_library(experiment(far, *dim, "identify.burgers=[[1, 1, 0]]"))
        near, distant = np.split(made.members.signal_to_noise, 2)
        assert (near >= distant).all()
        visible = np.split(made.members.visible, 2)
        assert visible[0].sum() == 4
        assert not visible[1].any()

    def test_every_position_at_every_depth(self):
        places = "identify.positions_um=[[0, 0, 0], [1, 2, 3]]", "identify.depths_um=[0, 0.5]"
        plan = plan_library(experiment(*places), 1)
        assert len(plan) == count_images(experiment(*places)) == 4 * 48
        up = plan.candidates.renderer.up
        np.testing.assert_allclose(plan.positions_um[48], 0.5 * up)
        np.testing.assert_allclose(plan.positions_um[-1], np.array([1, 2, 3]) + 0.5 * up)
        assert plan.depths_um[[0, 48, 96, 144]].tolist() == [0, 0.5, 0, 0.5]
        np.testing.assert_array_equal(plan.types[48:96], np.arange(48))


class TestChoice:
    def test_of_planes_and_burgers_vectors(self):
        types = types_of(experiment("identify.planes=[[-1, -1, -1]]"))
        assert {one.plane for one in types} == {(1, 1, 1)}
        types = types_of(experiment("identify.burgers=[[-1, 0, 1], [1, 1, 0]]"))
        assert {one.burgers for one in types} == {(1, 0, -1), (1, 1, 0)}
        assert len(types) == 2 * 2 * 4

    def test_of_characters(self):
        types = types_of(experiment("identify.characters_deg=[0, 12.5]"))
        assert types == types_of(experiment("identify.angles_deg=[90, 77.5]"))
        assert {one.character_deg for one in types} == {0.0, 12.5}

    def test_of_a_hexagonal_crystal_in_four_indices(self):
        titanium = wb.Experiment().with_settings(
            ["crystal.material=Ti", "identify.planes=[[0, 0, 0, 1]]", "reflection.hkl=[0, 0, 2]"]
        )
        types = types_of(titanium.with_settings(["identify.burgers=[[2, -1, -1, 0]]"]))
        assert {(one.plane, one.burgers) for one in types} == {((0, 0, 1), (1, 0, 0))}

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (["identify.planes=[[1, 0, 0]]"], r"identify.planes\[0\] = \[1, 0, 0\]: is in no slip"),
            (["identify.burgers=[[1, 1, -2, 0]]"], "hexagonal axes"),
            (["identify.planes=[[1, 1, 1]]", "identify.burgers=[[1, 1, 0]]"], "is in no slip sys"),
            (["identify.character_step_deg=7"], "whole number of steps"),
            (["identify.noise=true"], "identify.noise = True: needs a camera that counts"),
            (["identify.mode=z-scan"], "needs several heights"),
            (
                ["identify.burgers=[[1, 0, -1]]", "identify.characters_deg=[90]"],
                "none of its 2 types of dislocations shows",
            ),
        ],
    )
    def test_that_leaves_nothing_is_told(self, settings, message):
        with pytest.raises(InputError, match=message):
            plan_library(experiment(*settings), 1)

    def test_wants_known_slip_systems(self):
        cell = "{a=4, b=4.1, c=4.2, alpha=90, beta=90, gamma=90}"
        unknown = wb.Experiment().with_settings(
            [
                f"crystal.cell={cell}",
                "crystal.space_group=P m m m",
                "crystal.poisson_ratio=0.3",
                "reflection.hkl=[0, 0, 2]",
                "crystal.x_axis=[1, 0, 0]",
            ]
        )
        with pytest.raises(InputError, match=r"crystal\.structure: missing"):
            candidates_of(unknown, 1)


class TestFile:
    def test_gives_the_library_back(self, library, tmp_path):
        done = []
        found = record_library(experiment(), tmp_path, progress=done.append)
        assert (found.images, found.types, found.hidden, sum(done)) == (48, 48, 12, 48)
        for place in (tmp_path, found.file):
            back = read_library(place)
            assert back.experiment == library.experiment
            assert back.conditions == library.conditions
            assert back.types == library.types
            np.testing.assert_array_equal(back.images, library.images)
            np.testing.assert_array_equal(back.perfect, library.perfect)
            for name in ("types", "positions_um", "visibility", "signal_to_noise", "visible"):
                stored, made = (getattr(m, name) for m in (back.members, library.members))
                np.testing.assert_array_equal(stored, made)
        assert wb.Experiment.from_toml(tmp_path / "experiment.toml") == experiment()

    def test_is_read_as_it_is_asked_for(self, library, tmp_path):
        record_library(experiment(), tmp_path)
        images = read_library(tmp_path, in_memory=False).images
        assert images.shape == library.images.shape
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images[5], library.images[5])
        np.testing.assert_array_equal(images[[9, 2]], library.images[[9, 2]])
        np.testing.assert_array_equal(images[40::-7], library.images[40::-7])
        np.testing.assert_array_equal(np.asarray(images), library.images)
        with pytest.raises(IndexError):
            images[48]

    @pytest.mark.parametrize("compression", ["gzip", "none"])
    def test_has_an_entry_for_each_condition(self, tmp_path, compression):
        two = experiment(
            "scan.phi.values_mrad=[0.15, -0.15]",
            "scan.z.values_um=[0, 0.3]",
            "identify.mode=z-scan",
            f"output.compression={compression}",
        )
        found = generate_images(two, tmp_path)
        assert found.conditions == 4
        made = make_library(two)
        back = read_library(tmp_path)
        np.testing.assert_array_equal(back.images, made.images)
        assert [(c.phi, c.z) for c in back.conditions] == [
            (1.5e-4, 0.0),
            (-1.5e-4, 0.0),
            (1.5e-4, 0.3),
            (-1.5e-4, 0.3),
        ]
        for number, condition in enumerate(back.conditions):
            scan = read_scan(found.file, f"{number + 1}.1")
            assert scan.frames == 48
            np.testing.assert_array_equal(scan.positions["member"], np.arange(48))
            assert scan.fixed["phi"] == pytest.approx(np.degrees(condition.phi))
            assert scan.fixed["diffrz"] == pytest.approx(condition.z / 1000.0)

    def test_of_several_reflections_on_a_turned_camera(self, tmp_path):
        several = experiment(
            "camera.rotation_deg=90", "camera.binning=2", "camera.region=[1, 1, 7, 4]"
        ).model_copy(
            update={"reflections": (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))}
        )
        record_library(several, tmp_path)
        back = read_library(tmp_path)
        assert back.images.shape == (48, 2, 7, 4)
        assert [c.reflection for c in back.conditions] == [0, 1]
        # Screws that lie across both diffraction vectors.
        assert {back.type_of(m).burgers for m in np.flatnonzero(~back.members.visible)} == {
            (1, 0, -1)
        }

    def test_with_noise(self, tmp_path):
        noisy = experiment("camera.model=pco_edge", "identify.noise=true")
        record_library(noisy, tmp_path / "two", workers=2)
        record_library(noisy, tmp_path / "one", workers=1)
        first, second = (read_library(tmp_path / name) for name in ("one", "two"))
        assert first.images.dtype == np.uint16
        np.testing.assert_array_equal(first.images, second.images)
        ideal = make_library(experiment("camera.model=pco_edge"))
        assert ideal.images.dtype == np.float32
        setup = plan_library(noisy, 1).candidates.renderer.setups[0]
        expected = setup.detector.unit_signal * ideal.images + setup.detector.dark
        noise = FrameNoise(setup.detector).noise
        pull = (first.images - expected) / np.sqrt(noise.variance(expected - setup.detector.dark))
        assert abs(pull.mean()) < 4.0 / np.sqrt(pull.size)
        assert pull.std() == pytest.approx(1.0, abs=0.03)
        other = make_library(noisy.with_settings(["camera.seed=1"]))
        assert (other.images != first.images).mean() > 0.5

    def test_is_not_replaced_unasked(self, tmp_path):
        small = experiment("identify.burgers=[[1, 1, 0]]")
        record_library(small, tmp_path)
        with pytest.raises(InputError, match=r"library\.h5.*exists"):
            record_library(small, tmp_path)
        record_library(experiment("identify.burgers=[[1, 0, 1]]"), tmp_path, overwrite=True)
        assert {one.burgers for one in read_library(tmp_path).types} == {(1, 0, 1)}

    def test_nothing_is_left_of_one_that_was_not_finished(self, tmp_path):
        class Stop(Exception):
            pass

        def stop(amount):
            raise Stop

        with pytest.raises(Stop):
            record_library(experiment(), tmp_path, progress=stop)
        assert [path.name for path in tmp_path.iterdir()] == ["experiment.toml"]

    def test_other_files_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="there is no such file"):
            read_library(tmp_path / "none.h5")
        wb.record(wb.Experiment().with_settings([*WEAK, "output.figures=false"]), tmp_path)
        with pytest.raises(InputError, match="has images but no candidates"):
            read_library(tmp_path / "weakbeam.h5")

    def test_a_damaged_image_is_told(self, tmp_path):
        import h5py

        file = record_library(experiment("identify.burgers=[[1, 1, 0]]"), tmp_path).file
        with h5py.File(file, "r+") as damaged:
            stack = damaged["1.1/instrument/pco_ff/image"]
            stack.id.write_direct_chunk((3, 0, 0), b"not packed")
        with pytest.raises(RunError, match="a frame cannot be read"):
            read_library(tmp_path)

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(InputError, match="is a file; it must be a folder"):
            record_library(experiment(), tmp_path / "file")

    def test_another_experiment_in_the_folder_stays(self, tmp_path):
        (tmp_path / "experiment.toml").write_text("# mine")
        with pytest.raises(InputError, match="stays as it is"):
            record_library(experiment(), tmp_path)
        assert (tmp_path / "experiment.toml").read_text() == "# mine"

    @pytest.mark.parametrize(
        "settings",
        [["output.compression='none'"], ["camera.model='pco_edge'", "identify.noise=true"]],
    )
    def test_what_cannot_fit_on_the_disk_is_not_begun(self, tmp_path, monkeypatch, settings):
        leave(monkeypatch, 9)
        with pytest.raises(InputError, match=r"its images take at least .* had 9e-09 GB left; "):
            record_library(experiment(*settings), tmp_path)
        assert not any(tmp_path.iterdir())

    def test_what_compresses_is_judged_by_the_first_images(self, tmp_path, monkeypatch):
        monkeypatch.setattr("weakbeam.identify.library.new_files._BATCH_BYTES", 1)
        leave(monkeypatch, 7000)
        made = []
        with pytest.raises(RunError, match=r"all images would take about .*; fewer frames"):
            record_library(
                experiment("identify.burgers=[[1, 1, 0]]"), tmp_path, progress=made.append
            )
        assert made == []
        assert [path.name for path in tmp_path.iterdir()] == ["experiment.toml"]

    def test_too_large_ones_for_memory_are_refused_before_they_are_made(self, monkeypatch):
        monkeypatch.setattr("weakbeam.identify.library.library.physical_memory", lambda: 1e4)
        with pytest.raises(InputError, match="streams them to a file"):
            make_library(experiment())


def leave(monkeypatch, free):
    """Have the disk tell that it has so many bytes left."""
    told = shutil._ntuple_diskusage(free, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: told)


class TestFrames:
    def test_shortened_numbers_are_within_their_digits(self):
        values = np.geomspace(1e-7, 3.0, 10_001, dtype=np.float32)
        short = shortened(values)
        assert short.dtype == np.float32
        np.testing.assert_allclose(short, values, rtol=2.0**-16)
        assert (short.view(np.uint32) & 0xFF == 0).all()
        np.testing.assert_array_equal(shortened(short), short)
        np.testing.assert_array_equal(shortened(np.array([0, 1, -0.5], np.float32)), [0, 1, -0.5])

    def test_noise_of_binned_pixels(self):
        setup = plan_library(
            experiment("camera.model=pco_edge", "camera.binning=2", "camera.pixels=[200, 200]"), 1
        ).candidates.renderer.setups[0]
        noise = FrameNoise(setup.detector)
        image = np.full((100, 100), 0.3, np.float32)
        counts = noise.counts(image, 0, 0)
        signal = counts - setup.detector.dark
        assert signal.mean() == pytest.approx(0.3 * setup.detector.unit_signal, rel=0.01)
        relative = noise.sigma(0.3) * setup.detector.unit_signal
        assert signal.std() == pytest.approx(float(relative), rel=0.03)

    def test_without_counts(self):
        ideal = FrameNoise(Detector(Readout((4, 4))))
        np.testing.assert_array_equal(ideal.sigma(np.ones((2, 2))), IDEAL_SIGMA)
        with pytest.raises(ValueError, match="does not count"):
            ideal.counts(np.ones((4, 4), np.float32), 0, 0)
