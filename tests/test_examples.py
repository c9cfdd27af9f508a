"""The scripts in examples/ run and draw their pictures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def output_of(script, picture):
    command = [sys.executable, str(EXAMPLES / script), str(picture)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert picture.read_bytes()[1:4] == b"PNG"
    return done.stdout


@pytest.mark.slow
def test_five_edges(tmp_path):
    assert "5 edge dislocations" in output_of("five_edges.py", tmp_path / "edges.png")


@pytest.mark.slow
def test_maps_of_walls_follow_the_deformation(tmp_path):
    printed = output_of("wall_series.py", tmp_path / "walls.png")
    rows = re.findall(
        r"^ +([\d.]+) +(phi|chi) +([\d.-]+) +[\d.]+ +([\d.-]+) +([\d.]+)$", printed, re.M
    )
    assert len(rows) == 10
    for _, _, in_plane, averaged, rms_urad in rows:
        assert float(in_plane) > 0.93
        assert float(averaged) > 0.99
        assert float(rms_urad) < 0.5
