"""Measured beside simulated, and runs beside runs: shifts, brightness, pixels, places, labels.

The measured scans are written here, as BLISS writes them, from curves and fields of our own.
"""

from __future__ import annotations

import math
import re

import h5py
import numpy as np
import pytest
from matplotlib.text import Text

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.foreign import read_scan
from weakbeam.io.maps_file import write_maps
from weakbeam.measured.labels import differing_keys, labels_of
from weakbeam.measured.maps import map_scan
from weakbeam.measured.side_by_side import compare
from weakbeam.measured.side_figures import side_figures
from weakbeam.measured.stored import stored_maps
from weakbeam.measured.treatment import Treatment
from weakbeam.run.record import record
from weakbeam.run.view import view_of as rays_of

SHAPE = (8, 12)
SCAN = ["scan.phi.half_range_mrad=0.5", "scan.phi.steps=51"]
STEP = 0.0013
"""Of the measured scans (deg); that of the simulated ones is 0.00115."""


def simulated(folder, *settings, shape=SHAPE):
    experiment = Experiment().with_settings(
        [f"camera.pixels={list(shape)}", "output.figures=false", *SCAN, *settings]
    )
    return record(experiment, folder).file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A perfect crystal, whose curve is even about the Bragg setting at 0."""
    return simulated(tmp_path_factory.mktemp("run") / "run", "defects=[]")


def measured(path, middle, *, motor="phi", sign=1, shape=SHAPE, gain=1200.0, tilt=2e-4):
    """Counts of flat-topped curves about `middle` (deg), tilted across the image, on a dark level.

    The width is that of the instrument of the presets: 0.28 mrad at half maximum.
    """
    x = STEP * (np.arange(45) - 22) + 0.0004
    lattice = tilt * np.linspace(-1, 1, shape[1])
    off = (sign * x)[:, None] - lattice
    curve = 1.0 / (1.0 + np.exp((np.abs(off) - 0.008) / 4e-4))
    light = gain * curve[:, None, :] * np.ones((1, shape[0], 1))
    counts = np.random.default_rng(1).poisson(light + 100.0).astype(np.uint16)
    with h5py.File(path, "w") as file:
        entry = file.create_group("2.1")
        entry["title"] = f"fscan {motor} {middle + x[0]:.5f} {STEP} 45 0.5"
        entry["end_reason"] = "SUCCESS"
        entry[f"instrument/{motor}/value"] = middle + x
        entry[f"instrument/{motor}/value"].attrs["units"] = "deg"
        entry["instrument/positioners/obpitch"] = 14.1
        entry["instrument/pco_ff/image"] = counts
    return path


def row_of(compared, quantity):
    return next(row for row in compared.rows if row.quantity == quantity)


@pytest.mark.parametrize("offset", [0.02, -0.004, 17.0623])
def test_peaks_of_a_measured_and_a_simulated_scan_are_laid_on_each_other(tmp_path, run, offset):
    path = measured(tmp_path / "m.h5", offset)
    compared = compare([f"{path}::2.1", run.parent], align_peaks=True)
    shift = compared.matches[1].shifts["phi"]
    assert shift == pytest.approx(offset, abs=min(0.05 * abs(offset), 1e-4))
    said = next(note for note in compared.notes if "shifted by" in note)
    assert said.startswith(f"B: φ shifted by {shift:+.6g} deg".replace("-", "−"))
    row = row_of(compared, "curve phi")
    assert (row.shift, row.shift_unit) == (shift, "deg")
    assert row.agreement.correlation > 0.99
    # Centres of mass are in the motor's frame of the first, so that they have one scale.
    center = compared.map(1, "phi", "com")
    assert np.nanmean(center) == pytest.approx(offset, abs=2e-4)
    assert row_of(compared, "phi_com").agreement.offset == pytest.approx(0.0, abs=2e-4)


def test_one_factor_makes_the_simulation_as_bright(tmp_path, run):
    paths = [measured(tmp_path / f"{gain}.h5", 0.01, gain=gain) for gain in (600.0, 1800.0)]
    factors = []
    for path in paths:
        compared = compare([path, run], align_peaks=True)
        factors.append(compared.matches[1].factor)
        assert f"multiplied by {factors[-1]:.5g}" in " ".join(compared.notes)
        row = row_of(compared, "image")
        assert row.factor == factors[-1]
        assert compared.image(1).mean() == pytest.approx(compared.image(0).mean(), rel=0.05)
        # The light above the dark level, integrated over the scan in mrad: a plateau of 0.28 mrad.
        width = 1e3 * math.radians(0.016)
        assert compared.image(0).mean() == pytest.approx(float(path.stem) * width, rel=0.02)
    assert factors[1] / factors[0] == pytest.approx(3.0, rel=0.02)
    compared = compare(paths, align_peaks=True)
    assert compared.matches[1].factor == 1.0
    assert compared.image(1).mean() / compared.image(0).mean() == pytest.approx(3.0, rel=0.02)
    compared = compare(paths, align_peaks=True, match_brightness=True)
    assert compared.matches[1].factor == pytest.approx(1 / 3, rel=0.02)


def test_motors_of_other_names_and_directions(tmp_path, run):
    one = measured(tmp_path / "one.h5", 8.0, motor="mu", tilt=3e-3)
    compared = compare([one, run], align_peaks=True)
    assert compared.matches[1].motors == {"mu": ("phi", 1)}
    assert compared.matches[1].shifts["mu"] == pytest.approx(8.0, abs=2e-4)
    # A motor that turns the other way shows the tilt of the lattice the other way round.
    other = measured(tmp_path / "other.h5", 1.5, sign=-1, tilt=3e-3)
    compared = compare([one, other], align_peaks=True, pairs={"mu": "-phi"})
    assert compared.matches[1].shifts["mu"] == pytest.approx(9.5, abs=2e-4)
    row = row_of(compared, "mu_com")
    assert row.agreement.correlation > 0.98
    assert row.agreement.slope == pytest.approx(1.0, abs=0.05)
    unlike = compare([one, other], align_peaks=True, pairs={"mu": "phi"})
    assert row_of(unlike, "mu_com").agreement.correlation < -0.98
    with pytest.raises(InputError, match=r"pairs = 'chi': one\.h5 moves mu"):
        compare([one, other], pairs={"chi": "phi"})
    with pytest.raises(InputError, match=r"pairs = 'eta': other\.h5 moves phi"):
        compare([one, other], pairs={"mu": "eta"})


def test_pixels_that_tell_no_axes(tmp_path, run):
    same = compare([measured(tmp_path / "same.h5", 0.0), run])
    assert "A tells no axes: its pixels are taken for those of B, row by row" in same.notes
    assert same.sides[0].view is same.sides[1].view
    unlike = measured(tmp_path / "unlike.h5", 0.0, shape=(9, 12))
    compared = compare([unlike, run], align_peaks=True)
    assert not compared.matches[1].comparable
    assert any(note.endswith("pixels are not compared") for note in compared.notes)
    assert {row.quantity for row in compared.rows} == {"curve phi"}
    assert compared.sides[0].view.pixels
    figures = side_figures(compared)
    assert {*figures} == {"images", "curves", "maps_phi"}
    assert "column of the camera" in figures["images"].axes[0].get_xlabel()


def test_curves_without_a_common_position(tmp_path, run):
    compared = compare([measured(tmp_path / "m.h5", 17.0), run])
    assert row_of(compared, "curve phi").agreement.pixels == 0
    assert any("no position in common" in note for note in compared.notes)
    assert compared.matches[1].factor > 0.0


def test_frames_at_one_place_of_the_scan(tmp_path, run):
    path = measured(tmp_path / "m.h5", 17.0623)
    compared = compare([path, run], align_peaks=True, frame=30)
    place = STEP * (30 - 22) + 0.0004
    with h5py.File(run) as file:
        phi = file["1.1/instrument/phi/value"][()]
        frames = file["1.1/instrument/pco_ff/image"][()]
    nearest = int(np.argmin(np.abs(phi - place)))
    np.testing.assert_array_equal(compared.sides[1].image, frames[nearest])
    assert compared.sides[1].shows.startswith(f"frame {nearest}, φ = ")
    with h5py.File(path) as file:
        frame = file["2.1/instrument/pco_ff/image"][30]
    # Less the background, which is nearly the same for all pixels.
    assert np.std(frame - compared.sides[0].image) < 5.0
    with pytest.raises(InputError, match="has frames 0 to 44"):
        compare([path, run], frame=45)


def test_pixels_of_another_size_are_averaged(tmp_path):
    # Rows half as high, columns half as wide: the pixel of the sample is a quarter.
    coarse = simulated(tmp_path / "a", "camera.pixel_nm=80", shape=(15, 20))
    fine = simulated(tmp_path / "b", "camera.pixel_nm=40", shape=(30, 40))
    compared = compare([coarse, fine], match_brightness=False)
    assert "averaged over those of A" in " ".join(compared.notes)
    assert "100% of which it covers" in " ".join(compared.notes)
    blocks = compared.image(1).reshape(15, 2, 20, 2).mean(axis=(1, 3))
    placed = compared.matches[1].on_first(compared.image(1))
    assert placed.shape == (15, 20)
    np.testing.assert_allclose(placed, blocks, rtol=1e-9)
    assert row_of(compared, "phi_com").agreement.correlation > 0.98
    again = compare([fine, coarse], match_brightness=False)
    assert row_of(again, "phi_com").agreement.correlation > 0.95


OBLIQUE = [
    "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "reflection={hkl=[1, 1, 3], geometry='oblique'}",
]


def place_of_the_mark(axes):
    image = axes.images[0]
    values = np.abs(np.asarray(np.ma.filled(image.get_array(), 0.0), dtype=float))
    row, column = np.unravel_index(np.argmax(values), values.shape)
    left, right, bottom, top = image.get_extent()
    rows, columns = values.shape
    across = left + (column + 0.5) * (right - left) / columns
    return np.array([across, top + (row + 0.5) * (bottom - top) / rows])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("geometry", ["symmetric", "oblique"])
def test_a_marked_pixel_lies_at_its_place_in_compared_pictures(tmp_path, rotation, geometry):
    more = OBLIQUE if geometry == "oblique" else []
    paths, setups = [], []
    for name, turn in (("a", 0), ("b", rotation)):
        settings = ["camera.pixels=[6, 9]", f"camera.rotation_deg={turn}", "output.figures=false"]
        settings += ["scan.phi.value_mrad=0", *more]
        experiment = Experiment().with_settings(settings)
        paths.append(record(experiment, tmp_path / name).file)
        setups.append(assemble(experiment))
    rays = [rays_of(setup, setup, 0.0) for setup in setups]
    point = rays[0].point((1, 3))
    pixels = [np.rint(view.pixel(point)).astype(int) for view in rays]
    for path, (row, column) in zip(paths, pixels, strict=True):
        with h5py.File(path, "r+") as file:
            stack = file["1.1/instrument/pco_ff/image"]
            frame = np.full(stack.shape[1:], 1e-3, np.float32)
            frame[row, column] = 1.0
            stack[...] = frame
    compared = compare(paths)
    lab = setups[0].geometry.lab_from_sample @ point
    k = setups[0].geometry.k_out_lab
    expected = lab[[1, 0]]
    if geometry == "oblique":
        expected = [lab[1] - lab[0] * k[1] / k[0], -lab[0] * abs(k[2]) / k[0]]
    panels = side_figures(compared)["images"].axes
    for axes in panels[:2]:
        np.testing.assert_allclose(place_of_the_mark(axes), expected, atol=1e-6)
    # One lies on the other, pixel by pixel.
    assert row_of(compared, "image").relative_l2 < 1e-6
    ratio = side_figures(compared, against="ratio")["images"].axes[3]
    np.testing.assert_allclose(place_of_the_mark(ratio), expected, atol=1e-6)


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_shift_of_a_picture_is_in_micrometres_of_the_sample(tmp_path, rotation):
    settings = ["scan.phi.value_mrad=0.1", "output.figures=false", "camera.pixels=[24, 60]"]
    paths = []
    for turn, (x, y) in ((0, (0.1, -0.2)), (rotation, (0.35, 0.12))):
        experiment = Experiment().with_settings([*settings, f"camera.rotation_deg={turn}"])
        paths.append(record(experiment, tmp_path / f"{len(paths)}").file)
        with h5py.File(paths[-1], "r+") as file:
            plot = file["1.1/plot"]
            names = list(plot.attrs["axes"])
            grids = np.meshgrid(*(plot[name][()] for name in names), indexing="ij")
            at = dict(zip(names, grids, strict=True))
            spot = np.exp(-((at["x"] - x) ** 2) / 0.09 - (at["y"] - y) ** 2 / 0.02)
            file["1.1/instrument/pco_ff/image"][0] = spot
    row = row_of(compare(paths), "image")
    assert row.place_unit == "um"
    # Moving the second back lays it on the first.
    assert row.x_shift == pytest.approx(-0.25, abs=0.01)
    assert row.y_shift == pytest.approx(-0.32, abs=0.01)


def test_files_of_maps_are_compared_like_their_scans(tmp_path):
    from weakbeam.io.foreign import read_scan
    from weakbeam.io.maps_file import write_maps
    from weakbeam.measured.maps import map_scan
    from weakbeam.measured.stored import stored_maps

    scans = [measured(tmp_path / f"{k}.h5", middle) for k, middle in enumerate((1.0, 1.5))]
    maps = []
    for number, path in enumerate(scans):
        mapped = map_scan(read_scan(path), "median")
        maps.append(tmp_path / f"scan_{number}_maps/maps.h5")
        write_maps(maps[-1], "2.1", stored_maps(mapped, "median", "0"))
    direct = compare(scans, align_peaks=True, treatment=Treatment("median"))
    stored = compare([maps[0].parent, maps[1]], align_peaks=True)
    assert [side.name for side in stored.sides] == ["scan_0_maps", "scan_1_maps"]
    assert stored.matches[1].shifts == pytest.approx({"phi": -0.5}, abs=2e-4)
    values = [
        [row.values() | {"of": "", "against": ""} for row in c.rows] for c in (direct, stored)
    ]
    assert values[0] == values[1]


def test_what_cannot_be_compared(tmp_path, run):
    for sources, said in (
        ([run], "must be two or more"),
        ([run, tmp_path / "none.h5"], "no such file"),
        ([f"{run}::7.1", run], "has the entries"),
        ([f"{run}#99", run], "has frames 0 to 50"),
    ):
        with pytest.raises(InputError, match=said):
            compare(sources)
    np.save(tmp_path / "stack.npy", np.ones((3, 4, 5)))
    np.save(tmp_path / "image.npy", np.ones((4, 5)))
    with pytest.raises(InputError, match="holds 3 images; name one"):
        compare([tmp_path / "stack.npy", tmp_path / "image.npy"])
    images = [f"{tmp_path / 'stack.npy'}#1", tmp_path / "image.npy"]
    assert row_of(compare(images), "image").agreement.rms == 0.0
    with pytest.raises(InputError, match="no curves over a common motor"):
        compare(images, align_peaks=True)


def test_labels_are_the_keys_that_differ():
    base = {
        "beam": {"energy_keV": 17.0, "profile": "gaussian"},
        "defects": ({"kind": "dislocation", "burgers": (1, 0, -1)},),
        "output": {"figures": True},
        "camera": {"seed": 0},
    }
    warm = base | {"beam": {"energy_keV": 17.5, "profile": "gaussian"}, "output": {}}
    turned = base | {"defects": ({"kind": "dislocation", "burgers": (0, 1, -1)},)}
    none = base | {"defects": (), "camera": {"seed": 3}}
    assert differing_keys([base, warm]) == {"beam.energy_keV": [17.0, 17.5]}
    assert labels_of(["a", "b"], [base, warm]) == ("energy_keV = 17", "energy_keV = 17.5")
    assert labels_of(["a", "b", "c"], [base, None, turned]) == (
        "burgers = [1, 0, -1]",
        "b",
        "burgers = [0, 1, -1]",
    )
    assert differing_keys([base, none]) == {"number of defects": [1, 0], "camera.seed": [0, 3]}
    assert [*differing_keys([base, none, turned])] == [
        "number of defects",
        "defects[0].burgers",
        "camera.seed",
    ]
    wire, thick = (
        base | {"objective": {"stop": {"kind": "wire", "axis": "chi", "diameter_um": size}}}
        for size in (50.0, 80.0)
    )
    assert labels_of(["a", "b"], [base, wire]) == ("stop = none", "stop = wire")
    assert [*differing_keys([base, wire, thick])] == [
        "objective.stop.diameter_um",
        "objective.stop",
    ]
    assert labels_of(["a", "b"], [base, base]) == ("a", "b")
    assert labels_of(["a", "b", "c"], [base, base, warm]) == ("a", "b", "c")


def test_names_of_files_differ(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    paths = []
    for folder in folders:
        folder.mkdir()
        paths.append(measured(folder / "scan.h5", 1.0))
    compared = compare([*paths, f"{paths[0]}::2.1", f"{paths[0]}::2"])
    names = [side.name for side in compared.sides]
    assert len(set(names)) == 4
    assert names[1] == "two/scan.h5"
    assert [side.letter for side in compared.sides] == ["A", "B", "C", "D"]


class TestPixels:
    """Regions, masks and units of what is compared."""

    def test_of_all_scans_of_one_camera_the_same_part_is_compared(self, tmp_path):
        paths = [
            measured(tmp_path / f"{name}.h5", 0.01, gain=g) for name, g in ((1, 600), (2, 900))
        ]
        mask = np.zeros(SHAPE, bool)
        mask[3, 4] = True
        whole = compare(paths)
        part = compare(paths, treatment=Treatment(roi="2:6,3:9", mask=mask))
        for number in (0, 1):
            image = part.image(number)
            assert image.shape == (4, 6)
            assert np.isnan(image[1, 1])
            np.testing.assert_allclose(
                np.where(mask, np.nan, whole.image(number))[2:6, 3:9], image, rtol=1e-12
            )
            assert part.sides[number].view.x[0] == 2.0
        assert row_of(part, "image").agreement.pixels == 23

    def test_masked_pixels_do_not_darken_the_curve(self, tmp_path):
        paths = [measured(tmp_path / f"{n}.h5", 0.01, tilt=0.0) for n in (1, 2)]
        mask = np.zeros(SHAPE, bool)
        mask[:, :6] = True
        tops = [
            compare(paths, treatment=chosen).curve(0, "phi").intensity.max()
            for chosen in (
                Treatment(100.0),
                Treatment(100.0, mask=mask),
                Treatment(100.0, roi="0:4,0:6"),
            )
        ]
        assert tops == pytest.approx([1200.0] * 3, rel=0.02)

    def test_a_simulation_on_other_pixels_is_taken_whole(self, tmp_path, run):
        other = simulated(tmp_path / "run", "defects=[]", "camera.pixel_nm=80", shape=(6, 6))
        compared = compare([run, other], treatment=Treatment(roi="2:6,3:9"))
        assert [side.image.shape for side in compared.sides] == [(4, 6), (6, 6)]
        assert "another camera" in " ".join(compared.sides[1].mapped.warnings)
        assert row_of(compared, "image").agreement.pixels == 24

    def test_sizes_of_pixels_are_those_of_files_without(self, tmp_path, run):
        path = measured(tmp_path / "m.h5", 0.01)
        compared = compare([path, path], treatment=Treatment(pixel_nm=(110.0, 40.0)))
        np.testing.assert_allclose(compared.sides[1].view.x, 0.11 * np.arange(SHAPE[0]))
        with pytest.raises(InputError, match="state the pixel"):
            compare([run, run.parent], treatment=Treatment(pixel_nm=40.0))

    def test_files_of_maps_have_no_pixels_to_choose(self, tmp_path):
        path = measured(tmp_path / "m.h5", 0.01)
        mapped = map_scan(read_scan(path), "median")
        write_maps(tmp_path / "maps.h5", "2.1", stored_maps(mapped, "median", "0"))
        with pytest.raises(InputError, match="is a file of maps"):
            compare([path, tmp_path / "maps.h5"], treatment=Treatment(roi="0:4,0:4"))

    def test_a_frame_and_an_image_lose_the_background_and_the_mask(self, tmp_path):
        path = measured(tmp_path / "m.h5", 0.01)
        with h5py.File(path) as file:
            frame = file["2.1/instrument/pco_ff/image"][22]
        np.save(tmp_path / "frame.npy", frame)
        mask = np.zeros(SHAPE, bool)
        mask[0, 0] = True
        chosen = Treatment(100.0, roi="0:4,0:6", mask=mask)
        compared = compare([f"{path}#22", tmp_path / "frame.npy"], treatment=chosen)
        expected = np.where(mask, np.nan, frame - 100.0)[:4, :6]
        for number in (0, 1):
            np.testing.assert_array_equal(compared.image(number), expected)
        assert compared.notes[0].startswith("A: frame 22, φ = 0.182 mrad")

    @pytest.mark.parametrize(
        ("unit", "label"), [("deg", "deg"), ("mrad", "mrad"), ("urad", "µrad")]
    )
    def test_one_unit_in_every_figure(self, tmp_path, unit, label):
        path = measured(tmp_path / "m.h5", 8.0, motor="mu")
        compared = compare([path, path], treatment=Treatment(unit=unit))
        drawn = side_figures(compared)
        for name in ("curves", "maps_mu"):
            texts = [t.get_text() for t in drawn[name].findobj(Text)]
            named = [t for t in texts if "µ " in t or "µ\u2009" in t]
            assert named
            for text in named:
                assert f"({label}" in text
                # What is taken off is in the same unit.
                assert len(re.findall(r"\b(?:µrad|mrad|deg)\b", text)) in (1, 2)
                assert set(re.findall(r"\b(?:µrad|mrad|deg)\b", text)) == {label}
