"""The camera in a whole run: chunks, companions, maps, cameras of one's own, orientation."""

import h5py
import numpy as np
import pytest
from scipy import stats

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging import engine
from weakbeam.io.foreign import read_scan
from weakbeam.io.reading import entry_names, read_entry, read_frames
from weakbeam.measured.figures import view_of
from weakbeam.run.figures import draw_file
from weakbeam.run.record import record

SMALL = [
    "camera.pixels=[24, 36]",
    "camera.pixel_nm=300",
    "scan.phi.half_range_mrad=0.3",
    "scan.phi.steps=5",
    "output.figures=false",
]
COUNTS = [*SMALL, "camera.model=pco_edge"]


def experiment(*settings, base=COUNTS):
    return Experiment().with_settings([*base, *settings])


def images(*settings, base=COUNTS, workers=None):
    return wb.simulate(experiment(*settings, base=base), workers=workers).images.values


def test_counts_do_not_depend_on_chunks_or_workers(monkeypatch, tmp_path):
    settings = ["camera.psf_px=0.8", "scan.chi.values_mrad=[-1, 0, 1]"]
    whole = images(*settings, workers=1)
    np.testing.assert_array_equal(images(*settings, workers=3), whole)
    monkeypatch.setattr(engine, "BATCH_BYTES", 2 * 24 * 36 * 4)
    np.testing.assert_array_equal(images(*settings, workers=2), whole)
    stored = read_frames(record(experiment(*settings), tmp_path, workers=2).file)
    np.testing.assert_array_equal(stored, whole.reshape(stored.shape))


def test_dark_and_flat_corrected_frames_are_the_ideal_image(tmp_path):
    """χ² of every pixel, with the noise of photons, read-out, and the mean dark and flat frames."""
    number = 60
    settings = ["camera.dark_frames=60", "camera.flat_frames=60", "camera.counts_per_s=5e4"]
    result = record(experiment(*settings, "camera.exposure_s=0.2"), tmp_path)
    data, dark, flat = (read_frames(result.file, f"{k}.1").astype(float) for k in (1, 2, 3))
    assert len(dark) == len(flat) == number
    assert result.frames == 5 + 2 * number
    dark, lit = dark.mean(axis=0), flat.mean(axis=0) - dark.mean(axis=0)
    corrected = (data - dark) / lit * lit.mean()
    ideal = 1e4 * images(base=SMALL)
    read = 6.3 + 0.2 * 11.0 + 1 / 12
    of_dark = read / number
    of_flat = (2.14 * 2e4 + 2 * read) / number / 2e4**2
    variance = 2.14 * ideal + read + of_dark + ideal**2 * of_flat
    chi_squared = float(((corrected - ideal) ** 2 / variance).sum())
    # Frames share their dark and flat frames, so that not all pixels count.
    assert abs(chi_squared / ideal.size - 1.0) < 6 * np.sqrt(2 / ideal[0].size / 4)
    pulls = ((corrected - ideal) / np.sqrt(variance)).ravel()
    assert stats.kstest(pulls, "norm").pvalue > 1e-3


def test_companions_are_scans_of_their_own(tmp_path):
    settings = ["camera.dark_frames=3", "camera.flat_frames=2", "camera.flat_counts=500"]
    result = record(experiment(*settings, "output.perfect_crystal=true"), tmp_path)
    assert entry_names(result.file) == ["1.1", "2.1", "3.1", "4.1"]
    assert read_entry(result.file, "3.1").title == "loopscan 3 1"
    assert read_entry(result.file, "4.1").title == "loopscan 2 1"
    level = assemble(experiment()).detector.dark.mean()
    assert read_frames(result.file, "3.1").mean() == pytest.approx(level, abs=0.5)
    assert read_frames(result.file, "4.1").mean() == pytest.approx(level + 500, abs=3)
    with h5py.File(result.file) as file:
        keys = [file[f"{k}.1/instrument/pco_ff/image_key"][()].tolist() for k in (3, 4)]
        assert keys == [[2, 2, 2], [1, 1]]
        assert "image_key" not in file["1.1/instrument/pco_ff"]
        assert file["1.1/instrument/pco_ff/saturation_value"][()] == 65535
        assert file["3.1/end_reason"].asstr()[()] == "SUCCESS"
    assert {"image", "rocking"} <= set(draw_file(result.file, 1))
    with pytest.raises(InputError, match="dark or flat"):
        draw_file(result.file, 2)


