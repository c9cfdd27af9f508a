"""``weakbeam show``: pictures of simulated and of measured scans."""

import json

import numpy as np
import pytest
from bliss_files import angles, frames, write_bliss
from PIL import Image

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.measured.pictures import Region, montage_picture, region_curves, scan_or_image
from weakbeam.run.figures import draw_file
from weakbeam.run.record import record

CHI, PHI = angles()
STACK = frames(35)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = [
        "camera.pixels=[10, 16]",
        "camera.oversampling=point",
        "output.figures=false",
        "scan.phi.half_range_mrad=0.4",
        "scan.phi.steps=9",
    ]
    experiment = Experiment().with_settings(settings)
    return record(experiment, tmp_path_factory.mktemp("run") / "run").file


@pytest.fixture
def measured(tmp_path):
    title = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"
    return write_bliss(tmp_path / "mosa.h5", title, {"phi": PHI, "chi": CHI}, STACK)


def names(result):
    return [line.rpartition("/")[2] for line in result.out.splitlines()]


def test_without_a_choice_the_figures_of_the_file(weakbeam, run, tmp_path):
    result = weakbeam("show", run, "-o", tmp_path)
    assert set(names(result)) == {"image.png", "rocking.png", "acceptance.png", "maps.png"}


@pytest.mark.parametrize("scale", ["linear", "log", "asinh"])
def test_frames_montage_and_curves(weakbeam, run, tmp_path, scale):
    choice = ["--frame", 0, "--frame", 4, "--montage", "--pixel", "3,5", "--region", "0:2,0:9"]
    result = weakbeam("show", run, "-o", tmp_path, "--scale", scale, *choice)
    assert result.status == 0
    assert names(result) == ["frame_0000.png", "frame_0004.png", "montage.png", "curves.png"]


def test_movie(weakbeam, run, tmp_path):
    result = weakbeam("show", run, "-o", tmp_path, "--movie", "gif", "--fps", 5)
    assert names(result) == ["movie.gif"]
    with Image.open(tmp_path / "movie.gif") as movie:
        assert (movie.n_frames, movie.info["duration"]) == (9, 200)


def test_pictures_of_a_measured_file(weakbeam, measured, tmp_path):
    result = weakbeam("show", measured, "-o", tmp_path / "a")
    assert names(result) == ["frame_0017.png", "montage.png"]
    result = weakbeam("show", measured, "-o", tmp_path / "b", "--pixel", "1,2", "--format", "svg")
    drawn = (tmp_path / "b/curves.svg").read_text()
    assert "pixel 1, 2" in drawn
    assert "φ (deg)" in drawn
    assert "χ (deg)" in drawn


def test_curves_are_means_over_the_region(measured):
    scan = scan_or_image(measured)
    regions = [Region(slice(1, 4), slice(2, 9)), Region(slice(0, 1), slice(0, 1))]
    expected = [STACK[:, 1:4, 2:9].mean(axis=(1, 2)), STACK[:, 0, 0]]
    np.testing.assert_allclose(region_curves(scan, regions), expected, rtol=1e-12)


def labels_of(montage):
    return [text.get_text() for text in montage.texts if "=" in text.get_text()]


def test_montage_of_the_lit_part_of_a_scan(tmp_path):
    stack = np.full((60, 6, 9), 100, np.uint16)
    stack[20:31] += np.arange(40, 51, dtype=np.uint16)[:, None, None]
    phi = 0.1 * np.arange(60)
    path = write_bliss(tmp_path / "line.h5", "fscan phi 0 0.1 60 1", {"phi": phi}, stack)
    shown = labels_of(montage_picture(scan_or_image(path), 4))
    assert len(shown) == 4
    first, last = (float(text.partition("=")[2]) for text in (shown[0], shown[-1]))
    # A twelfth of the scan is looked at.
    assert 1.4 <= first <= 2.0
    assert 3.0 <= last <= 3.6


def test_montage_of_the_lit_part_of_a_grid(tmp_path):
    chi, phi = (axis.ravel() for axis in np.mgrid[0:20, 0:30])
    stack = np.full((600, 6, 9), 100, np.uint16)
    stack[(chi >= 12) & (phi <= 10)] += 50
    title = "fscan2d chi 0 1 20 phi 0 1 30 1"
    path = write_bliss(tmp_path / "grid.h5", title, {"phi": phi + 0.0, "chi": chi + 0.0}, stack)
    montage = montage_picture(scan_or_image(path), 9)
    assert sum(bool(axes.images) for axes in montage.axes) == 9
    # On the margin: three positions of each motor.
    shown = labels_of(montage)
    chi, phi = ([float(t.partition("= ")[2]) for t in shown if t[0] == m] for m in "χφ")
    assert len(chi) == len(phi) == 3
    assert chi[-1] == 19.0
    assert 9 <= chi[0] <= 12
    assert 10 <= phi[-1] <= 15


