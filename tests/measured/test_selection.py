"""Which pixels and frames of a measured scan are taken, and drift taken out of its maps."""

import h5py
import numpy as np
import pytest
from drifting_scans import HOT, JUMP, Crystal, rocking_stack, steady_drift, write_scan

from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import read_scan
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.maps_file import write_maps
from weakbeam.measured.alignment import align_scan
from weakbeam.measured.maps import map_scan
from weakbeam.measured.selection import selected
from weakbeam.measured.stored import stored_maps

FRAMES = 61
DRIFT = steady_drift(FRAMES)
CRYSTAL = Crystal()
DARK = 100.0


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A scan with hot pixels, drift, and one frame that leaps."""
    stack, angles = rocking_stack(drift=DRIFT, hot=HOT, jump=JUMP)
    return write_scan(tmp_path_factory.mktemp("scan") / "spoilt.h5", stack, angles)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """The same without any of it."""
    stack, angles = rocking_stack(seed=77)
    return write_scan(tmp_path_factory.mktemp("scan") / "still.h5", stack, angles)


def said(mapped):
    return {remark.kind: remark for remark in mapped.remarks}


def errors(mapped, shift=(0.0, 0.0)):
    """Differences of the centre of mass from the true one, where there is a map."""
    rows, columns = mapped.maps.lit.shape
    row, column = np.arange(rows)[:, None] - shift[0], np.arange(columns)[None, :] - shift[1]
    difference = mapped.maps.motors["mu"]["com"] - CRYSTAL.centre(row, column)
    return difference[np.isfinite(difference)]


def test_maps_of_the_aligned_scan_are_those_of_a_still_one(spoilt, still):
    undrifted = map_scan(read_scan(still), DARK)
    noise = np.std(errors(undrifted))
    mapped = map_scan(read_scan(spoilt), DARK, hot=8, skip=[JUMP], align=True)
    reference = round(mapped.drift.reference)
    off = errors(mapped, DRIFT[reference])
    assert np.std(off) < 1.25 * noise
    assert abs(np.mean(off)) < 0.2 * noise
    as_it_is = map_scan(read_scan(spoilt), DARK, hot=8, skip=[JUMP])
    assert np.std(errors(as_it_is, DRIFT[reference])) > 1.7 * noise
    assert "was taken out" in said(mapped)["drift"].text
    assert f"frame {reference}" in said(mapped)["drift"].text
    assert "see `align`" in said(as_it_is)["drift"].text
    assert "drift" not in said(undrifted)
    # A pixel that not every frame shows has no maps: a margin as wide as the drift.
    lit = mapped.maps.lit
    assert not lit[0].any()
    assert lit[8:-8, 8:-8].all()
    assert np.isnan(mapped.maps.intensity[0]).all()


def test_hot_pixels_and_the_frame_that_leaps_are_named(spoilt, still):
    mapped = map_scan(read_scan(spoilt), DARK, hot=8)
    assert said(mapped)["hot pixels"].pixels == len(HOT)
    assert "(10, 20), (40, 41), (40, 42), (66, 90) (row, column)" in said(mapped)["hot pixels"].text
    assert said(mapped)["jumps"].frames == (JUMP,)
    assert "a factor of 1.40" in said(mapped)["jumps"].text
    clean = map_scan(read_scan(still), DARK, hot=8)
    assert "no pixel is 8 σ" in said(clean)["hot pixels"].text
    assert "jumps" not in said(clean)
    # In place of a hot pixel stands what its neighbours have.
    center = mapped.maps.motors["mu"]["com"]
    for row, column in HOT:
        near = center[row - 2 : row + 3, column - 2 : column + 3]
        assert abs(center[row, column] - np.median(near)) < 3e-3


def test_alignment_of_what_does_not_drift_does_nothing(still):
    mapped = map_scan(read_scan(still), DARK, align=True)
    plain = map_scan(read_scan(still), DARK)
    com = [m.maps.motors["mu"]["com"] for m in (mapped, plain)]
    np.testing.assert_array_equal(*com)
    assert "`align` has no effect" in said(mapped)["drift"].text


def test_counts_are_looked_at_before_frames_are_moved(spoilt, tmp_path):
    with h5py.File(spoilt) as file:
        stack = file["1.1/instrument/pco_ff/image"][()]
        angles = file["1.1/instrument/mu/value"][()]
    stack = np.minimum(stack, 1023)
    stack[12] = 0
    stack[:, 5, 50] = 321
    path = write_scan(tmp_path / "cut.h5", stack, angles)
    mapped = map_scan(read_scan(path), DARK, align=True)
    remarks = said(mapped)
    assert "was taken out" in remarks["drift"].text
    assert "at 1023 counts" in remarks["saturated"].text
    assert remarks["empty"].frames == (12,)
    assert remarks["stuck pixels"].pixels == 1
    assert not mapped.maps.lit[4:7, 49:52].any()


ROI = "12:50,20:83"


def test_a_region_is_a_part_of_the_whole(spoilt):
    # The noise, and with it the floor, is estimated from the pixels that are read.
    part = map_scan(read_scan(spoilt), DARK, roi=ROI, floor=0.0)
    whole = map_scan(read_scan(spoilt), DARK, floor=0.0)
    inside = (slice(12, 50), slice(20, 83))
    for kind in ("com", "fwhm", "peak"):
        np.testing.assert_allclose(
            part.maps.motors["mu"][kind],
            whole.maps.motors["mu"][kind][inside],
            rtol=1e-9,
            atol=1e-6,
        )
    assert "(row, column)" not in " ".join(part.warnings)
    hot = map_scan(read_scan(spoilt), DARK, roi=ROI, hot=8)
    assert "(40, 41), (40, 42)" in said(hot)["hot pixels"].text


@pytest.mark.parametrize("chunks", [None, (1, 72, 96), (1, 24, 32)])
def test_frames_of_a_region(tmp_path, chunks):
    stack, angles = rocking_stack(frames=9)
    scan = read_scan(write_scan(tmp_path / "a.h5", stack, angles, chunks=chunks))
    chosen = selected(scan, roi=ROI)
    expected = stack[:, 12:50, 20:83]
    together = np.empty_like(expected)
    for numbers, frames in read_blocks(chosen):
        together[numbers] = frames
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_array_equal(read_frames_of(chosen, [3, 1]), expected[[3, 1]])
    some = np.concatenate([frames for _, frames in read_blocks(chosen, slice(5, 9))])
    np.testing.assert_array_equal(some, expected[:, 5:9])


def test_only_the_region_is_read(tmp_path):
    stack, angles = rocking_stack(frames=9)
    path = write_scan(tmp_path / "a.h5", stack, angles, chunks=(1, 24, 32))
    with h5py.File(path) as file:
        info = file["1.1/instrument/pco_ff/image"].id.get_chunk_info_by_coord((4, 60, 80))
    raw = bytearray(path.read_bytes())
    raw[info.byte_offset : info.byte_offset + info.size] = bytes(info.size)
    path.write_bytes(raw)
    scan = read_scan(path)
    with pytest.raises(RunError, match="cannot be read"):
        list(read_blocks(scan))
    part = selected(scan, roi="0:48,0:64")
    np.testing.assert_array_equal(read_frames_of(part, [4])[0], stack[4, :48, :64])


def test_masked_pixels_have_no_maps_and_do_not_count(spoilt, still):
    mask = np.zeros(CRYSTAL.shape, np.uint8)
    mask[30:40, 10:30] = 1
    with h5py.File(still) as file:
        stack = file["1.1/instrument/pco_ff/image"][()]
        angles = file["1.1/instrument/mu/value"][()]
    stack[:, 30:40, 10:30] = 65535
    stack[3, 35, 20] = 0
    path = write_scan(still.parent / "masked.h5", stack, angles)
    plain = map_scan(read_scan(path), DARK)
    assert {"saturated", "background"} & set(said(plain))
    for background in (DARK, "median", "minimum", "none"):
        mapped = map_scan(read_scan(path), background, mask=mask, floor=0.0)
        assert not {"saturated", "stuck pixels", "zingers"} & set(said(mapped))
        assert said(mapped)["mask"].pixels == 200
        for values in (*mapped.maps.motors["mu"].values(), mapped.maps.intensity):
            assert np.isnan(values[mask != 0]).all()
        expected = map_scan(read_scan(still), background, floor=0.0)
        outside = mask == 0
        np.testing.assert_allclose(
            mapped.maps.motors["mu"]["com"][outside],
            expected.maps.motors["mu"]["com"][outside],
            rtol=1e-6,
        )
    part = map_scan(read_scan(path), DARK, roi="30:40,10:40", mask=mask)
    assert part.maps.lit[:, 20:].all()
    assert not part.maps.lit[:, :20].any()


def test_a_drift_widens_the_mask(spoilt):
    mask = np.zeros(CRYSTAL.shape, bool)
    mask[30, 40] = True
    moved, _, drift = align_scan(selected(read_scan(spoilt), mask=mask, skip=[JUMP]))
    assert drift.is_significant
    lost = ~moved.used[20:45, 30:50]
    assert lost.sum() > 4
    frames = read_frames_of(moved, np.arange(FRAMES))
    assert frames.dtype == np.float32
    assert np.isfinite(frames[:, moved.used]).all()
    assert np.isnan(frames[:, ~moved.used]).any(axis=0).mean() > 0.9


def test_axes_and_the_file_of_maps(spoilt, tmp_path):
    scan = read_scan(spoilt)
    for pixel, sizes in ((40.0, (40.0, 40.0)), ((110.0, 40.0), (110.0, 40.0))):
        chosen = selected(scan, pixel_nm=pixel, roi=ROI)
        again = selected(selected(scan, roi=ROI), pixel_nm=pixel)
        for one, other, first, size, length in zip(
            chosen.image_axes, again.image_axes, (12, 20), sizes, (38, 63), strict=True
        ):
            np.testing.assert_allclose(one.values_um, 1e-3 * size * (first + np.arange(length)))
            np.testing.assert_array_equal(one.values_um, other.values_um)
    for options, unit, start in (({}, "pixel", 4), ({"pixel_nm": 40}, "um", 0.16)):
        wide = "4:70,2:94"
        mapped = map_scan(scan, DARK, roi=wide, hot=8, align=True, skip=[JUMP], **options)
        path = tmp_path / f"{unit}.h5"
        write_maps(path, "1.1", stored_maps(mapped, "100", "0"))
        with h5py.File(path) as file:
            row = file["1.1/maps/mu_com/row"]
            assert row[0] == pytest.approx(start)
            assert row.attrs["units"] == unit
            process = file["1.1/process"]
            assert process["roi"].asstr()[()] == wide
            assert list(process["camera_pixels"]) == [72, 96]
            assert [40, 41] in process["hot_pixels"][()].tolist()
            assert process["drift_taken_out"][()]
            assert process["drift_rows"].attrs["units"] == "pixel"
            assert len(process["drift_at_frame"]) == len(process["drift_columns"])


WRONG = [
    ({"roi": "12:50"}, "R0:R1,C0:C1"),
    ({"roi": "12:80,0:5"}, "rows 0 to 71"),
    ({"roi": "12:12,0:5"}, "rows 0 to 71"),
    ({"mask": np.zeros((3, 4))}, "72 x 96 pixels"),
    ({"mask": np.ones((72, 96))}, "masks every pixel"),
    ({"hot": 0.0}, "above 0"),
    ({"pixel_nm": 0.0}, "must be from"),
    ({"pixel_nm": (40.0, float("nan"))}, "must be from"),
    ({"skip": [61]}, "frames 0 to 60"),
]


@pytest.mark.parametrize(("options", "allowed"), WRONG)
def test_mistakes(still, options, allowed):
    with pytest.raises(InputError, match=allowed):
        selected(read_scan(still), **options)
