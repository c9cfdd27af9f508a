import numpy as np
import pytest

import weakbeam as wb
from weakbeam.defects.types import UNSEEN
from weakbeam.errors import InputError
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.identify.library.library_files import read_library
from weakbeam.identify.library.training import plan_training
from weakbeam.identify.library.training_files import record_training
from weakbeam.identify.library.writing import count_images, generate_images
from weakbeam.io.library_file import read_labels, read_tables, read_traces

BASE = [
    "camera.pixels=[24, 40]",
    "camera.oversampling=point",
    "scan.phi.value_mrad=0.15",
    "identify.mode=multi",
    "identify.images=12",
    "identify.character_step_deg=30",
]


def experiment(*settings):
    return wb.Experiment().with_settings(BASE).with_settings(settings)


@pytest.fixture(scope="module")
def plan():
    return plan_training(experiment("identify.dislocations=3", "identify.fewest_dislocations=1"), 1)


@pytest.fixture(scope="module")
def samples(plan):
    return [*plan.samples()]


class TestDraw:
    def test_depends_on_seed_and_number_alone(self, plan):
        first, again = plan.draw(5), plan.draw(5)
        np.testing.assert_array_equal(first.positions_um, again.positions_um)
        other = plan_training(experiment("identify.seed=1"), 1)
        assert not np.array_equal(other.draw(5).positions_um[:1], first.positions_um[:1])

    def test_counts_are_between_fewest_and_most(self, plan):
        counts = [len(plan.draw(number).types) for number in range(300)]
        found, times = np.unique(counts, return_counts=True)
        assert found.tolist() == [1, 2, 3]
        assert times.min() > 70

    def test_types_are_those_that_can_be_seen(self, plan):
        drawn = np.concatenate([plan.draw(number).types for number in range(1500)])
        assert set(drawn) == set(plan.candidates.visible)
        assert (plan.candidates.distortion[drawn] > UNSEEN).all()

    def test_lines_pierce_the_image_evenly_within_its_margins(self):
        inside = plan_training(experiment("identify.margin_px=5"), 1)
        points = np.concatenate([inside.draw(number).positions_um for number in range(400)])
        pixels = inside.scene(0).views[0].pixel(points)
        assert pixels.min(axis=0) == pytest.approx([4.5, 4.5], abs=0.3)
        assert pixels.max(axis=0) == pytest.approx([18.5, 34.5], abs=0.3)
        assert pixels.mean(axis=0) == pytest.approx([11.5, 19.5], abs=1.0)
        np.testing.assert_allclose(inside.scene(0).views[0].height(points), 0.0, atol=1e-12)

    def test_heights_are_drawn(self):
        deep = plan_training(experiment("identify.half_depth_um=0.4"), 1)
        points = np.concatenate([deep.draw(number).positions_um for number in range(300)])
        heights = deep.scene(0).views[0].height(points)
        assert (heights.min(), heights.max()) == pytest.approx((-0.4, 0.4), abs=0.02)

    def test_margins_must_leave_something(self):
        with pytest.raises(InputError, match=r"margin_px = 12\.0: leaves nothing"):
            plan_training(experiment("identify.margin_px=12"), 1)


