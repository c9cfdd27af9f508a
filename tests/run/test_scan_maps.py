"""Maps in the file of a simulated scan, against those made of its frames."""

import numpy as np
import pytest

from weakbeam.analysis import profiles
from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.io.foreign import read_scan
from weakbeam.io.reading import read_entry
from weakbeam.measured.maps import map_scan
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.map_axes import map_axes
from weakbeam.run.record import record
from weakbeam.run.simulate import center_of_mass, simulate

SMALL = Experiment().with_settings(
    ["camera.pixels=[12, 20]", "camera.pixel_nm=200", "output.figures=false"]
)
OBLIQUE = [
    "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "reflection.hkl=[-1, -1, 3]",
    "reflection.geometry=oblique",
    "beam.energy_keV=19.1",
]
PHI = ["scan.phi.half_range_mrad=0.6", "scan.phi.steps=15"]
CHI = ["scan.chi.half_range_mrad=2", "scan.chi.steps=9"]
ARM = ["scan.two_theta.half_range_mrad=1.2", "scan.two_theta.steps=13"]

SCANS = {
    "phi": PHI,
    "phi and chi": [*PHI, *CHI],
    "phi and the arm": [*PHI, *ARM],
    "chi and the arm": [*CHI, *ARM],
    "zigzag": [*PHI, *CHI, "scan.order=zigzag"],
    "in no order": ["scan.phi.values_mrad=[0.2, -0.3, 0, 0.35, -0.1]"],
    "strain": ["scan.mode=strain"],
    "heights": ["scan.z.values_um=[-0.4, 0, 0.5]"],
    "oblique": [*PHI, *OBLIQUE],
}


@pytest.mark.parametrize("settings", SCANS.values(), ids=SCANS.keys())
def test_maps_of_the_file_are_those_of_its_frames(tmp_path, settings):
    path = record(SMALL.with_settings(settings), tmp_path / "run").file
    found, stored = map_scan(read_scan(path)), read_entry(path).maps
    assert set(stored) - {"misorientation", "strain", "strain_peak"} == {
        f"{motor}_{kind}" for motor, kinds in found.maps.motors.items() for kind in kinds
    }
    for motor, by_kind in found.maps.motors.items():
        for kind, values in by_kind.items():
            here = stored[f"{motor}_{kind}"].values
            np.testing.assert_array_equal(np.isnan(here), np.isnan(values))
            np.testing.assert_allclose(here, values, rtol=2e-5, atol=2e-6)
    assert ("misorientation" in stored) == (found.misorientation is not None)
    if found.misorientation is not None:
        here = stored["misorientation"].values
        np.testing.assert_allclose(here, found.misorientation, atol=1e-8)
    assert ("strain" in stored) == (found.strain is not None)
    if found.strain is not None:
        here = stored["strain"].values
        np.testing.assert_allclose(here - np.nanmedian(here), found.strain, atol=1e-8)


UNEVEN = {
    "phi": "scan.phi.values_mrad=[{}]".format(
        ", ".join(f"{0.6 * t * abs(t):.6f}" for t in np.linspace(-1, 1, 61))
    ),
    "phi taken twice on one side": "scan.phi.values_mrad=[{}]".format(
        ", ".join(f"{t:.6f}" for t in [*np.linspace(-0.6, 0.6, 61), *np.linspace(0.02, 0.6, 30)])
    ),
}


@pytest.mark.parametrize("camera", ["ideal", "pco_edge"])
@pytest.mark.parametrize("values", UNEVEN.values(), ids=list(UNEVEN))
def test_uneven_positions_have_the_maps_of_even_ones(tmp_path, values, camera):
    bright = ["camera.counts_per_s=4e4"] if camera == "pco_edge" else []
    # Steps are what is asked here; samples of averages differ from scan to scan.
    cameras = [f"camera.model={camera}", *bright, "camera.oversampling='point'"]
    even = ["scan.phi.half_range_mrad=0.6", "scan.phi.steps=61"]
    found, expected = (
        read_entry(record(SMALL.with_settings([*scan, *cameras]), tmp_path / name).file).maps
        for name, scan in (("uneven", [values]), ("even", even))
    )
    difference = np.radians(found["phi_com"].values - expected["phi_com"].values)
    spread = np.radians(np.nanstd(expected["phi_com"].values))
    assert np.nanstd(difference) < 0.1 * spread
    ratio = np.nanmedian(found["phi_fwhm"].values / expected["phi_fwhm"].values)
    assert ratio == pytest.approx(1.0, abs=0.01)
    run = simulate(SMALL.with_settings([values, "camera.oversampling='point'"]))
    ideal = np.radians(expected["phi_com"].values)
    if camera == "ideal":
        zero = np.nanmedian(ideal - center_of_mass(run).phi)
        np.testing.assert_allclose(center_of_mass(run).phi + zero, ideal, atol=0.3 * spread)


