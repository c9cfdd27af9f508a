"""Maps of scans with all that goes wrong: right, or named; against known truth."""

import h5py
import numpy as np
import pytest
from odd_scans import CENTERS, EVEN, FWHM, SHAPE, SIGMA, Camera, Scan, curves, edf_bytes, rocking

from weakbeam.analysis.remarks import left_out_of
from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import entry_range, read_scan, scan_names
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.measured.combine import combined_scan
from weakbeam.measured.maps import map_scan

pytestmark = pytest.mark.filterwarnings("error")


def mapped(path, *background, **options):
    return map_scan(read_scan(path), *background, **options)


def com(found, motor="mu"):
    return found.maps.motors[motor]["com"]


def kinds(found):
    return [remark.kind for remark in found.remarks]


def slope(measured, truth=CENTERS):
    good = np.isfinite(measured)
    return np.polyfit(truth[good], measured[good], 1)[0]


UNEVEN = {
    "x |x|": 0.3 * np.linspace(-1, 1, 61) * np.abs(np.linspace(-1, 1, 61)),
    "one side finer": np.concatenate([np.arange(-0.3, 0, 0.02), np.arange(0, 0.3, 0.005)]),
    "four to one about a curve": np.concatenate(
        [np.arange(-0.3, 0.05, 0.02), np.arange(0.05, 0.31, 0.005)]
    ),
    "taken twice on one side": np.sort(np.concatenate([EVEN, EVEN[EVEN > 0.0]])),
    "in no order": np.random.default_rng(2).permutation(np.linspace(-0.6, 0.6, 61) ** 3 / 0.36),
}


@pytest.mark.parametrize("x", UNEVEN.values(), ids=list(UNEVEN))
def test_frames_at_uneven_positions_count_by_their_steps(tmp_path, x):
    scan = rocking(x, Camera(dtype="float32"), title="fscan mu")
    found = mapped(scan.write(tmp_path / "a.h5"))
    np.testing.assert_allclose(com(found), CENTERS, atol=4e-4)
    assert np.std(com(found)) == pytest.approx(np.std(CENTERS), rel=0.01)
    assert np.median(found.maps.motors["mu"]["fwhm"]) == pytest.approx(FWHM, rel=0.01)
    assert not set(kinds(found)) & {"positions", "steps", "window"}


def test_uneven_steps_of_both_motors_of_a_grid(tmp_path):
    a, b = UNEVEN["x |x|"][::2], UNEVEN["one side finer"][::2]
    slow, fast = (v.ravel() for v in np.meshgrid(a, b, indexing="ij"))
    other = -CENTERS
    light = curves(slow, other) * curves(fast)
    stack = Camera(dtype="float32").counts(light)
    scan = Scan({"chi": slow, "phi": fast}, stack, f"fscan2d chi 0 1 {len(a)} phi 0 1 {len(b)}")
    path = scan.write(tmp_path / "a.h5")
    found = mapped(path)
    np.testing.assert_allclose(com(found, "phi"), CENTERS, atol=2e-3)
    np.testing.assert_allclose(com(found, "chi"), other, atol=2e-3)
    # A row of which a part is lost has wider steps beside the gap.
    lost = np.random.default_rng(3).choice(len(slow), 60, replace=False)
    without = mapped(path, skip=lost)
    assert left_out_of(without.remarks).tolist() == sorted(lost)
    np.testing.assert_allclose(com(without, "phi"), CENTERS, atol=8e-3)


def test_the_peak_of_a_curve_does_not_depend_on_how_often_a_position_was_taken(tmp_path):
    x = UNEVEN["taken twice on one side"]
    found = mapped(rocking(x, Camera(dtype="float32")).write(tmp_path / "a.h5"))
    np.testing.assert_allclose(found.maps.motors["mu"]["peak"], CENTERS, atol=2e-4)
    np.testing.assert_allclose(found.maps.motors["mu"]["peak_value"], 2000.0, rtol=3e-3)


STUCK = {
    "stands at 0 at the end": (slice(40, 61), 0.0),
    "stands still in mid scan": (slice(20, 27), EVEN[20]),
    "one leap": (slice(30, 31), 0.29),
    "leaps back": (slice(35, 36), -0.3),
}


