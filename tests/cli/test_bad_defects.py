"""Walls, populations, boundaries and lists that cannot be: status 2, one line, nothing written."""

from __future__ import annotations

import pytest

EDGE = 'burgers = [1, 0, -1]\nline = [1, -2, 1]\nspacing_um = 1.0\nkind = "wall"\n'
SCREW = (
    'burgers = [1, 0, -1]\nline = [1, 0, -1]\nspacing_um = 1.0\nkind = "wall"\norder = "twist"\n'
)
RANDOM = 'kind = "random"\n'
RECIPE = 'kind = "boundary"\nrecipe = "leds_eq11"\n'
NET = 'kind = "boundary"\nnormal = [0, 1, 0]\naxis = [0, 1, 0]\nangle_deg = 0.1\n'
SETS = "sets = [{ burgers = [1, 0, -1], line = %s }]\n"

# The table, and what the line must name: the key and a part of what is wrong or allowed.
MISTAKES = {
    "no room": (
        RANDOM + "count = 1000\nminimum_distance_um = 5.0\n",
        "minimum_distance_um",
        "room",
    ),
    "unsolvable": (NET + SETS % "[1, 0, -1]", "sets", "the best densities are"),
    "residual": (NET + SETS % "[1, 0, -1]", "sets", "of the misorientation unaccounted for"),
    "line leaves the boundary": (NET + SETS % "[1, 1, 1]", "sets", "leaves the boundary"),
    "line leaves its plane": (EDGE + "plane = [1, 0, 1]\n", "line", "leaves the plane"),
    "b leaves its plane": (EDGE + "plane = [1, 1, -1]\n", "burgers", "does not lie in"),
    "stacked along": (EDGE + "stacking_direction = [0, 0, 1]\n", "stacking_direction", "perpendic"),
    "negative density": (RANDOM + "lines_per_um2 = -1\n", "lines_per_um2", "from 1e-12"),
    "negative length": (RANDOM + "density_per_m2 = -1e12\n", "density_per_m2", "from 1 to"),
    "1e8": (RANDOM + "count = 100_000_000\n", "count", "to 1000000"),
    "1e8 by area": (RANDOM + "lines_per_um2 = 1e8\n", "lines_per_um2", "more than 1000000"),
    "1e8 by length": (
        RANDOM + 'region = "slab"\ndepth_um = 10.0\ndensity_per_m2 = 1e20\n',
        "density_per_m2",
        "more than 1000000",
    ),
    "1e8 in a wall": (EDGE + "count = 100_000_000\n", "count", "to 10000000"),
    "no count": (RANDOM, "count", "missing"),
    "flat slab": (RANDOM + 'region = "slab"\ndensity_per_m2 = 1e12\n', "depth_um", "above 0"),
    "flat box": (
        RANDOM + 'region = "box"\nsize_um = [9, 9, 0]\ndensity_per_m2 = 1e12\n',
        "size_um",
        "not be flat",
    ),
    "weights": (RANDOM + "count = 9\nweights = [1, 2]\n", "weights", "12 numbers"),
    "family": (RANDOM + 'count = 9\nslip_families = ["basal"]\n', "slip_families", "{111}<110>"),
    "no family": (RANDOM + "count = 9\nslip_families = []\n", "slip_families", "at least one"),
    "no spacing": (EDGE.replace("spacing_um = 1.0\n", ""), "spacing_um", "missing"),
    "closed spacing": (EDGE.replace("= 1.0", "= 0"), "spacing_um", "from 0.0001"),
    "not screws": (EDGE + 'order = "twist"\nsecond_burgers = [1, 0, 1]\n', "line", "screws"),
    "parallel screws": (SCREW + "second_burgers = [1, 0, -1]\n", "second_burgers", "parallel"),
    "no offset": (EDGE + 'order = "dipole"\n', "dipole_offset_um", "missing"),
    "no such recipe": (RECIPE.replace("11", "12") + "angle_deg = 1\n", "recipe", '"leds_eq11"'),
    "no angle": (RECIPE, "angle_deg", "missing"),
    "angle 0": (RECIPE + "angle_deg = 0\n", "angle_deg", "not be 0"),
    "no sets": (NET, "sets", "missing"),
    "no such kind": ('kind = "wal"\n', "kind", '"wall"'),
    "misspelt": (RANDOM + "cuont = 3\n", "cuont", "defects[0].count"),
    "no file": ('kind = "stored"\nfile = "absent.h5"\n', "file", "no such file"),
}


@pytest.mark.parametrize(("table", "key", "said"), MISTAKES.values(), ids=MISTAKES)
def test_impossible_defects_end_in_one_line(weakbeam, tmp_path, table, key, said):
    file, run = tmp_path / "defects.toml", tmp_path / "run"
    file.write_text(f"[[defects]]\n{table}")
    result = weakbeam("forward", "-c", file, "-o", run)
    assert result.status == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert f"defects[0].{key}" in line
    assert said in line
    assert not run.exists()
