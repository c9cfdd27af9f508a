"""``weakbeam distortion`` as it is typed."""

import csv

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from weakbeam.cli.program import weakbeam as program
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.run.record import record

TEXT = """
preset = "id06-oblique"
[crystal]
material = "Al"
[[reflections]]
hkl = [-1, -1, 3]
geometry = "oblique"
solution = 1
[[reflections]]
hkl = [1, 1, 3]
geometry = "oblique"
solution = 2
[camera]
pixels = [10, 10]
oversampling = "point"
pixel_nm = 300.0
model = "pco_edge"
photons_per_s = 8000.0
[scan.phi]
half_range_mrad = 0.1
steps = 13
[scan.chi]
half_range_mrad = 1.2
steps = 5
[scan.two_theta]
half_range_mrad = 0.6
steps = 3
[[defects]]
kind = "dislocation"
plane = [1, 1, 1]
burgers = [1, -1, 0]
line = [1, 1, -2]
position_um = [30.0, 0, 0]
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A simulated file of two reflections."""
    folder = tmp_path_factory.mktemp("two")
    experiment = Experiment.from_toml_text(TEXT, "two.toml")
    record(experiment.with_settings(["output.figures=false"]), folder / "run")
    return folder / "run" / "weakbeam.h5"


def run(*arguments):
    return CliRunner().invoke(program, ["distortion", *map(str, arguments)])


def test_two_reflections_leave_three_open(two, tmp_path):
    result = run(two, "-o", tmp_path / "out", "--smooth", "0.5")
    assert result.exit_code == 0, result.output
    assert "6 of 9 components" in result.stderr
    assert "how the displacement along [1 -1 0] grows along" in result.stderr
    assert "exchanged files would not show" in result.stderr
    with h5py.File(tmp_path / "out" / "distortion.h5") as file:
        maps = file["1.1/maps"]
        # Along [1 1 0] and z all is known of the displacement, so only z of these axes.
        assert "beta_zz" in maps
        assert "beta_xx" not in maps
        assert np.isfinite(maps["beta_zx/beta_zx"][()]).any()
        assert 1e-8 < np.nanmin(maps["beta_zz_error/beta_zz_error"][()]) < 1e-4
        assert file["1.1/process/open_tensors"].shape == (3, 3, 3)
    text = (tmp_path / "out" / "distortion.xdmf").read_text()
    assert "distortion.h5:/1.1/maps/beta_zz/beta_zz" in text
    assert (tmp_path / "out" / "components.png").exists()
    assert not (tmp_path / "out" / "circuits.csv").exists()
    # Nothing is replaced unasked.
    assert run(two, "-o", tmp_path / "out").exit_code != 0


def test_heights_are_layers(tmp_path):
    experiment = Experiment.from_toml_text(TEXT, "two.toml").with_settings(
        ["output.figures=false", "scan.z.values_um=[-0.5, 0, 0.5]", "camera.pixels=[5, 5]"]
    )
    record(experiment, tmp_path / "run")
    result = run(tmp_path / "run" / "weakbeam.h5", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 layers at z (um)                 -0.5, 0, 0.5; below, 0" in result.stdout
    assert (tmp_path / "out" / "components-3.png").exists()
    with h5py.File(tmp_path / "out" / "distortion.h5") as file:
        assert file.attrs["default"] == "2.1"
        assert file["3.1/process/z_um"][()] == 0.5
        # What z derivatives give, in the layer that has them.
        assert np.isfinite(file["2.1/maps/nye_zx/nye_zx"]).any()
        assert "nye_zx" not in file["1.1/maps"]
        assert file["layers/maps_of_layers/beta_zz/beta_zz"].shape[0] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--circuit", "1,2"], "three corners"),
        (["--circuit", "a:b"], "--circuit"),
        (["--circuit=-1:1,-1:1"], "passes where β is not known"),
        (["--gain", "0"], "--gain"),
        (["--set", "beam.energy_keV=17"], "goes together with --config"),
    ],
)
def test_mistakes_are_one_line(two, tmp_path, arguments, said):
    result = run(two, "-o", tmp_path / "out", *arguments)
    assert result.exit_code != 0
    message = str(result.exception) if isinstance(result.exception, InputError) else result.output
    assert said in message
    assert not (tmp_path / "out").exists()


def test_table_of_circuits_is_read_by_programs():
    from weakbeam.measured.circuit import Circuit
    from weakbeam.measured.distortion_stored import circuits_text

    one = Circuit(
        np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]),
        np.array([1e-4, 2e-4, 3e-4]),
        np.full(3, np.nan),
        np.full((3, 3), np.nan),
        np.array([1e-4, 2e-4, 3e-4]),
        np.array([0.5, 0.5, 0.0]),
    )
    (row,) = csv.DictReader(circuits_text([(1, one)], "sample").splitlines())
    assert float(row["bz_um"]) == 3e-4
    assert row["bx_error_um"] == ""
    assert row["lattice_vector"] == "½[1 1 0]"