@pytest.mark.parametrize(("which", "at"), STUCK.values(), ids=list(STUCK))
def test_frames_at_false_positions_are_named_and_left_out(tmp_path, which, at):
    scan = rocking()
    false = EVEN.copy()
    false[which] = at
    scan.motors["mu"] = false
    found = mapped(scan.write(tmp_path / "a.h5"))
    lost = set(left_out_of(found.remarks).tolist())
    # The frame at which a motor gets stuck stands where it says, and may go with the others.
    assert lost == set(range(*which.indices(61)))
    assert "left out" in next(r.text for r in found.remarks if r.kind == "positions")
    good = CENTERS < 0.0 if which.start == 40 else np.ones(SHAPE, bool)
    # Over a gap the curve is taken for a straight line.
    tolerance = {1: 1e-3, 7: 8e-3, 21: 5e-3}[len(lost)]
    np.testing.assert_allclose(com(found)[good], CENTERS[good], atol=tolerance)


HONEST = {
    "five at each": np.repeat(np.linspace(-0.3, 0.3, 31), 5),
    "there and back": np.concatenate([EVEN, EVEN[::-1]]),
    "in no order": np.random.default_rng(1).permutation(EVEN),
    "two sweeps": np.concatenate([EVEN, EVEN]),
    "jitter of half a step": EVEN + 0.005 * np.random.default_rng(4).uniform(-1.4, 1.4, 61),
    "ever slower": 0.3 - 0.6 * np.linspace(1, 0, 61) ** 3,
}


@pytest.mark.parametrize("x", HONEST.values(), ids=list(HONEST))
def test_positions_that_are_only_unusual_are_all_taken(tmp_path, x):
    scan = rocking(x, title="fscan mu")
    found = mapped(scan.write(tmp_path / "a.h5"))
    assert not len(left_out_of(found.remarks))
    np.testing.assert_allclose(com(found), CENTERS, atol=2e-3)


def test_frames_of_zeros_are_named_and_left_out(tmp_path):
    scan = rocking(camera=Camera(dark=100))
    scan.stack[25:30] = 0
    path = scan.write(tmp_path / "a.h5")
    for background in (100.0, "minimum"):
        found = mapped(path, background)
        assert "frames 25-29 hold nothing but zeros" in " ".join(found.warnings)
        np.testing.assert_allclose(com(found), CENTERS, atol=4e-3)
        assert slope(com(found)) == pytest.approx(1.0, abs=0.07)
    told = []
    mapped(path, progress=told.append)
    assert sum(told) == pytest.approx(1.0)
    # A camera without a dark level has dark frames of zeros.
    dark = mapped(rocking().write(tmp_path / "dark.h5"))
    assert dark.warnings == ()


def test_frames_without_source_are_named_and_left_out(tmp_path):
    scan = rocking()
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["d"] = scan.stack[:40]
    virtual = Scan(scan.motors, None).write(tmp_path / "a.h5")
    layout = h5py.VirtualLayout(scan.stack.shape, "uint16")
    layout[:40] = h5py.VirtualSource("frames.h5", "d", (40, *SHAPE))
    with h5py.File(virtual, "r+") as file:
        file.create_virtual_dataset("1.1/instrument/pco_ff/image", layout)
    unwritten = Scan(scan.motors, None).write(tmp_path / "b.h5")
    with h5py.File(unwritten, "r+") as file:
        frames = file.create_dataset(
            "1.1/instrument/pco_ff/image", scan.stack.shape, "uint16", chunks=(1, *SHAPE)
        )
        frames[:40] = scan.stack[:40]
    left = CENTERS < 0.0
    for path in (virtual, unwritten):
        found = mapped(path)
        assert "frames 40-60 have no source" in found.warnings[0]
        np.testing.assert_allclose(com(found)[left], CENTERS[left], atol=4e-3)
    missing = Scan(scan.motors, None).write(tmp_path / "c.h5")
    layout[40:] = h5py.VirtualSource("gone.h5", "d", (21, *SHAPE))
    with h5py.File(missing, "r+") as file:
        file.create_virtual_dataset("1.1/instrument/pco_ff/image", layout)
    with pytest.raises(RunError, match=r"gone.h5 .* missing \(frames 40-60\)"):
        mapped(missing)


def test_the_file_behind_a_link_is_named_if_it_is_gone(tmp_path):
    path = Scan({"mu": EVEN}, None).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/pco_ff/image"] = h5py.ExternalLink("gone.h5", "/d")
    with pytest.raises(InputError, match=r"the file gone.h5 with the frames of pco_ff is gone"):
        read_scan(path)