class TestLabels:
    @pytest.mark.parametrize(("samples_are", "off"), [("point", 5e-4), ("auto", 0.02)])
    def test_contributions_are_images_alone_less_the_crystal(self, samples_are, off):
        """Averages are taken with the samples of all lines, and are as accurate as noise allows."""
        settings = "identify.dislocations=3", "identify.fewest_dislocations=1", "identify.images=6"
        plan = plan_training(experiment(*settings, f"camera.oversampling={samples_are}"), 1)
        for sample in plan.samples():
            count = len(sample.drawn.types)
            for place in range(count):
                alone = plan.candidates.lines(
                    sample.drawn.types[place : place + 1].tolist(),
                    sample.drawn.positions_um[place : place + 1],
                )
                added = plan.candidates.renderer.image(alone) - plan.perfect
                stored = sample.contributions[:, place].astype(float)
                assert np.linalg.norm(stored - added) < off * np.linalg.norm(added)
                if samples_are == "point":
                    np.testing.assert_allclose(stored, added, rtol=1e-3, atol=1e-7)
            assert not sample.contributions[:, count:].any()
            assert not sample.masks[:, count:].any()

    def test_of_a_single_dislocation_add_up_to_the_frame(self, plan, samples):
        single = [sample for sample in samples if len(sample.drawn.types) == 1]
        assert single
        for sample in single:
            total = plan.perfect + sample.contributions[:, 0].astype(float)
            np.testing.assert_allclose(sample.frames, total, rtol=1e-3, atol=1e-4)

    def test_far_apart_dislocations_nearly_add_up(self):
        # β adds up, images do so only where one of two fields is negligible.
        wide = plan_training(
            experiment(
                "camera.pixels=[8, 400]",
                "camera.oversampling=point",
                "beam.height_fwhm_um=0.1",
                "scan.phi.value_mrad=0",
            ),
            1,
        )
        types = wide.candidates.visible[[0, 0]].tolist()
        view = wide.scene(0).views[0]
        ends = view.point([[3.5, 30.0], [3.5, 370.0]])
        both = wide.candidates.renderer.image(wide.candidates.lines(types, ends)) - wide.perfect
        alone = [
            wide.candidates.renderer.image(wide.candidates.lines(types[:1], end[None]))
            - wide.perfect
            for end in ends
        ]
        strongest = np.abs(alone[0]).max()
        assert np.abs(both - alone[0] - alone[1]).max() < 0.3 * strongest

    def test_masks_hold_what_stands_out(self, samples):
        for sample in samples:
            for place in range(len(sample.drawn.types)):
                added = np.abs(sample.contributions[0, place].astype(float))
                mask = sample.masks[0, place].astype(bool)
                # 0.03 is three deviations of what replaces noise where nothing counts.
                limit = max(0.03, 0.2 * added.max())
                clear = np.abs(added - limit) > 1e-3 * limit
                np.testing.assert_array_equal(mask[clear], (added > limit)[clear])

    def test_masks_grow_with_the_light(self):
        shares = []
        for counts in (30.0, 1e5):
            bright = experiment(
                "camera.model=pco_edge",
                f"camera.counts_per_s={counts}",
                "identify.mask_fraction=0",
            )
            lit = plan_training(bright, 1)
            sample = lit.make(0)
            sigma = FrameNoise(lit.candidates.renderer.setups[0].detector).sigma(lit.perfect[0])
            added = np.abs(sample.contributions[0].astype(float))
            assert (added[sample.masks[0] == 1] > 2.99 * sigma.mean()).all()
            shares.append(sample.masks.mean())
        assert shares[1] > shares[0] + 0.1

    def test_ends_are_where_the_line_leaves_beam_or_image(self, plan):
        rows, columns = plan.candidates.renderer.shape
        view = plan.scene(0).views[0]
        inside = 0
        for number in range(100):
            drawn = plan.draw(number)
            labels = plan.labels(number, np.full(len(drawn.types), np.nan))
            piercing, ends = labels.piercing, labels.ends
            assert piercing.shape == (1, len(drawn.types), 2)
            # Lines in the sheet of the beam do not pierce it.
            crossing = np.isfinite(piercing[0, :, 0])
            seen = view.pixel(drawn.positions_um)
            np.testing.assert_allclose(piercing[0][crossing], seen[crossing], atol=1e-9)
            lines = plan.candidates.lines(drawn.types.tolist(), drawn.positions_um)
            for line, end in zip(lines, ends[0].reshape(-1, 2, 2), strict=True):
                for row, column in end:
                    # On the line: between two of its points as the image shows them.
                    a, b = view.pixel(line.position), view.pixel(line.position + line.line)
                    across = (b - a)[0] * (column - a[1]) - (b - a)[1] * (row - a[0])
                    assert abs(across) < 1e-6 * np.linalg.norm(b - a) * max(rows, columns)
                    edges = (row + 0.5, rows - 0.5 - row, column + 0.5, columns - 0.5 - column)
                    assert min(edges) > -1e-9
                    if min(edges) > 1e-9:
                        # Ends inside the image are ends of the beam.
                        along = np.linalg.norm((row, column) - a) / np.linalg.norm(b - a)
                        rise = abs(along * line.line @ view.up)
                        assert rise == pytest.approx(view.lit[1], abs=1e-6)
                        inside += 1
        assert inside > 50

    def test_may_be_left_out(self):
        plain = plan_training(experiment("identify.labels=false"), 1).make(0)
        assert plain.contributions.shape == (1, 0, 24, 40)
        assert np.isnan(plain.signal_to_noise).all()


