"""Faults of measured scans that pass for maps: each is mended or named, against known truth."""

import numpy as np
import pytest
from odd_scans import CENTERS, EVEN, FWHM, SHAPE, Camera, Scan, curves, edf_bytes, rocking

from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import entry_range, read_scan
from weakbeam.measured.combine import combined_scan
from weakbeam.measured.maps import map_scan

pytestmark = pytest.mark.filterwarnings("error")

CHI, MU = (
    positions.ravel()
    for positions in np.meshgrid(np.linspace(-1.5, 1.5, 13), EVEN[10:-10:2], indexing="ij")
)
ROW = EVEN[10:-10:2].size
WIDE = 0.4


def grid(**camera) -> Scan:
    light = curves(CHI, 4.0 * CENTERS, WIDE) * curves(MU)
    stack = Camera(**{"dark": 100, "read": 2, **camera}).counts(light)
    return Scan({"chi": CHI.copy(), "mu": MU.copy()}, stack, "dmesh chi -1.5 1.5 12 mu -0.2 0.2 20")


def remark_of(mapped, kind):
    return next((remark for remark in mapped.remarks if remark.kind == kind), None)


def mapped_scan(scan, path, *background, **options):
    return map_scan(read_scan(scan.write(path)), *background, **options)


def com(mapped, motor="mu"):
    return mapped.maps.motors[motor]["com"]


def fwhm(mapped, motor="mu"):
    return float(np.nanmedian(mapped.maps.motors[motor]["fwhm"]))


@pytest.mark.parametrize("beam", [0.0, 0.4])
def test_a_stretch_without_beam_is_named(tmp_path, beam):
    scan = rocking(camera=Camera(dark=100, read=2))
    light = Camera(dark=100, read=2).counts(beam * curves(EVEN))
    scan.stack[26:31] = light[26:31]
    mapped = mapped_scan(scan, tmp_path / "a.h5", 100.0)
    assert remark_of(mapped, "dips").frames == tuple(range(26, 31))


def test_two_grains_and_narrow_curves_are_no_loss_of_beam(tmp_path):
    two = curves(EVEN, CENTERS - 0.1, 0.012) + curves(EVEN, CENTERS + 0.1, 0.012)
    apart = np.full(SHAPE, 0.08)
    valley = curves(EVEN, -apart, 0.02) + curves(EVEN, apart, 0.02)
    for name, light in (("two", two), ("valley", valley), ("sharp", curves(EVEN, CENTERS, 0.004))):
        scan = Scan({"mu": EVEN}, Camera(dark=100, read=2).counts(light))
        assert remark_of(mapped_scan(scan, tmp_path / f"{name}.h5", 100.0), "dips") is None


def test_a_part_of_a_row_of_a_grid_without_beam_is_named(tmp_path):
    scan = grid()
    lost = np.arange(6 * ROW + 7, 6 * ROW + 15)
    scan.stack[lost] = Camera(dark=100, read=2).counts(np.zeros((len(lost), *SHAPE)))
    mapped = mapped_scan(scan, tmp_path / "a.h5", "median")
    assert remark_of(mapped, "dips").frames == tuple(lost)
    assert remark_of(mapped_scan(grid(), tmp_path / "b.h5", "median"), "dips") is None


def test_places_of_a_grid_without_frames_are_said_with_their_light(tmp_path):
    scan = grid()
    scan.stack[6 * ROW + 7 : 6 * ROW + 15] = 0
    mapped = mapped_scan(scan, tmp_path / "a.h5", "median")
    assert "rows lack frames at places that hold about" in remark_of(mapped, "gap").text
    one = grid()
    one.stack[3] = 0
    assert remark_of(mapped_scan(one, tmp_path / "b.h5", "median"), "gap") is None


def test_frames_without_numbers_are_left_out_and_count_as_no_zeros(tmp_path):
    scan = rocking(camera=Camera(dtype="float32"))
    scan.stack[[18, 34]] = np.nan
    mapped = mapped_scan(scan, tmp_path / "a.h5")
    left_out = remark_of(mapped, "no numbers")
    assert left_out.left_out
    assert left_out.frames == (18, 34)
    np.testing.assert_allclose(com(mapped), CENTERS, atol=1.5e-3)
    with pytest.raises(RunError, match="no light"):
        mapped_scan(Scan({"mu": EVEN}, np.full_like(scan.stack, np.nan)), tmp_path / "b.h5")


def test_frames_of_zeros_among_numbers_with_a_dark_level_are_lost(tmp_path):
    scan = rocking(camera=Camera(dark=100, dtype="float32"))
    scan.stack[[18, 34]] = 0.0
    assert remark_of(mapped_scan(scan, tmp_path / "a.h5", 100.0), "empty").frames == (18, 34)
    model = rocking(camera=Camera(dtype="float32"))
    model.stack[[0, 1, 60]] = 0.0
    assert remark_of(mapped_scan(model, tmp_path / "b.h5"), "empty") is None


