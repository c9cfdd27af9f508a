"""What the figure of the defects is given: lines in the laboratory, kinds and their names."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.assemble import assemble
from weakbeam.experiment import Boundary, Dislocation, Experiment, RandomDislocations, Wall
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.simulate import draw_run

EDGE = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "line": (1.0, -2.0, 1.0)}


def drawing(*defects, z=0.0):
    experiment = Experiment(defects=defects).with_settings(["camera.pixels=[40, 60]"])
    setup = assemble(experiment)
    return setup, defects_drawing(setup, z)


def test_one_dislocation_or_none_needs_no_picture():
    assert drawing()[1] is None
    assert drawing(Dislocation(**EDGE))[1] is None


def test_lines_stand_where_they_are_in_the_laboratory():
    setup, drawn = drawing(RandomDislocations(count=20, seed=1), Dislocation(**EDGE), z=0.7)
    positions, lines, low, high = drawn.arguments
    turn = setup.geometry.lab_from_sample
    np.testing.assert_allclose(positions, setup.defects.lines.positions @ turn.T + [0, 0, 0.7])
    np.testing.assert_allclose(lines @ turn, setup.defects.lines.lines, atol=1e-12)
    # The layer is that of the beam, wherever the sample is lifted to, and as wide as the camera.
    assert low[2] < 0.0 < high[2]
    assert high[2] - low[2] < 1.0
    assert high[1] - low[1] == pytest.approx(59 * 0.04)
    labels, kinds = drawn.options["labels"], drawn.options["kinds"]
    # The single line is of a slip system that the others have, too.
    assert labels[kinds[-1]] == "(1\u20091\u20091)[1\u20090\u2009−1]"
    assert len(labels) == len(set(labels))
    assert drawn.picture()[1:4] == b"PNG"


@pytest.mark.parametrize("plane", ["vertical", "normal"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_a_line_lies_over_the_image_where_its_core_is(rotation, plane):
    """Two steep edges, each brightest where the line through the sheet of light is drawn."""
    steep = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "line": (1.0, -2.0, 1.0)}
    lines = [Dislocation(**steep, position_um=p) for p in ((0.6, -1.1, 0.0), (-0.9, 0.8, 0.0))]
    settings = ["camera.pixels=[60, 90]", f"camera.rotation_deg={rotation}", "scan.z.value_um=0.3"]
    settings += [f"camera.plane={plane}", "scan.phi.value_mrad=0.3"]
    run = simulate(Experiment(defects=lines).with_settings(settings))
    drawn = draw_run(run)["defects"].axes[0]
    image = drawn.images[0]
    values, (left, right, bottom, top) = image.get_array(), image.get_extent()
    across, along = np.meshgrid(
        left + (np.arange(values.shape[1]) + 0.5) * (right - left) / values.shape[1],
        top + (np.arange(values.shape[0]) + 0.5) * (bottom - top) / values.shape[0],
    )
    segments = drawn.collections[0].get_segments()
    assert len(segments) == 2
    for start, end in segments:
        middle = 0.5 * (start + end)
        near = np.hypot(across - middle[0], along - middle[1]) < 0.8
        weights = np.where(near, np.asarray(values), 0.0)
        centre = [(weights * c).sum() / weights.sum() for c in (across, along)]
        np.testing.assert_allclose(centre, middle, atol=0.1)


def test_walls_show_the_lines_within_reach():
    tilt = Wall(**EDGE, spacing_um=0.1)
    _, endless = drawing(tilt)
    _, long = drawing(tilt.model_copy(update={"count": 1_000_001}))
    assert endless.options["labels"] == ("wall, 0.1 µm",)
    np.testing.assert_allclose(endless.arguments[0], long.arguments[0], atol=1e-6)
    assert 40 < len(endless.arguments[0]) < 80
    # Of a dense wall not every line is drawn.
    _, dense = drawing(tilt.model_copy(update={"spacing_um": 3e-4}))
    assert len(dense.arguments[0]) < 4100


def test_sets_of_a_boundary_have_names_of_their_own():
    _, drawn = drawing(Boundary(recipe="leds_eq11", angle_deg=0.1))
    assert len(drawn.options["labels"]) == 2
    assert drawn.options["labels"][0].startswith("boundary 1, ")