class TestFile:
    @pytest.fixture
    def noisy(self):
        return experiment(
            "camera.model=pco_edge",
            "identify.dislocations=3",
            "identify.fewest_dislocations=1",
            "scan.phi.value_mrad=0.1",
            "scan.z.values_um=[0, 0.2]",
        )

    def test_is_the_same_for_any_number_of_threads(self, noisy, tmp_path):
        files = [
            record_training(noisy, tmp_path / str(workers), workers=workers).file
            for workers in (1, 2)
        ]
        for entry in ("1.1", "2.1"):
            for name in ("contribution", "mask"):
                first, second = (read_labels(file, name, entry) for file in files)
                np.testing.assert_array_equal(first, second)
            first, second = (read_traces(file, entry) for file in files)
            for name in first:
                np.testing.assert_array_equal(first[name], second[name])
        (_, tables, images), (_, others, same) = (read_tables(file) for file in files)
        np.testing.assert_array_equal(images[:], same[:])
        for name, column in tables["lines"].items():
            np.testing.assert_array_equal(column, others["lines"][name])

    def test_holds_what_was_drawn(self, noisy, tmp_path):
        plan = plan_training(noisy, 1)
        done = []
        found = generate_images(noisy, tmp_path, progress=done.append)
        assert found.images == count_images(noisy) == sum(done) == 12
        assert found.file.name == "training.h5"
        _, tables, images = read_tables(found.file)
        assert images.shape == (12, 2, 24, 40)
        assert images.dtype == np.uint16
        lines = tables["lines"]
        drawn = [plan.draw(number) for number in range(12)]
        np.testing.assert_array_equal(lines["type"], np.concatenate([d.types for d in drawn]))
        np.testing.assert_array_equal(
            lines["image"], np.repeat(np.arange(12), [len(d.types) for d in drawn])
        )
        assert (lines["signal_to_noise"] > 0).all()
        last = plan.make(11)
        np.testing.assert_array_equal(images[11], last.frames)
        labels = read_labels(found.file, "contribution", "2.1", slice(11, 12))
        np.testing.assert_array_equal(labels[0], last.contributions[1])
        of_last = lines["image"] == 11
        ends = read_traces(found.file, "2.1")["ends"][of_last]
        np.testing.assert_array_equal(ends, last.labels.ends[1])

    def test_without_noise_shows_the_same_dislocations(self, noisy, tmp_path):
        clear = noisy.with_settings(["identify.noise=false"])
        _, tables, images = read_tables(record_training(clear, tmp_path / "clear").file)
        _, others, counts = read_tables(record_training(noisy, tmp_path / "noisy").file)
        np.testing.assert_array_equal(tables["lines"]["position"], others["lines"]["position"])
        detector = plan_training(noisy, 1).candidates.renderer.setups[0].detector
        signal = images[:] * detector.unit_signal + detector.dark
        correlation = np.corrcoef(signal.ravel(), counts[:].ravel())[0, 1]
        assert correlation > 0.95

    def test_without_labels(self, tmp_path):
        file = record_training(experiment("identify.labels=false"), tmp_path).file
        assert read_traces(file)["ends"].shape == (24, 4)
        with pytest.raises(InputError, match="no such labels"):
            read_labels(file, "mask")

    @pytest.mark.parametrize("labels", ["true", "false"])
    def test_a_picture_of_the_first_images_lies_beside_it(self, tmp_path, labels):
        settings = ["identify.images=3", f"identify.labels={labels}"]
        record_training(experiment(*settings), tmp_path / "drawn")
        picture = (tmp_path / "drawn/contact-sheet.png").read_bytes()
        assert picture[1:4] == b"PNG"
        record_training(experiment(*settings, "output.figures=false"), tmp_path / "plain")
        assert not (tmp_path / "plain/contact-sheet.png").exists()

    def test_is_no_library(self, tmp_path):
        file = record_training(experiment("identify.images=2"), tmp_path).file
        with pytest.raises(InputError, match="is a training set, not a library"):
            read_library(file)

    def test_opens_as_a_scan_whose_only_stack_is_the_images(self, tmp_path):
        # Readers of beamline files take the last stack of three dimensions that they find.
        import h5py

        file = record_training(experiment(), tmp_path).file
        stacks = []

        def look(name, member):
            if isinstance(member, h5py.Dataset) and member.ndim == 3:
                stacks.append(name)

        with h5py.File(file) as opened:
            opened.visititems(look)
        assert stacks == ["1.1/instrument/pco_ff/image"]
