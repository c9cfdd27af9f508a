"""``weakbeam show`` on the file of a kernel."""

import h5py
import pytest
from click.testing import CliRunner

from weakbeam.cli.bootstrap import bootstrap
from weakbeam.cli.show import show
from weakbeam.errors import InputError
from weakbeam.io.kernel_file import is_kernel

SMALL = ("--rays", "2e5", "--bins", "20", "12", "12")


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and result.exit_code:
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    # The name of the file says nothing.
    path = tmp_path_factory.mktemp("kernel") / "anything.dat"
    said = run(
        bootstrap, "-o", path, *SMALL, "--set", "objective.stop={kind='knife_edge', position_um=50}"
    )
    assert f"weakbeam show {path} draws it" in said
    return path


def test_figures_of_a_kernel(kernel, tmp_path):
    assert is_kernel(kernel)
    said = run(show, kernel, "-o", tmp_path / "drawn", "--format", "svg")
    names = [tmp_path / "drawn" / f"{name}.svg" for name in ("kernel", "rays")]
    assert said.split() == [str(name) for name in names]
    drawn, rays = (name.read_text() for name in names)
    assert "at 17 keV, knife edge" in drawn
    assert "χ² per bin" in drawn
    assert "50,000 rays that pass" in rays


def test_a_kernel_of_another_experiment_is_drawn_alone(kernel, tmp_path):
    path = tmp_path / "kernel.h5"
    path.write_bytes(kernel.read_bytes())
    with h5py.File(path, "r+") as file:
        text = file["kernel/provenance/configuration/data"]
        text[()] = text.asstr()[()].replace("energy_keV = 17.0", "energy_keV = 17.5")
    assert run(show, path).split() == [str(tmp_path / "figures/kernel.png")]
    with h5py.File(path, "r+") as file:
        file["kernel/provenance/configuration/data"][()] = "nonsense"
    assert run(show, path).split() == [str(tmp_path / "figures/kernel.png")]
    with h5py.File(path, "r+") as file:
        del file["kernel/provenance"]
    assert run(show, path).split() == [str(tmp_path / "figures/kernel.png")]


def test_damaged_and_other_files_are_refused(kernel, tmp_path):
    path = tmp_path / "kernel.h5"
    path.write_bytes(kernel.read_bytes())
    with h5py.File(path, "r+") as file:
        file["kernel/throughput"][()] = 0.5
    with pytest.raises(InputError, match="do not match the hash"):
        run(show, path)
    path.write_bytes(kernel.read_bytes()[:1000])
    assert not is_kernel(path)
    with pytest.raises(InputError):
        run(show, path)
    assert not is_kernel(tmp_path / "absent.h5")
    assert not is_kernel(tmp_path)