def test_pixels_without_numbers_raise_no_warning(tmp_path):
    scan = rocking(camera=Camera(dtype="float32", read=1))
    scan.stack[:, 2] = np.nan
    scan.stack[30, 5, 5] = np.inf
    path = scan.write(tmp_path / "a.h5")
    for background in ("none", "median", "minimum"):
        mapped = map_scan(read_scan(path), background, floor=5.0)
        good = ~np.isnan(com(mapped))
        assert not good[2].any()
        assert good.sum() >= CENTERS.size - CENTERS.shape[1] - 1


@pytest.mark.parametrize(("read", "height"), [(0.0, 1.0), (5.0, 500.0)])
def test_the_median_of_numbers_that_are_no_counts_takes_nothing_off_curves(tmp_path, read, height):
    scan = rocking(camera=Camera(dtype="float32", read=read, height=height))
    mapped = mapped_scan(scan, tmp_path / "a.h5", "median")
    assert fwhm(mapped) == pytest.approx(FWHM, rel=0.03)
    assert np.polyfit(CENTERS.ravel(), com(mapped).ravel(), 1)[0] == pytest.approx(1.0, abs=0.01)


def test_a_gap_that_bends_curves_is_named(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=2))
    path = scan.write(tmp_path / "a.h5")
    bent = map_scan(read_scan(path), 100.0, skip=range(28, 33))
    assert "no frames from -0.03 to 0.03 deg in mu" in remark_of(bent, "gap").text
    for skip in ([30], range(5), range(10)):
        assert remark_of(map_scan(read_scan(path), 100.0, skip=skip), "gap") is None


@pytest.mark.parametrize(
    ("background", "said"), [(50.0, "too low"), (100.0, None), (130.0, "too high")]
)
def test_a_background_that_is_wrong_is_said(tmp_path, background, said):
    scan = rocking(camera=Camera(dark=100, read=2))
    remark = remark_of(mapped_scan(scan, tmp_path / "a.h5", background), "background")
    assert (remark is None) if said is None else (said in remark.text)


def test_few_frames_of_a_curve_do_not_show_its_width(tmp_path):
    scan = Scan({"mu": EVEN[29:32]}, Camera().counts(curves(EVEN[29:32])))
    assert "do not fall off" in remark_of(mapped_scan(scan, tmp_path / "a.h5"), "window").text


@pytest.mark.parametrize(("motor", "to"), [("chi", 50.0), ("chi", 0.13), ("mu", 3.0)])
def test_one_frame_that_leaps_out_of_a_grid_is_left_out(tmp_path, motor, to):
    scan = grid()
    place = 6 * ROW + 10
    scan.motors[motor][place] = to
    mapped = mapped_scan(scan, tmp_path / "a.h5", "median")
    left_out = remark_of(mapped, "positions")
    assert left_out.left_out
    assert left_out.frames == (place,)
    assert f"{motor} stands still, or out of order" in left_out.text
    np.testing.assert_allclose(com(mapped, "chi"), 4.0 * CENTERS, atol=0.02)


def test_rows_that_begin_at_different_places_are_no_leaps(tmp_path):
    shifted = MU + 0.02 * np.round((CHI + 1.5) / 0.25)
    light = curves(CHI, 4.0 * CENTERS, WIDE) * curves(shifted, CENTERS + 0.12)
    scan = Scan({"chi": CHI, "mu": shifted}, Camera(dark=100, read=2).counts(light), "loop chi mu")
    assert remark_of(mapped_scan(scan, tmp_path / "a.h5", "median"), "positions") is None


@pytest.mark.parametrize("reads", [0.0, 1e-9, 1e-3, np.nan])
def test_frames_without_beam_by_the_monitor_do_not_outweigh_all_others(tmp_path, reads):
    beam = np.ones(EVEN.size)
    beam[34] = reads
    scan = rocking(camera=Camera(dark=100, read=2), counters={"pico4": beam})
    measured = read_scan(scan.write(tmp_path / "a.h5"), monitor="pico4")
    mapped = map_scan(measured, 100.0)
    assert remark_of(mapped, "monitor").text.endswith(
        "frame 34 has no beam, by the monitor; it is left out"
    )
    np.testing.assert_allclose(com(mapped), CENTERS, atol=2e-3)


def test_a_monitor_of_another_length_is_named(tmp_path):
    scan = rocking(counters={"pico4": np.ones(80)})
    measured = read_scan(scan.write(tmp_path / "a.h5"), monitor="pico4")
    assert "pico4 has 80 values for 61 frames" in " ".join(measured.warnings)
    with pytest.raises(InputError, match="is a motor of the scan"):
        read_scan(tmp_path / "a.h5", monitor="mu")