@pytest.mark.parametrize("start", [359.7, -0.3])
def test_a_full_circle_is_no_leap(tmp_path, start):
    x = np.mod(start + 0.3 + EVEN, 360.0)
    scan = rocking()
    scan.motors, scan.title = {"omega": x}, "fscan omega"
    found = mapped(scan.write(tmp_path / "a.h5"))
    assert "omega crosses 360 deg" in found.warnings[0]
    np.testing.assert_allclose(np.mod(com(found, "omega") + 180, 360) - 180, CENTERS, atol=1e-4)


UNITS = {
    "degrees": 1.0,
    "°": 1.0,
    "Degree": 1.0,
    "mdeg": 1e3,
    "rad": np.pi / 180,
    "mrad": 1e3 * np.pi / 180,
    "urad": 1e6 * np.pi / 180,
    "arcsec": 3600.0,
}


@pytest.mark.parametrize("unit", UNITS)
def test_angles_in_any_unit_are_the_same_maps(tmp_path, unit):
    scan = rocking(unit=unit)
    scan.motors["mu"] = EVEN * UNITS[unit]
    found = mapped(scan.write(tmp_path / "a.h5"))
    assert found.scan.units == {"mu": "deg"}
    np.testing.assert_allclose(com(found), CENTERS, atol=1e-4)
    assert found.misorientation is not None


def test_a_unit_that_is_not_known_is_named(tmp_path):
    found = mapped(rocking(unit="furlong").write(tmp_path / "a.h5"))
    assert "mu has the unit furlong" in found.warnings[0]
    assert found.misorientation is None


def test_saturated_and_stuck_pixels_are_counted(tmp_path):
    scan = rocking(camera=Camera(height=7e4, dark=100))
    assert (scan.stack == 65535).any()
    scan.stack[:, 2, 3] = 400
    found = mapped(scan.write(tmp_path / "a.h5"), 100.0)
    text = " ".join(found.warnings)
    full = (np.delete(scan.stack.reshape(61, -1), 27, axis=1) == 65535).any(axis=0).sum()
    assert f"{full} pixels are saturated, at 65535 counts" in text
    assert "1 pixel never changes" in text
    assert np.isnan(com(found)[2, 3])
    assert np.isfinite(com(found)).sum() == 119
    twelve = rocking(camera=Camera(height=6000, dark=10))
    twelve.stack[:] = np.minimum(twelve.stack, 4095)
    assert "at 4095 counts" in " ".join(mapped(twelve.write(tmp_path / "b.h5")).warnings)


def test_one_zinger_does_not_set_the_scale(tmp_path):
    scan = rocking(camera=Camera(dark=100))
    path = scan.write(tmp_path / "clean.h5")
    clean = mapped(path, 100.0, 0.05, True)
    scan.stack[7, 3, 4] = 65000
    found = mapped(scan.write(tmp_path / "a.h5"), 100.0, 0.05, True)
    assert found.maps.lit.sum() == clean.maps.lit.sum() == 120
    assert "pixel (3, 4)" in " ".join(found.warnings)
    assert "jumps" not in kinds(found)
    assert "zingers" not in kinds(clean)


def test_counts_that_were_wrapped_are_named(tmp_path):
    scan = rocking(camera=Camera(height=40000))
    scan.stack = scan.stack.astype(np.int16)
    found = mapped(scan.write(tmp_path / "a.h5"))
    remark = next(remark for remark in found.remarks if remark.kind == "wrapped")
    assert remark.frames == tuple(np.nonzero((scan.stack < 0).any(axis=(1, 2)))[0])
    assert "int16 ends at 32767" in remark.text
    small = rocking(camera=Camera(read=3.0, dtype="int16"))
    assert "wrapped" not in kinds(mapped(small.write(tmp_path / "b.h5")))


def test_a_window_that_cuts_the_curve_is_no_background(tmp_path):
    narrow = np.linspace(-0.06, 0.06, 25)
    for dark in (0.0, 100.0):
        path = rocking(narrow, Camera(dark=dark)).write(tmp_path / f"{dark}.h5")
        for background in ("none", dark):
            found = mapped(path, background)
            assert "window" in kinds(found)
            assert "background" not in kinds(found)
            assert "do not fall off inside the scan of mu" in " ".join(found.warnings)
    pedestal = mapped(rocking(camera=Camera(dark=100, read=3)).write(tmp_path / "p.h5"))
    assert kinds(pedestal) == ["background"]


