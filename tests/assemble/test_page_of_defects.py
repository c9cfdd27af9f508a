"""What the how-to on defects writes is placed as it says."""

import re
import tomllib
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment

FOLDER = Path(__file__).parents[2] / "docs/how-to"
PAGE = (FOLDER / "defects.md").read_text()
PAGES = PAGE + (FOLDER / "loops.md").read_text() + (FOLDER / "networks.md").read_text()
BLOCKS = [
    block
    for block in re.findall(r"^```toml[^\n]*\n(.*?)^```$", PAGES, re.M | re.S)
    if "[[defects]]" in block and '"stored"' not in block
]
HEXAGONAL = {"crystal": {"material": "Mg", "x_axis": [1, 0, 0]}, "reflection": {"hkl": [0, 0, 2]}}


@pytest.fixture(autouse=True)
def lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (table,) = re.findall(r"^```csv[^\n]*\n(.*?)^```$", PAGE, re.M | re.S)
    Path("lines.csv").write_text(table)
    example = run_path(str(FOLDER.parents[1] / "examples/networks.py"))
    Path("network.data").write_text(example["paradis"](*example["network"]()))
    np.savez("grain.npz", beta=np.zeros((5, 5, 5, 3, 3)), spacing_um=0.5)


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks_are_placed(text):
    data = tomllib.loads(text)
    crystal = HEXAGONAL if "[0, 0, 0, 1]" in text else {}
    experiment = Experiment.model_validate(data | crystal).with_settings(["camera.pixels=[8, 8]"])
    assert assemble(experiment).defects.count > 0


def test_the_table_holds_sixty_degree_dislocation_screw_and_edge():
    (block,) = (block for block in BLOCKS if '"table"' in block)
    placed = assemble(Experiment.from_toml_text(block)).defects.lines
    assert placed.angles_deg.round(9).tolist() == [60.0, 0.0, 90.0]


def test_the_first_block_is_a_sixty_degree_dislocation():
    (line,) = assemble(Experiment.from_toml_text(BLOCKS[0])).defects.lines
    assert line.angle_deg == pytest.approx(60.0, abs=1e-9)