def test_choices_without_effect_are_said(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=2))
    path = scan.write(tmp_path / "a.h5")
    mapped = map_scan(read_scan(path), theta=0.2, floor=5.0)
    assert "`theta` has no effect" in remark_of(mapped, "theta").text
    assert "`floor` has no effect" in remark_of(mapped, "floor").text
    assert remark_of(map_scan(read_scan(path), 100.0, floor=5.0), "floor") is None
    for theta in (-0.1, 0.0, 1.6, np.nan):
        with pytest.raises(InputError, match="must be a Bragg angle, above 0 and below 90 deg"):
            map_scan(read_scan(path), theta=theta)
    with pytest.raises(RunError, match="of no pixel the centre of mass is inside the scan"):
        map_scan(read_scan(path), "median", skip=[k for k in range(61) if k not in (28, 29)])


def test_entries_that_do_not_tell_where_they_stood(tmp_path):
    path = tmp_path / "a.h5"
    for k, at in enumerate((np.nan, 2.0)):
        rocking(still={"ccmth": at}).write(path, f"{k + 1}.1")
    with pytest.raises(InputError, match="says that it stood at nan"):
        combined_scan([read_scan(path, name) for name in ("1.1", "2.1")], "ccmth")
    with pytest.raises(InputError, match="names an entry twice"):
        entry_range(path, "1-2,1")


@pytest.mark.parametrize("position", ["nan 1", ""])
def test_edf_images_without_a_position_are_left_out(tmp_path, position):
    stack = Camera().counts(curves(EVEN))
    for k, image in enumerate(stack):
        header = {"motor_mne": "mu chi", "motor_pos": position if k == 22 else f"{EVEN[k]:.4f} 1"}
        (tmp_path / f"a{k}.edf").write_bytes(edf_bytes(image, header))
    mapped = map_scan(read_scan(tmp_path))
    assert remark_of(mapped, "positions").frames == (22,)
    np.testing.assert_allclose(com(mapped), CENTERS, atol=1e-3)


def test_edf_images_larger_than_their_files_are_refused_at_once(tmp_path):
    for k in range(2):
        header = {"motor_mne": "mu", "motor_pos": str(k), "Dim_1": 10**6, "Dim_2": 10**6}
        (tmp_path / f"a{k}.edf").write_bytes(edf_bytes(np.zeros(SHAPE, np.uint16), header))
    with pytest.raises(RunError, match=r"a0.edf ends after 240 of 2000000000000 bytes"):
        read_scan(tmp_path)


@pytest.mark.parametrize("mask", [2**32 - 1, 65535, 0])
def test_masked_pixels_count_nowhere(tmp_path, mask):
    scan = rocking(camera=Camera(dark=100, read=2, dtype="uint32"))
    right = mapped_scan(scan, tmp_path / "right.h5", 100.0)
    scan.stack[:, 3] = mask
    path = scan.write(tmp_path / "a.h5")
    for memory in (2**30, 1):
        mapped = map_scan(read_scan(path), 100.0, 0.05, True, memory=memory)
        assert mapped.maps.lit.sum() == CENTERS.size - CENTERS.shape[1]
        whole, wanted = mapped.maps.whole["mu"].fwhm, right.maps.whole["mu"].fwhm
        assert whole == pytest.approx(wanted, rel=0.03)
        assert remark_of(mapped, "background") is None


@pytest.mark.parametrize(("full", "pixels"), [(1500, CENTERS.size), (65532, CENTERS.size), (0, 0)])
def test_counts_that_end_anywhere_are_saturated(tmp_path, full, pixels):
    scan = rocking(camera=Camera(dark=100, height=2.0 * max(full, 1000), shot=True))
    if full:
        scan.stack = np.minimum(scan.stack, full)
    remark = remark_of(mapped_scan(scan, tmp_path / "a.h5", 100.0), "saturated")
    assert (0 if remark is None else remark.pixels) == pixels
    assert remark_of(map_scan(read_scan(tmp_path / "a.h5"), 100.0), "frozen") is None


def test_curves_wider_than_their_peak_are_named(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=2))
    drifts = scan.stack + (3 * np.arange(61, dtype=np.uint16))[:, None, None]
    mapped = mapped_scan(Scan({"mu": EVEN}, drifts), tmp_path / "a.h5", 100.0)
    assert "times as wide by their variance as at half maximum" in remark_of(mapped, "tails").text
    assert remark_of(mapped_scan(scan, tmp_path / "b.h5", 100.0), "tails") is None


def test_zingers_in_some_pixels_are_named(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=2))
    places = [(5, 1, 2), (20, 3, 4), (33, 6, 7), (50, 9, 9)]
    for place in places:
        scan.stack[place] = 50000
    mapped = mapped_scan(scan, tmp_path / "a.h5", 100.0, 0.05, True)
    assert remark_of(mapped, "zingers").pixels == len(places)
    assert mapped.maps.lit.all()


def test_frames_that_repeat_the_one_before_are_named(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=2, shot=True))
    assert remark_of(mapped_scan(scan, tmp_path / "a.h5", 100.0), "frozen") is None
    scan.stack[26:33] = scan.stack[26]
    mapped = mapped_scan(scan, tmp_path / "b.h5", 100.0)
    assert remark_of(mapped, "frozen").frames == tuple(range(27, 33))
