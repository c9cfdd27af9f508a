"""``weakbeam bootstrap`` as its users see it."""

import pytest
from click.testing import CliRunner

from weakbeam.cli.bootstrap import bootstrap, ray_optics
from weakbeam.cli.options import with_flags
from weakbeam.diffraction.kernel import differences
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.kernel_file import read_kernel

SMALL = ["--rays", "1e5", "--bins", "20", "10", "10"]


def run(*arguments):
    return CliRunner().invoke(bootstrap, [str(argument) for argument in arguments])


def test_kernel_of_the_default_experiment(tmp_path):
    path = tmp_path / "kernel.h5"
    result = run("-o", path, *SMALL)
    assert result.exit_code == 0, result.output
    assert "throughput  0.4653 of" in result.output
    kernel = read_kernel(path)
    assert kernel.shape == (20, 10, 10)
    assert kernel.tracing["rays"] == 100_000
    assert differences(kernel.conditions, ray_optics(Experiment())[1]) == []
    other = Experiment().with_settings(["beam.energy_keV=19.1"])
    assert any(
        "beam.energy_keV is 17" in d for d in differences(kernel.conditions, ray_optics(other)[1])
    )


def test_options(tmp_path):
    path = tmp_path / "kernel.h5"
    config = tmp_path / "experiment.toml"
    config.write_text("[reflection]\nhkl = [2, 0, 0]\n[crystal]\nx_axis = [0, 1, 0]\n")
    widths = ("--ranges", 2e-4, 3e-3, 3e-3)
    result = run(
        "-c", config, "-o", path, *SMALL, *widths, "--exact", "--seed", 3,
        "--set", "beam.bandwidth_rms=1e-4", "-q",
    )  # fmt: skip
    assert (result.exit_code, result.output) == (0, "")
    kernel = read_kernel(path)
    assert kernel.edges[0][[0, -1]] == pytest.approx([-1e-4, 1e-4])
    assert kernel.outside > 0.1
    assert kernel.conditions["reflection.hkl"] == [2, 0, 0]
    assert kernel.conditions["beam.bandwidth_rms"] == 1e-4
    assert kernel.tracing["exact"] is True
    before = path.read_bytes()
    assert run("-o", path, *SMALL, "--if-missing").exit_code == 0
    assert path.read_bytes() == before
    assert run("-o", path, *SMALL, "--overwrite").exit_code == 0
    assert read_kernel(path).conditions["reflection.hkl"] == [-1, 1, -1]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--rays", "0"], "--rays"),
        (["--rays", "nan"], "--rays"),
        (["--rays", "1.5"], "--rays"),
        (["--bins", "100000", "100000", "100000"], "--bins"),
        (["--ranges", "1e-12", "1e-12", "1e-12"], "--ranges"),
        (["--set", "reflection.hkl=[1,0,0]"], "reflection.hkl"),
        (["-o", "."], "--output"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(arguments, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*SMALL, *arguments] if "--bins" not in arguments else arguments
    error = run(*options).exception
    assert isinstance(error, InputError)
    assert with_flags(error).key == key
    assert "\n" not in str(error)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_kernel_is_kept(tmp_path):
    path = tmp_path / "kernel.h5"
    path.write_text("precious")
    error = run("-o", path, *SMALL).exception
    assert isinstance(error, InputError)
    assert "--overwrite" in str(with_flags(error))
    assert path.read_text() == "precious"
