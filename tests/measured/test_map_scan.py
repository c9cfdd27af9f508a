"""Maps of measured scans, from the file to the arrays."""

import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, angles, peaked_frames, write_bliss

from weakbeam import Experiment, center_of_mass, record, simulate
from weakbeam.analysis.orientation import kernel_average_misorientation
from weakbeam.analysis.reduction import map_frames
from weakbeam.assemble import assemble
from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import read_scan
from weakbeam.measured.background import mean_frame
from weakbeam.measured.maps import map_scan
from weakbeam.measured.stored import mapped_of, stored_maps
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.maps import factor_sums, scan_maps

CHI, PHI = angles()
TITLE = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"
STACK = peaked_frames()


@pytest.fixture
def scan(tmp_path):
    return read_scan(write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK))


def numpy_com(stack, x):
    return np.einsum("nij,n->ij", stack, x) / stack.sum(axis=0)


LEVELS = {
    "none": 0.0,
    "minimum": STACK.min(axis=0),
    "median": np.median(STACK, axis=0),
    100.0: 100.0,
}


@pytest.mark.parametrize("memory", [2**30, 1])
@pytest.mark.parametrize("background", list(LEVELS))
def test_centres_of_mass_equal_those_of_numpy(scan, background, memory):
    found = map_scan(scan, background, memory=memory, floor=0.0)
    above = STACK - LEVELS[background]
    for motor, x in (("chi", CHI), ("phi", PHI)):
        expected = numpy_com(above, x)
        com = found.maps.motors[motor]["com"]
        np.testing.assert_allclose(com, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.maps.intensity, above.sum(axis=0), rtol=1e-12)
    assert found.grid.shape == (5, 7)
    assert found.orientation == ("chi", "phi")


def test_an_image_is_a_background_too(scan):
    dark = 90.0 + np.arange(54.0).reshape(SHAPE) / 10
    for memory in (2**30, 1):
        found = map_scan(scan, dark, memory=memory, floor=0.0)
        expected = numpy_com(STACK - dark, PHI)
        np.testing.assert_allclose(found.maps.motors["phi"]["com"], expected, rtol=1e-12)


def test_threshold_in_counts_and_as_a_share(scan):
    peak = (STACK - 100.0).max(axis=0)
    counts = map_scan(scan, 100.0, threshold=900.0)
    np.testing.assert_array_equal(counts.maps.lit, peak > 900.0)
    share = map_scan(scan, 100.0, threshold=0.7, relative=True)
    np.testing.assert_array_equal(share.maps.lit, peak > 0.7 * peak.max())
    np.testing.assert_array_equal(np.isnan(share.maps.motors["chi"]["fwhm"]), ~share.maps.lit)


def test_mean_of_dark_frames(tmp_path):
    path = write_bliss(tmp_path / "a.h5", "loopscan 5 0.5", {}, STACK[:5])
    np.testing.assert_allclose(mean_frame(path, "1.1"), STACK[:5].mean(axis=0))