def test_maps_of_counts_are_free_of_the_fixed_pattern(tmp_path):
    """Hot pixels and bright edges would pull the centre of mass towards the middle of the scan."""
    settings = ["camera.counts_per_s=3000", "scan.phi.center_mrad=0.2"]
    result = record(experiment(*settings), tmp_path)
    stored = read_entry(result.file)
    found = np.radians(stored.maps["phi_com"].values)
    expected = wb.center_of_mass(wb.simulate(experiment(*settings, base=SMALL))).phi
    counts = stored.image_sum - 5 * assemble(experiment()).detector.dark
    noise = 3e-4 * np.sqrt((2.14 * counts + 5 * 17.4).clip(1)) / counts.clip(1)
    well_lit = counts > 1500
    assert well_lit.mean() > 0.5
    assert np.abs((found - expected) / noise)[well_lit].max() < 5
    both = wb.center_of_mass(wb.simulate(experiment(*settings))).phi
    np.testing.assert_allclose(found, both, rtol=1e-9, atol=1e-15)


def test_a_resumed_run_equals_a_whole_one(tmp_path):
    settings = ["camera.psf_px=0.7", "camera.dark_frames=4", "camera.binning=2"]
    whole = record(experiment(*settings), tmp_path / "whole")

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(experiment(*settings), tmp_path / "part", progress=stop)
    part = record(experiment(*settings), tmp_path / "part", resume=True)
    for name in ("1.1", "2.1"):
        np.testing.assert_array_equal(read_frames(part.file, name), read_frames(whole.file, name))
    for name, found in read_entry(whole.file).maps.items():
        np.testing.assert_array_equal(read_entry(part.file).maps[name].values, found.values)


def test_saturated_pixels_are_told(tmp_path):
    result = record(experiment("camera.counts_per_s=1e6"), tmp_path)
    full = int((read_frames(result.file) == 65535).sum())
    assert full > 0
    assert any(
        note.startswith(f"{full} pixels of all frames are saturated") for note in result.notes
    )
    dim = record(experiment(), tmp_path / "dim").notes
    assert not any("saturated" in note for note in dim)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_stored_axes_and_maps_follow_the_orientation(tmp_path, rotation):
    settings = [f"camera.rotation_deg={rotation}", "camera.binning=2", "camera.region=[1, 2, 6, 8]"]
    plain = wb.simulate(experiment(base=SMALL)).images
    result = record(experiment(*settings, "output.field=true", base=SMALL), tmp_path)
    entry = read_entry(result.file)
    rows, columns = entry.image_axes
    assert (rows.name, columns.name) == (("x", "y") if rotation % 180 == 0 else ("y", "x"))
    frames = read_frames(result.file)
    assert frames.shape == (5, 6, 8)
    binned = plain.values.reshape(5, 12, 2, 18, 2).mean(axis=(2, 4))
    x = plain.coords["x"].reshape(12, 2).mean(axis=1)
    y = plain.coords["y"].reshape(18, 2).mean(axis=1)
    along = {"x": x, "y": y}
    at = {
        axis.name: [int(np.argmin(np.abs(along[axis.name] - v))) for v in axis.values_um]
        for axis in entry.image_axes
    }
    expected = binned[:, at["x"]][:, :, at["y"]]
    if rotation % 180:
        expected = expected.transpose(0, 2, 1)
    np.testing.assert_allclose(frames, expected, rtol=1e-5)
    run = wb.simulate(experiment(*settings, base=SMALL))
    assert run.images.dims == ("phi", rows.name, columns.name)
    com = np.degrees(wb.center_of_mass(run).phi)
    np.testing.assert_allclose(entry.maps["phi_com"].values, com, atol=1e-9)
    q = wb.q_field(experiment(*settings, base=SMALL))
    assert q.shape == (3, 6, 8)