def test_montage_of_the_frames_that_are_asked_for(weakbeam, run, tmp_path):
    scan = scan_or_image(run)
    assert [text[:10] for text in labels_of(montage_picture(scan, numbers=(7, 2)))] == [
        "φ = 0.300",
        "φ = −0.200",
    ]
    choice = ["--montage", "--frame", 7, "--frame", 2, "--clim", 0, 0.5]
    result = weakbeam("show", run, "-o", tmp_path, *choice)
    assert names(result) == ["frame_0007.png", "frame_0002.png", "montage.png"]


def test_montage_finds_weak_beam_frames_above_a_high_dark_level(tmp_path):
    """A pixel or two of light on a dark level with a pattern of its own."""
    random = np.random.default_rng(1)
    pattern = random.integers(90, 400, (12, 14))
    stack = np.tile(pattern, (60, 1, 1)).astype(np.uint16)
    stack[10:40, 5:8, 6:9] += 150
    stack[24:26] += 3000
    path = write_bliss(
        tmp_path / "weak.h5", "fscan phi 0 0.1 60 1", {"phi": 0.1 * np.arange(60)}, stack
    )
    shown = [float(t.partition("=")[2]) for t in labels_of(montage_picture(scan_or_image(path), 6))]
    assert 0.4 <= shown[0] <= 1.0
    assert 3.9 <= shown[-1] <= 4.6


def test_a_library_is_shown_as_a_montage(weakbeam, tmp_path):
    settings = ["camera.pixels=[12, 14]", "identify.character_step_deg=90"]
    settings += ["scan.phi.values_mrad=[0.1, 0.15]"]
    changes = [word for text in settings for word in ("--set", text)]
    assert weakbeam("identify", "generate", *changes, "-o", tmp_path / "lib").status == 0
    result = weakbeam(
        "show", tmp_path / "lib/library.h5", "--entry", 2, "-o", tmp_path / "pictures"
    )
    assert result.status == 0
    assert names(result)[-1] == "2.1_montage.png"
    result = weakbeam("show", tmp_path / "lib", "--frame", 0, "-o", tmp_path / "pictures")
    assert names(result) == ["frame_0000.png"]
    with pytest.raises(InputError, match="show frames or a montage"):
        draw_file(tmp_path / "lib/library.h5")


def test_a_single_image_can_be_shown(weakbeam, tmp_path):
    single = Experiment().with_settings(["camera.pixels=[4, 6]", "output.figures=false"])
    path = record(single, tmp_path / "run").file
    assert weakbeam("show", path, "--frame", 0, "--montage").status == 0
    result = weakbeam("show", path, "--pixel", "0,0")
    assert result.status == 2
    assert "moves no motor" in result.err


def test_comparison_is_printed_drawn_and_given_as_json(weakbeam, run, tmp_path):
    result = weakbeam("show", run, "--compare", "-o", tmp_path)
    assert "COM rule" in result.out
    assert "φ: steps of 0.1 mrad are too wide for the rocking curve" in result.out
    assert names(result)[-1] == "comparison.png"
    result = weakbeam("show", run, "--compare", "--json", "-o", tmp_path)
    found = json.loads(result.out)
    assert set(found["angles"]) == {"phi"}
    assert len(found["remarks"]) == 1
    assert "comparison.png" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pixel", "3"], "--pixel = '3': must be ROW,COLUMN"),
        (["--region", "1,2"], "--region = '1,2': must be R0:R1,C0:C1"),
        (["--pixel", "99,0"], "--pixel = '99,0': the image has rows 0 to 9"),
        (["--region", "3:3,0:1"], "--region = '3:3,0:1': the image has rows 0 to 9"),
        (["--frame", "9"], "frames 0 to 8"),
        (["--entry", "4", "--frame", "0"], "entry = '4.1'"),
        (["--json"], "belongs to --compare"),
        (["--common-range", "--frame", "0"], "belongs to --montage"),
        (["--clim", "1", "0"], "--clim"),
        (["--clim", "0", "1", "--scale", "log"], "must be positive on a log scale"),
    ],
)
def test_mistakes_end_in_one_line(weakbeam, run, tmp_path, arguments, said):
    result = weakbeam("show", run, *arguments, "-o", tmp_path / "new")
    assert result.status == 2
    assert said in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "new").exists()
