"""Inputs that are cut, emptied or overwritten end in one line, and nothing is written."""

from __future__ import annotations

import random

import numpy as np
import pytest

from weakbeam.diffraction.kernel import Kernel
from weakbeam.experiment import Experiment
from weakbeam.experiment.presets import preset_text
from weakbeam.identify.library.writing import generate_images
from weakbeam.io.kernel_file import write_kernel
from weakbeam.run.record import record

CIF = """data_Al
_cell_length_a 4.0495
_cell_length_b 4.0495
_cell_length_c 4.0495
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Al Al 0 0 0
"""

SMALL = Experiment().with_settings(
    [
        "camera.pixels=[6, 8]",
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=4",
        "output.figures=false",
    ]
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A sound file of each kind, and the commands that read it."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "camera.toml").write_text(preset_text("camera_pco_edge"), encoding="utf-8")
    (folder / "crystal.cif").write_text(CIF, encoding="utf-8")
    edge = np.linspace(-1e-3, 1e-3, 9)
    kernel = Kernel((edge, edge, edge), np.ones((8, 8, 8), np.float32), 1000, 0.0, 1.0)
    write_kernel(folder / "kernel.h5", kernel)
    library = SMALL.with_settings(["scan.phi.value_mrad=0.1", "identify.character_step_deg=90"])
    files = {
        "camera": folder / "camera.toml",
        "crystal": folder / "crystal.cif",
        "kernel": folder / "kernel.h5",
        "run": record(SMALL, folder / "run").file,
        "library": generate_images(library, folder / "library").file,
    }
    return {name: (path.suffix, path.read_bytes()) for name, path in files.items()}


def forward(*keys: str) -> list[str]:
    return ["forward", "-o", "new", *(f"--set={key}" for key in keys)]


COMMANDS = {
    "camera": [forward("camera.model=file", "camera.file={file}")],
    "crystal": [forward("crystal.cif={file}", "crystal.poisson_ratio=0.34")],
    "kernel": [
        forward("acceptance.method=kernel", "acceptance.file={file}"),
        ["show", "{file}", "-o", "new"],
    ],
    "run": [
        forward("defects=[{{ kind = 'stored', file = '{file}' }}]"),
        ["show", "{file}", "-o", "new"],
        ["maps", "{file}", "-o", "new.h5"],
        ["rerun", "{file}", "-o", "new"],
    ],
    "library": [["rerun", "{file}", "-o", "new"]],
}


def spoilt(content: bytes) -> dict[str, bytes]:
    noise = random.Random(5).randbytes(len(content))
    half = len(content) // 2
    return {
        "empty": b"",
        "cut": content[:half],
        "zeros": bytes(len(content)),
        "noise": noise,
        "head only": content[:64] + noise[64:],
    }


@pytest.mark.parametrize(
    ("kind", "command"),
    [(kind, command) for kind, commands in COMMANDS.items() for command in commands],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_one_line_and_nothing_written(weakbeam, tmp_path, monkeypatch, inputs, kind, command):
    monkeypatch.chdir(tmp_path)
    suffix, content = inputs[kind]
    for name, data in spoilt(content).items():
        path = tmp_path / f"input{suffix}"
        path.write_bytes(data)
        result = weakbeam(*(part.format(file=path.name) for part in command))
        assert result.status in (1, 2), (name, result)
        assert len(result.err.splitlines()) == 1, (name, result.err)
        assert path.name in result.err, (name, result.err)
        assert [item.name for item in tmp_path.iterdir()] == [path.name], name
