"""``weakbeam show`` on files with deformation on a grid."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from weakbeam.cli.show import show
from weakbeam.errors import InputError


def run(*arguments):
    result = CliRunner().invoke(show, [str(argument) for argument in arguments])
    if result.exception and result.exit_code:
        raise result.exception
    return result.output


def test_a_grid_is_told_and_drawn(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, beta=np.zeros((4, 3, 1, 3, 3)), spacing_um=0.5)
    said = run(path).splitlines()
    assert said[0] == "file of arrays: beta at 4 × 3 × 1 points, 2 × 1.5 × 0.5 µm"
    drawn = [tmp_path / "figures" / f"{name}-z.png" for name in ("gradient", "rotation-strain")]
    assert said[-2:] == [str(name) for name in drawn]
    assert all(name.stat().st_size for name in drawn)
    assert json.loads(run(path, "--json", "--format", "none"))["points"] == [4, 3, 1]


def test_flags_that_do_not_belong_are_refused(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, beta=np.zeros((4, 3, 1, 3, 3)), spacing_um=0.5)
    with pytest.raises(InputError, match="has no frames"):
        run(path, "--frame", 0)
    with pytest.raises(InputError, match=r"^--grain = 2: needs mask"):
        run(path, "--grain", 2)
    with pytest.raises(InputError, match=r"^--increment = 2: means nothing"):
        run(path, "--increment", 2)
    with pytest.raises(InputError, match=r"^--grain = 1: belongs to deformation on a grid"):
        run(tmp_path / "other.h5", "--grain", 1)
