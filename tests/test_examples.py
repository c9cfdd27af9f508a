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
def test_loops(tmp_path):
    assert "4 curved dislocations" in output_of("loops.py", tmp_path / "loops.png")


@pytest.mark.slow
def test_networks(tmp_path):
    command = [sys.executable, str(EXAMPLES / "networks.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("network.png", "network-phi.gif", "network-sections.gif"):
        assert (tmp_path / name).stat().st_size > 10_000


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


@pytest.mark.slow
def test_anisotropy_matters_where_the_zener_ratio_is_far_from_one(tmp_path):
    printed = output_of("anisotropy.py", tmp_path / "anisotropy.png")
    rows = re.findall(r"^(\w+) +([\d.]+) +([\d.]+) % +([\d.]+) % +([\d.]+) %$", printed, re.M)
    changes = {name: (float(zener), float(change)) for name, zener, change, *_ in rows}
    assert list(changes) == ["Al", "Cu", "Fe", "W"]
    # The medians that an independent program gives (docs/explanation/physics.md, D8).
    assert changes["Cu"] == (3.21, pytest.approx(27, abs=1))
    assert changes["Al"] == (1.22, pytest.approx(5, abs=1))
    assert changes["W"][1] < 1


@pytest.mark.slow
def test_maps_of_a_grain_follow_its_deformation(tmp_path):
    printed = output_of("crystal_plasticity.py", tmp_path / "grain.png")
    told = r"^(phi|chi)  correlation ([\d.]+), rms difference ([\d.]+) µrad$"
    rows = re.findall(told, printed, re.M)
    assert [name for name, *_ in rows] == ["phi", "chi"]
    for _, correlation, rms in rows:
        assert float(correlation) > 0.999
        assert float(rms) < 10.0