def test_blurred_maps_are_those_of_blurred_frames(tmp_path):
    settings = ["camera.psf_px=1.2", "camera.psf=lens"]
    result = record(experiment(*settings, base=SMALL), tmp_path)
    com = np.degrees(wb.center_of_mass(wb.simulate(experiment(*settings, base=SMALL))).phi)
    found = read_entry(result.file).maps["phi_com"].values
    np.testing.assert_allclose(found, com, atol=1e-8)
    sharp = read_entry(record(experiment(base=SMALL), tmp_path / "sharp").file)
    assert np.nanmax(np.abs(found - sharp.maps["phi_com"].values)) > 1e-4


def test_figures_show_the_sample_whatever_the_orientation(tmp_path):
    settings = ["camera.rotation_deg=90", "camera.region=[3, 4, 20, 12]", "output.figures=true"]
    result = record(experiment(*settings), tmp_path)
    assert {path.name for path in result.figures} == {
        "image.png",
        "rocking.png",
        "acceptance.png",
        "maps.png",
    }


@pytest.mark.parametrize(("rotation", "swapped"), [(0, False), (90, True), (180, False)])
def test_pictures_of_a_file_do_not_take_rows_for_the_beam(tmp_path, rotation, swapped):
    view = view_of(read_scan(record(experiment(f"camera.rotation_deg={rotation}"), tmp_path).file))
    assert (view.pixels, view.swapped) == (False, swapped)


class TestOwnCamera:
    TEXT = "gain_adu_per_photon = 1.0\noffset_adu = 50\nread_variance_adu2 = 4.0\n"

    def run(self, tmp_path, text):
        path = tmp_path / "my_camera.toml"
        path.write_text(text)
        return experiment("camera.model=file", f"camera.file={path}", base=SMALL)

    def test_is_read_from_its_file(self, tmp_path):
        own = self.run(tmp_path, self.TEXT + "full_well_adu = 60\n[pattern]\nserial = 4\n")
        frames = wb.simulate(own).images.values
        assert frames.dtype == np.uint16
        assert frames.max() == 60
        result = record(own, tmp_path / "run")
        with h5py.File(result.file) as file:
            inputs = file["1.1/simulation/inputs/file"].asstr()[()].tolist()
        assert inputs == [str(tmp_path / "my_camera.toml")]

    def test_a_changed_file_is_another_experiment(self, tmp_path):
        first = fingerprint_of(self.run(tmp_path, self.TEXT)).digest
        other = fingerprint_of(self.run(tmp_path, self.TEXT + "dark_rate_adu_per_s = 1\n")).digest
        assert other != first

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "gain_adu_per_photon = 0\n" + TEXT.partition("\n")[2],
                "gain_adu_per_photon = 0: must be a number",
            ),
            (TEXT + "gian = 3\n", "gian = 3: unknown key"),
            (TEXT + "full_well_adu = 70000\n", "full_well_adu = 70000: must be an integer from 1"),
            (TEXT + "[pattern]\ntail_share = 2\n", "pattern.tail_share = 2: must be a number"),
            (TEXT.partition("\n")[2], "gain_adu_per_photon: missing"),
            (TEXT + "[", "must be TOML"),
        ],
    )
    def test_a_mistake_is_told_in_one_line(self, tmp_path, text, said):
        with pytest.raises(InputError) as caught:
            assemble(self.run(tmp_path, text))
        assert said in str(caught.value)
        assert "my_camera.toml" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_told(self):
        with pytest.raises(InputError, match="cannot be read"):
            assemble(experiment("camera.model=file", "camera.file=none.toml", base=SMALL))