STRAIN = ["scan.strain.half_range_mrad=1", "scan.strain.steps=5"]


def test_maps_of_phi_are_where_it_stood_while_the_arm_went_elsewhere(tmp_path):
    path = record(SMALL.with_settings([*STRAIN, *PHI, *CHI]), tmp_path / "run").file
    for index, arm in enumerate((-1.0, -0.5, 0.0, 0.5, 1.0)):
        scan, entry = read_scan(path, str(index + 1)), read_entry(path, f"{index + 1}.1")
        first = np.degrees(1e-3 * (-0.6 - 0.5 * arm))
        assert float(scan.title.split()[6]) == pytest.approx(first, abs=1e-9)
        np.testing.assert_allclose(scan.positions["phi"][0], first, atol=1e-12)
        for kind in ("com", "peak", "fwhm"):
            found = map_scan(scan).maps.motors["phi"][kind]
            np.testing.assert_allclose(entry.maps[f"phi_{kind}"].values, found, atol=1e-7)


def test_a_scan_of_phi_beside_a_strain_scan_has_moments_and_the_peak_of_strain(tmp_path):
    path = record(SMALL.with_settings([*STRAIN, *PHI]), tmp_path / "run").file
    scan, stored = read_scan(path), read_entry(path).maps
    assert "phi_peak" not in stored
    assert "strain_peak" in stored
    found = map_scan(scan).maps.motors
    for motor in ("phi", "obpitch"):
        for kind in ("com", "fwhm"):
            np.testing.assert_allclose(
                stored[f"{motor}_{kind}"].values, found[motor][kind], atol=1e-7
            )


@pytest.mark.parametrize("motors", [[*STRAIN, *PHI, *CHI], [*STRAIN, *PHI]], ids=["three", "two"])
def test_counts_of_a_strain_scan_with_phi_have_the_maps_of_the_ideal_frames(tmp_path, motors):
    bright = ["camera.model=pco_edge", "camera.counts_per_s=4e4"]
    for settings in ([], bright):
        record(SMALL.with_settings([*motors, *settings]), tmp_path / f"run{len(settings)}")
    ideal, counts = (read_entry(tmp_path / f"run{n}" / "weakbeam.h5").maps for n in (0, 2))
    assert set(ideal) == set(counts)
    for kind in ("com", "peak"):
        if f"phi_{kind}" in ideal:
            difference = counts[f"phi_{kind}"].values - ideal[f"phi_{kind}"].values
            assert abs(np.nanmedian(difference)) < 2e-4


def test_strain_counts_from_the_crystal_without_defects(tmp_path):
    settings = [
        *("scan.mode=strain", "scan.strain.half_range_mrad=1.5", "scan.strain.steps=31"),
        "defects=[]",
    ]
    stored = read_entry(record(SMALL.with_settings(settings), tmp_path).file).maps
    for name in ("strain", "strain_peak"):
        np.testing.assert_allclose(stored[name].values, 0.0, atol=1e-9)


def test_maps_of_counts_find_the_peak_of_the_ideal_frames(tmp_path):
    bright = ["camera.model=pco_edge", "camera.counts_per_s=4e4"]
    found = read_entry(record(SMALL.with_settings([*PHI, *bright]), tmp_path / "counts").file).maps
    ideal = read_entry(record(SMALL.with_settings(PHI), tmp_path / "ideal").file).maps
    unit = 4e4
    height = ideal["phi_peak_value"].values
    lit = height > 0.1
    error = np.radians(found["phi_peak"].values - ideal["phi_peak"].values)[lit]
    assert np.abs(error).max() < 1.5e-5
    np.testing.assert_allclose(found["phi_peak_value"].values[lit] / unit, height[lit], rtol=0.03)


def test_curves_that_are_too_large_make_no_maps(monkeypatch):
    setup = assemble(SMALL.with_settings(PHI))
    acquisition = Acquisition(setup, setup.scans[0])
    with_curves = set(map_axes(acquisition))
    monkeypatch.setattr(profiles, "CURVE_BYTES", 8 * 12 * 20 * 15 - 1)
    left_out = with_curves - set(map_axes(acquisition))
    assert left_out == {"phi_peak", "phi_peak_value", "phi_fwhm_half"}