def test_what_to_know_of_a_scan_is_said(tmp_path, scan):
    pedestal = " ".join(map_scan(scan).warnings)
    assert "a background draws centres of mass to the middle" in pedestal
    assert map_scan(scan, 100.0).warnings == ()
    cut = write_bliss(tmp_path / "cut.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK[:20])
    assert "20 frames on a grid of 3 x 7" in " ".join(map_scan(read_scan(cut), 100.0).warnings)
    random = np.random.default_rng(3)
    odd = {"phi": random.random(35), "chi": random.random(35)}
    path = write_bliss(tmp_path / "odd.h5", TITLE, odd, STACK)
    found = map_scan(read_scan(path), 100.0, floor=0.0)
    assert "no grid" in found.warnings[0]
    np.testing.assert_allclose(
        found.maps.motors["phi"]["com"],
        numpy_com(STACK - 100.0, odd["phi"]),
        rtol=1e-12,
    )
    spoiled = STACK.astype(np.float32)
    spoiled[3, 2, 2] = np.nan
    path = write_bliss(tmp_path / "nan.h5", TITLE, {"phi": PHI, "chi": CHI}, spoiled)
    for background in ("median", "minimum", 100.0):
        found = map_scan(read_scan(path), background)
        assert "1 values are no finite numbers" in found.warnings[0]
        assert np.isfinite(found.maps.motors["phi"]["com"]).all()


def test_mistakes(tmp_path, scan):
    for options, said in [
        ({"background": "moon"}, "minimum, median"),
        ({"background": np.zeros((2, 2))}, r"image of \(6, 9\)"),
        ({"threshold": 1e9}, "leaves no pixel"),
        ({"kernel": 4}, "odd"),
        ({"floor": -1.0}, "from 0 on"),
        ({"skip": [35]}, "frames 0 to 34"),
    ]:
        with pytest.raises(InputError, match=said):
            map_scan(scan, **options)
    path = write_bliss(tmp_path / "dark.h5", TITLE, {"phi": PHI, "chi": CHI}, 0 * STACK)
    with pytest.raises(RunError, match="no light"):
        map_scan(read_scan(path))


def test_progress_ends_at_the_whole(scan):
    for background in ("none", "median"):
        done = []
        map_scan(scan, background, memory=20_000, progress=done.append)
        assert sum(done) == pytest.approx(1.0)


SMALL = Experiment().with_settings(["camera.pixels=[16, 40]", "output.figures=false"])


@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_maps_of_our_own_files(tmp_path, layout):
    experiment = SMALL.with_settings(
        [
            "scan.phi.half_range_mrad=0.6",
            "scan.phi.steps=15",
            "scan.chi.half_range_mrad=2.0",
            "scan.chi.steps=9",
            f"output.layout={layout}",
        ]
    )
    path = record(experiment, tmp_path / "run").file
    scan = read_scan(path)
    assert scan.image_axes[1].long_name == "y (µm)"
    found = map_scan(scan)
    expected = center_of_mass(simulate(experiment))
    for motor, com in (("phi", expected.phi), ("chi", expected.chi)):
        with h5py.File(path) as file:
            stored = file[f"1.1/maps/{motor}_com/{motor}_com"][()]
        # Those of the file come from the factors of the acceptance, without its frames.
        np.testing.assert_allclose(found.maps.motors[motor]["com"], stored, rtol=1e-6, atol=1e-8)
        angle = np.radians(found.maps.motors[motor]["com"])
        np.testing.assert_allclose(angle - math.radians(scan.fixed.get(motor, 0.0)), com, atol=1e-9)


def test_maps_from_the_factors_equal_those_of_the_stack():
    axes = {"phi": (0.6, 31), "chi": (2.0, 21)}
    ranges = [f"scan.{motor}.half_range_mrad={half}" for motor, (half, _) in axes.items()]
    steps = [f"scan.{motor}.steps={number}" for motor, (_, number) in axes.items()]
    experiment = SMALL.with_settings([*ranges, *steps])
    setup = assemble(experiment)
    acquisition = Acquisition(setup, setup.scans[0])
    sums = factor_sums(acquisition, lambda z, at: setup.engine(z, 1, reference=at))
    stored, factors = scan_maps(acquisition, sums), sums.moments
    images = simulate(experiment).images
    chi, phi = np.meshgrid(images.coords["chi"], images.coords["phi"], indexing="ij")
    positions = {"chi": chi.ravel(), "phi": phi.ravel()}
    maps = map_frames(images.values.reshape(-1, *images.shape[2:]), positions).motors
    for motor in axes:
        np.testing.assert_allclose(factors.center_of_mass(motor), maps[motor]["com"], atol=1e-9)
        np.testing.assert_allclose(factors.fwhm(motor), maps[motor]["fwhm"], rtol=1e-6)
        for kind in ("skewness", "kurtosis"):
            np.testing.assert_allclose(getattr(factors, kind)(motor), maps[motor][kind], atol=1e-6)
        for kind in ("peak", "peak_value", "fwhm_half"):
            scale = 1.0 if kind == "peak_value" else math.degrees(1.0)
            found = stored[f"{motor}_{kind}"] / scale
            np.testing.assert_allclose(found, maps[motor][kind], rtol=2e-6, atol=1e-9)


def test_a_scan_of_which_nothing_is_left_is_no_scan(scan):
    with pytest.raises(RunError, match=r"1 of 35 frames are left, and no scan: .* as asked for"):
        map_scan(scan, skip=range(34))


def test_an_arm_that_is_scanned_alone_shows_a_part_of_the_strain(tmp_path):
    """Half of it at the defaults; all of it if φ turns along by half of the angle."""
    arm = ["scan.two_theta.half_range_mrad=1.5", "scan.two_theta.steps=61"]
    alone = map_scan(read_scan(record(SMALL.with_settings(arm), tmp_path / "alone").file))
    assert alone.apparent
    assert alone.response.strain == pytest.approx(0.5, abs=0.01)
    assert "shows 0.50" in alone.warnings[-1]
    name = stored_maps(alone, "none", "0").maps["strain"][2]
    assert name.startswith("apparent axial strain of the arm scanned alone")
    strain = ["scan.mode=strain", "scan.strain.half_range_mrad=1.5", "scan.strain.steps=61"]
    path = record(SMALL.with_settings(strain), tmp_path / "strain").file
    together = map_scan(read_scan(path))
    assert together.scan.along == ("phi",)
    assert not together.apparent
    assert "strain" not in " ".join(together.warnings)


def test_turns_in_oblique_geometry_are_those_of_the_lattice(tmp_path):
    settings = [
        *("crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "reflection.hkl=[-1, -1, 1]"),
        *("reflection.geometry=oblique", "beam.energy_keV=19.1", "camera.pixels=[6, 9]"),
        *("scan.phi.half_range_mrad=0.8", "scan.phi.steps=9"),
        *("scan.chi.half_range_mrad=2", "scan.chi.steps=9"),
    ]
    experiment = SMALL.with_settings(settings)
    path = record(experiment, tmp_path / "run").file
    found = map_scan(read_scan(path))
    geometry = assemble(experiment).geometry
    chi, phi = (found.maps.motors[motor]["com"] for motor in ("chi", "phi"))
    # The rotation by φ and χ moves the end of the diffraction vector so far.
    moved = sum(
        angle[..., None] * np.cross(axis, geometry.q0_lab)
        for angle, axis in ((chi, geometry.chi_axis), (phi, geometry.phi_axis))
    )
    for step in ((0, 1), (1, 0)):
        here, there = (slice(None, -1) if k else slice(None) for k in step), step
        here = tuple(here)
        there = tuple(slice(k, None) for k in step)
        true = np.linalg.norm(moved[there] - moved[here], axis=-1)
        turns = found.turns
        told = np.hypot(*(turns[k][there] - turns[k][here] for k in (0, 1)))
        np.testing.assert_allclose(told, true, rtol=1e-6, atol=1e-12)
    plain = kernel_average_misorientation(np.stack([chi, phi]))
    assert np.nanmax(plain / found.misorientation) > 1.2
    with h5py.File(path) as file:
        stored = file["1.1/maps/misorientation/misorientation"][()]
    np.testing.assert_allclose(stored, found.misorientation, rtol=1e-4)


def test_strain_of_a_homogeneous_crystal_comes_back(tmp_path):
    """An expanded lattice stands at a smaller 2θ by 2 ε tan θ (physics.md, A3)."""
    theta, strain = math.radians(10.4), np.linspace(-1e-4, 1e-4, 54).reshape(SHAPE)
    arm = np.degrees(2 * theta) + np.linspace(-0.1, 0.1, 81)
    center = np.degrees(2 * theta - 2 * strain * math.tan(theta))
    stack = 1e4 * np.exp(-0.5 * ((arm[:, None, None] - center) / 0.02) ** 2)
    path = write_bliss(tmp_path / "s.h5", "fscan obpitch 0 1 81 1", {"obpitch": arm}, stack)
    found = map_scan(read_scan(path))
    np.testing.assert_allclose(found.strain, strain, atol=1e-8)
    np.testing.assert_allclose(found.strain_peak, strain, atol=1e-7)
    assert found.orientation == ()
    assert found.misorientation is None


def test_strain_from_a_scan_of_the_monochromator(tmp_path):
    """An expanded lattice diffracts longer waves: λ = 2 d sin θ, and λ = 2 d_m sin θ_m."""
    strain = np.linspace(-1e-4, 1e-4, 54).reshape(SHAPE)
    wavelength = 2 * 2.3380 * (1 + strain) * math.sin(math.radians(9.0))
    center = np.degrees(np.arcsin(wavelength / (2 * 3.1356)))
    angle = center.mean() + np.linspace(-0.02, 0.02, 81)
    stack = 1e4 * np.exp(-0.5 * ((angle[:, None, None] - center) / 0.004) ** 2)
    title = "fscan ccmth 6.6 0.0005 81 1"
    found = map_scan(read_scan(write_bliss(tmp_path / "e.h5", title, {"ccmth": angle}, stack)))
    np.testing.assert_allclose(found.strain, strain, atol=1e-8)
    np.testing.assert_allclose(found.strain_peak, strain, atol=1e-7)
    assert found.orientation == ()
    assert not any("strain" in warning for warning in found.warnings)
    moved = {"ccmth": angle - angle.mean()}
    found = map_scan(read_scan(write_bliss(tmp_path / "zero.h5", title, moved, stack)))
    assert found.strain is None
    assert "no Bragg angle of a monochromator" in " ".join(found.warnings)


@pytest.mark.parametrize("lost", ["intensity", "brightest", "phi_com", "chi_bimodality"])
def test_stored_maps_of_which_some_are_gone_are_refused(scan, lost):
    stored = stored_maps(map_scan(scan), "none", "0")
    assert mapped_of(stored).maps.motors.keys() == {"chi", "phi"}
    left = {name: values for name, values in stored.maps.items() if name != lost}
    with pytest.raises(InputError, match=f"the file lacks {lost}"):
        mapped_of(replace(stored, maps=left))