@pytest.mark.parametrize("light", ["in every frame", "in half of the pixels"])
def test_pixels_that_never_change_tell_a_background(tmp_path, light):
    narrow = np.linspace(-0.06, 0.06, 61)
    shown = curves(narrow)
    if light == "in half of the pixels":
        shown[:, :, : SHAPE[1] // 2] = 0.0
    stack = Camera(dark=2500, read=3).counts(shown)
    path = Scan({"mu": narrow}, stack).write(tmp_path / "a.h5")
    found = [remark for remark in mapped(path).remarks if remark.kind == "background"]
    if light == "in every frame":
        assert not found
        return
    assert found[0].pixels == SHAPE[0] * SHAPE[1] // 2
    assert "about 2500 in every frame" in found[0].text
    assert "see `background`" in found[0].text
    assert "background" not in kinds(mapped(path, 2500.0))


def test_steps_wider_than_the_curve_are_named(tmp_path):
    x = np.arange(-5, 6) * FWHM
    found = mapped(rocking(x).write(tmp_path / "a.h5"))
    assert "steps" in kinds(found)
    assert "centres of mass are biased" in " ".join(found.warnings)
    fine = mapped(rocking(np.arange(-10, 11) * 0.5 * FWHM).write(tmp_path / "b.h5"))
    assert "steps" not in kinds(fine)


def test_a_monitor_takes_away_what_the_beam_did(tmp_path):
    beam = np.linspace(1.0, 0.5, 61)
    stack = Camera(height=40000).counts(curves(EVEN) * beam[:, None, None])
    counters = {"pico4": 1e-6 * beam}
    path = Scan({"mu": EVEN}, stack, counters=counters).write(tmp_path / "a.h5")
    biased = com(mapped(path)) - CENTERS
    found = map_scan(read_scan(path, monitor="pico4"))
    assert abs(np.mean(biased)) > 2e-3
    np.testing.assert_allclose(com(found), CENTERS, atol=1e-4)
    with pytest.raises(InputError, match=r"monitor = .pico9.: .* it has: mu, pico4"):
        read_scan(path, monitor="pico9")
    with h5py.File(path, "r+") as file:
        file["1.1/measurement/pico4"][10:13] = 0.0
        file["1.1/instrument/pco_ff/image"][10:13] = 0
    found = map_scan(read_scan(path, monitor="pico4"))
    assert left_out_of(found.remarks).tolist() == [10, 11, 12]
    np.testing.assert_allclose(com(found), CENTERS, atol=4e-4)


def test_names_of_fly_scans(tmp_path):
    scan = rocking()
    scan.motors = {"mu_center": EVEN}
    path = scan.write(tmp_path / "a.h5")
    for options in ({}, {"motors": ("mu_center",)}):
        found = map_scan(read_scan(path, **options))
        np.testing.assert_allclose(com(found, "mu_center"), CENTERS, atol=1e-4)
        assert found.scan.units == {"mu_center": "deg"}
    assert "mu is read from mu_center" in " ".join(read_scan(path).warnings)


def test_entries_are_put_together_over_an_outer_motor(tmp_path):
    path = tmp_path / "a.h5"
    energies = 7.0 + 0.002 * np.arange(-4, 5)
    outer = 7.0 + 0.04 * CENTERS
    for k, energy in enumerate(energies):
        light = curves(EVEN) * np.exp(-0.5 * ((energy - outer) / 0.003) ** 2)
        scan = Scan({"mu": EVEN}, Camera(height=2e4).counts(light), still={"ccmth": energy})
        scan.write(path, f"{k + 1}.1")
    names = entry_range(path, "1.1-9.1")
    assert names == [f"{k}.1" for k in range(1, 10)]
    assert entry_range(path, "2,4-5") == ["2.1", "4.1", "5.1"]
    scans = [read_scan(path, name) for name in names]
    whole = combined_scan(scans, "ccmth")
    assert (whole.frames, whole.entry) == (549, "1.1-9.1")
    stack = np.concatenate([frames for _, frames in read_blocks(whole)])
    np.testing.assert_array_equal(read_frames_of(whole, [548, 61, 0]), stack[[548, 61, 0]])
    found = map_scan(whole)
    assert found.grid.shape == (9, 61)
    np.testing.assert_allclose(com(found, "ccmth"), outer, atol=3e-4)
    np.testing.assert_allclose(com(found), CENTERS, atol=1e-4)
    np.testing.assert_allclose(
        found.strain, (outer - np.median(outer)) * np.pi / 180 / np.tan(np.radians(7.0)), atol=5e-5
    )
    for wrong, said in [
        (lambda: combined_scan(scans, "mono"), "it has: ccmth"),
        (lambda: combined_scan(scans[:1], "ccmth"), "one scan"),
        (lambda: combined_scan([scans[0], scans[0]], "ccmth"), "stood at 6.992"),
        (lambda: entry_range(path, "1-12"), "has the entries"),
        (lambda: entry_range(path, "4-2"), "comes before"),
    ]:
        with pytest.raises(InputError, match=said):
            wrong()


def test_a_grid_of_three_motors(tmp_path):
    axes = np.linspace(-0.24, 0.24, 11), np.linspace(-0.25, 0.25, 9), EVEN[::3]
    slow, middle, fast = (v.ravel() for v in np.meshgrid(*axes, indexing="ij"))
    light = curves(slow, 0.5 * CENTERS) * curves(middle, -CENTERS) * curves(fast)
    stack = Camera(dtype="float32").counts(light)
    motors = {"ccmth": slow, "chi": middle, "mu": fast}
    found = mapped(Scan(motors, stack, "", unit=None).write(tmp_path / "a.h5"))
    assert found.grid.shape == (11, 9, 21)
    assert found.orientation == ("chi", "mu")
    for motor, truth in (("ccmth", 0.5 * CENTERS), ("chi", -CENTERS), ("mu", CENTERS)):
        np.testing.assert_allclose(com(found, motor), truth, atol=5e-4)


@pytest.mark.parametrize(("dtype", "suffix"), [("uint16", ".edf"), (">u2", ".edf.gz"), ("<f4", "")])
def test_a_scan_of_edf_images(tmp_path, dtype, suffix):
    import gzip

    stack = Camera().counts(curves(EVEN)).astype(dtype)
    blocks = []
    for k, image in enumerate(stack):
        header = {
            "scan": "ascan  diffry -0.3 0.3 60 5",
            "scan_no": 86,
            "point_no": k,
            "motor_mne": "trash mono diffry obpitch",
            "motor_pos": f"2 -nan {EVEN[k]:.6f} 20.5",
            "counter_mne": "sec pico4",
            "counter_pos": "5 1e-6",
        }
        blocks.append(edf_bytes(image, header))
    folder = tmp_path / "strain"
    folder.mkdir()
    if suffix:
        pack = gzip.compress if suffix.endswith("gz") else bytes
        # Written in another order than they were taken in, and numbered without zeros.
        for k, block in enumerate(blocks):
            (folder / f"s_{k}{suffix}").write_bytes(pack(block))
        sources = [folder, str(folder / "s_*"), sorted(folder.iterdir())]
        sources = [folder, f"{folder}/*{suffix}", sorted(folder.iterdir())]
    else:
        (folder / "all.edf").write_bytes(b"".join(blocks))
        sources = [folder / "all.edf", folder]
    for source in sources:
        assert scan_names(source) == {"86": "ascan diffry -0.3 0.3 60 5"}
        scan = read_scan(source, monitor="pico4")
        assert (scan.frames, scan.shape, scan.units) == (61, SHAPE, {"diffry": "deg"})
        assert scan.fixed == {"trash": 2.0, "obpitch": 20.5}
        np.testing.assert_array_equal(read_frames_of(scan, [3, 60]), stack[[3, 60]])
        np.testing.assert_allclose(com(map_scan(scan), "diffry"), CENTERS, atol=1e-4)
    assert read_scan(sources[0], motors=("diffry",)).warnings == ()
    with pytest.raises(InputError, match="has the scans 86"):
        read_scan(sources[0], "7")
    with pytest.raises(InputError, match="moves no motor"):
        read_scan(sources[0], motors=("obpitch",))


def test_edf_images_that_cannot_be_read(tmp_path):
    good = edf_bytes(np.zeros(SHAPE, np.uint16), {"motor_mne": "mu", "motor_pos": "1"})
    for name, content, said in [
        ("text", b"hello" * 300, "does not begin with {"),
        ("open", b"{ Dim_1 = 3 ;" + b" " * 700, "without an end"),
        ("kind", good.replace(b"UnsignedShort", b"Complex"), "unknown kind"),
        ("pressed", good.replace(b"Size =", b"Compression = CBF ; Size ="), "compressed"),
    ]:
        path = tmp_path / f"{name}.edf"
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_scan(path)
    with pytest.raises(InputError, match="no such file"):
        read_scan(f"{tmp_path}/none*.edf")
    cut = []
    for k in range(3):
        image = edf_bytes(
            np.full(SHAPE, 9 * k, np.uint16), {"motor_mne": "mu", "motor_pos": str(k)}
        )
        cut.append(tmp_path / f"cut{k}.edf")
        cut[-1].write_bytes(image[:-20] if k == 2 else image)
    with pytest.raises(RunError, match=r"cut2.edf ends after 220 of 240 bytes"):
        map_scan(read_scan(cut))


def test_two_maxima_of_a_pixel_are_both_offered(tmp_path):
    second = CENTERS + 0.2
    two = np.zeros(SHAPE, bool)
    two[:, :6] = True
    light = curves(EVEN, CENTERS - 0.1) + 0.6 * np.where(two, curves(EVEN, second), 0.0)
    camera = Camera(height=3000, dark=100, read=3, shot=True)
    path = Scan({"mu": EVEN}, camera.counts(light)).write(tmp_path / "a.h5")
    found = mapped(path, 100.0)
    maxima = found.maps.maxima["mu"]
    np.testing.assert_array_equal(maxima["bimodality"] > 0.0, two)
    np.testing.assert_array_equal(np.isfinite(maxima["second_peak"]), two)
    assert np.std(maxima["second_peak"][two] - second[two]) < 8e-3
    assert np.std(found.maps.motors["mu"]["peak"] - CENTERS) < 8e-3
    np.testing.assert_allclose(maxima["second_value"][two], 1800.0, rtol=0.1)
    assert "60 pixels (50%) have two maxima along mu" in " ".join(found.warnings)
    one = mapped(rocking(camera=camera).write(tmp_path / "b.h5"), 100.0)
    assert not (one.maps.maxima["mu"]["bimodality"] > 0.0).any()


@pytest.mark.parametrize("background", [100.0, "median"])
def test_counts_below_the_background_are_not_cut_off(tmp_path, background):
    x = np.linspace(-0.6, 0.6, 121)
    camera = Camera(height=150, dark=100, read=8)
    found = mapped(rocking(x, camera, title="fscan mu").write(tmp_path / "a.h5"), background)
    assert slope(com(found)) == pytest.approx(1.0, abs=0.02)
    assert np.nanmedian(found.maps.motors["mu"]["fwhm"]) == pytest.approx(FWHM, rel=0.04)
    assert found.noise == pytest.approx(8.0, rel=0.1)
    whole = mapped(tmp_path / "a.h5", 100.0, floor=0.0)
    # On an average over the pixels what is negative and what is positive cancel.
    cut = np.maximum(camera.counts(curves(x)) - 100.0, 0.0)
    first = np.einsum("nij,n->ij", cut, x) / cut.sum(axis=0)
    wide = 2.3548 * np.sqrt(np.einsum("nij,n->ij", cut, x**2) / cut.sum(axis=0) - first**2)
    assert np.median(wide) > 1.5 * FWHM
    assert slope(first) < 0.9
    assert slope(com(whole)) == pytest.approx(1.0, abs=0.15)


def test_noise_of_dark_frames_is_no_signal(tmp_path):
    """A stack of the kind of the real one: 94 % of 2,666 frames without light in any pixel."""
    random = np.random.default_rng(8)
    chi, phi = np.linspace(-1, 3.88, 62), np.linspace(-1.5, 1.86, 43)
    slow, fast = (v.ravel() for v in np.meshgrid(chi, phi, indexing="ij"))
    at = random.normal(0.445, 0.05, SHAPE), random.normal(0.4, 0.02, SHAPE)
    widths = 0.2, 0.11
    light = curves(slow, at[0], widths[0]) * curves(fast, at[1], widths[1])
    assert (light.max(axis=(1, 2)) < 0.03).mean() > 0.85
    stack = Camera(height=160, dark=100, read=2.6).counts(light)
    title = "fscan2d chi -1 0.08 62 phi -1.5 0.08 43 0.1 0.100419"
    path = Scan({"chi": slow, "phi": fast}, stack, title).write(tmp_path / "a.h5")
    found = mapped(path, "median", 0.05, True)
    rectified = np.maximum(stack - np.median(stack, axis=0), 0.0)
    noisy = np.median(np.einsum("nij,n->ij", rectified, slow) / rectified.sum(axis=0))
    # What noise makes of it when it is cut off at 0, and what it is.
    assert noisy > 0.75
    for motor, truth, sigma in (("chi", at[0], widths[0]), ("phi", at[1], widths[1])):
        error = com(found, motor) - truth
        assert abs(np.nanmedian(error)) < 0.01
        assert np.nanstd(error) < 0.15 * sigma
        width = np.nanmedian(found.maps.motors[motor]["fwhm"])
        assert width == pytest.approx(2.3548 * sigma, rel=0.04)
    remark = next(remark for remark in found.remarks if remark.kind == "noise")
    share = 2.6 / np.sqrt(2 * np.pi) * 2666 / found.maps.intensity.mean()
    assert f"{share:.0%} of the signal" in remark.text or abs(share - 0.75) < 1.0
    assert found.noise == pytest.approx(2.6, rel=0.1)
    without = mapped(path, "median", floor=0.0)
    assert np.nanstd(com(without, "chi") - at[0]) > 2.0 * np.nanstd(com(found, "chi") - at[0])
    assert "see `floor`" in " ".join(without.warnings)


def test_bands_and_streaming_give_the_same_maps(tmp_path):
    camera = Camera(height=150, dark=100, read=8)
    path = rocking(camera=camera).write(tmp_path / "a.h5")
    for background in (100.0, "minimum", "median"):
        whole = mapped(path, background)
        for memory in (1, 150_000):
            parts = mapped(path, background, memory=memory)
            for kind, values in whole.maps.motors["mu"].items():
                np.testing.assert_allclose(parts.maps.motors["mu"][kind], values, rtol=1e-9)
            assert parts.warnings == whole.warnings
            assert parts.maps.whole["mu"].fwhm == pytest.approx(whole.maps.whole["mu"].fwhm)


def test_a_median_that_is_light_is_no_background(tmp_path):
    narrow = np.linspace(-0.12, 0.12, 61)
    camera = Camera(height=1000, dark=100, read=3)
    found = mapped(rocking(narrow, camera).write(tmp_path / "a.h5"), "median")
    assert "median" in kinds(found)
    assert np.isfinite(com(found)).all()
    assert slope(com(found)) > 0.5


def test_width_of_the_sum_and_of_the_pixels(tmp_path):
    found = mapped(rocking().write(tmp_path / "a.h5"))
    assert np.median(found.maps.motors["mu"]["fwhm"]) == pytest.approx(FWHM, rel=2e-3)
    expected = 2.3548 * np.hypot(SIGMA, np.std(CENTERS))
    assert found.maps.whole["mu"].fwhm == pytest.approx(expected, rel=2e-3)


def test_a_frame_far_darker_than_its_neighbours_is_named(tmp_path):
    scan = rocking(camera=Camera(dark=100, read=1))
    scan.stack[32] = 100
    found = mapped(scan.write(tmp_path / "a.h5"), 100.0)
    remark = next(remark for remark in found.remarks if remark.kind == "dips")
    assert remark.frames == (32,)
    skipped = mapped(tmp_path / "a.h5", 100.0, skip=[32])
    np.testing.assert_allclose(com(skipped), CENTERS, atol=1e-3)


def test_numbers_that_no_float_holds_raise_no_warning(tmp_path):
    scan = rocking(camera=Camera(dtype="float32"))
    scan.stack[30, 2, 2] = 3e38
    scan.stack[31, 2, 2] = np.inf
    scan.stack[20:40, 4, 4] = 3e38
    found = mapped(scan.write(tmp_path / "a.h5"))
    assert "22 values are no finite numbers" in " ".join(found.warnings)
    flat = rocking(camera=Camera(dtype="float32"))
    flat.stack[:, :5] = 7.0
    mapped(flat.write(tmp_path / "b.h5"))
