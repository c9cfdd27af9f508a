"""Loops and bowed lines of an experiment: placed, imaged, drawn, listed and read back."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all
from weakbeam.defects.field import evaluate
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, Loop, Polyline, StoredDislocations
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.record import record

SETTINGS = [
    "camera.pixels=[12, 16]",
    "camera.pixel_nm=200",
    "beam.height_fwhm_um=0.6",
    "scan.phi.value_mrad=0.12",
]
LOOP = Loop(plane=(1, 1, 1), burgers=(1, 0, -1), radius_um=1.2, position_um=(0.1, 0.2, 0.3))
BOW = Polyline(
    points_um=((-3.0, -1.0, 0.0), (0.0, 1.0, 0.0), (3.0, -1.0, 0.0)),
    burgers=(1, 0, -1),
    ends="straight",
)


def experiment(*defects, **keys):
    return Experiment(defects=defects, **keys).with_settings(SETTINGS)


def segments_of(*defects, **keys):
    (placed,) = assemble(experiment(*defects, **keys)).defects.placed
    return placed.segments


def test_a_round_loop_lies_in_its_plane_and_runs_right_handed_about_the_normal():
    setup = assemble(experiment(LOOP))
    placed = setup.defects.placed[0].segments
    normal = setup.sample_from_crystal @ [1, 1, 1] / np.sqrt(3)
    radii = placed.starts - [0.1, 0.2, 0.3]
    assert len(placed) == 24
    np.testing.assert_allclose(np.linalg.norm(radii, axis=1), 1.2, rtol=1e-12)
    np.testing.assert_allclose(radii @ normal, 0.0, atol=1e-12)
    np.testing.assert_allclose(placed.ends, np.roll(placed.starts, -1, axis=0), atol=1e-12)
    assert (np.cross(radii, placed.directions) @ normal > 0.0).all()
    burgers = setup.sample_from_crystal @ [1, 0, -1] * 4.0495e-4 / 2
    np.testing.assert_allclose(placed.burgers_vectors, np.tile(burgers, (24, 1)), atol=1e-9)
    np.testing.assert_allclose(placed.core_radii, np.linalg.norm(burgers), rtol=1e-5)


def test_a_normal_in_the_sample_and_four_indices_do_as_well():
    flat = segments_of(Loop(normal=(0, 0, 2), burgers=(1, 0, -1), radius_um=2.0, segments=6))
    assert len(flat) == 6
    np.testing.assert_allclose(flat.starts[:, 2], 0.0, atol=1e-15)
    assert (np.cross(flat.starts, flat.directions)[:, 2] > 0.0).all()
    hexagonal = {
        "crystal": {"material": "Mg", "x_axis": (1, 0, 0)},
        "reflection": {"hkl": (0, 0, 2)},
    }
    basal = segments_of(Loop(plane=(0, 0, 0, 1), burgers=(0, 0, 0, 1), radius_um=1.0), **hexagonal)
    along = basal.burgers_vectors / np.linalg.norm(basal.burgers_vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(np.sum(along * basal.directions, axis=1), 0.0, atol=1e-12)


def test_a_frank_loop_is_a_partial_dislocation():
    keys = {"plane": (1, 1, 1), "burgers": (1, 1, 1), "radius_um": 0.5}
    frank = segments_of(Loop(**keys, burgers_fraction="1/3", partial=True))
    np.testing.assert_allclose(
        np.linalg.norm(frank.burgers_vectors, axis=1), 4.0495e-4 / np.sqrt(3), rtol=1e-6
    )
    with pytest.raises(InputError, match="no lattice vector") as raised:
        assemble(experiment(Loop(**keys, burgers_fraction="1/3")))
    assert raised.value.key == "defects[0].burgers_fraction"


def test_points_are_those_of_the_sample_or_of_the_crystal():
    points = ((-1.0, 0.0, 0.5), (1.0, 0.3, 0.0), (0.0, 1.0, -0.4))
    keys = {"points_um": points, "burgers": (1, 0, -1), "position_um": (0.0, 0.5, 0.0)}
    setup = assemble(experiment(Loop(**keys), Polyline(**keys, closed=True)))
    for placed in setup.defects.placed:
        np.testing.assert_allclose(placed.segments.starts - [0.0, 0.5, 0.0], points, atol=1e-15)
    (placed,) = assemble(experiment(Loop(**keys, axes="crystal"))).defects.placed
    expected = np.array(points) @ setup.sample_from_crystal.T + [0.0, 0.5, 0.0]
    np.testing.assert_allclose(placed.segments.starts, expected, atol=1e-15)


def test_a_straight_polyline_is_a_dislocation_bit_for_bit_but_for_rounding():
    line = Dislocation(burgers=(1, 0, -1), line=(1.0, -2.0, 1.0), position_um=(0.1, 0.0, 0.2))
    setup = assemble(experiment(line))
    along = setup.sample_from_crystal @ [1.0, -2.0, 1.0] / np.sqrt(6)
    points = np.array([0.1, 0.0, 0.2]) + np.outer([-2.0, 0.5, 1.0], along)
    same = Polyline(
        points_um=tuple(map(tuple, points.tolist())), burgers=(1, 0, -1), ends="straight"
    )
    expected = simulate(experiment(line)).images.values
    np.testing.assert_allclose(
        simulate(experiment(same)).images.values, expected, rtol=1e-5, atol=1e-6 * expected.max()
    )


def test_loops_and_lines_mix_with_other_defects_and_go_along_with_the_crystal():
    several = [{"hkl": (-1, 1, -1)}, {"hkl": (1, 1, 1)}]
    line = Dislocation(burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
    setups = assemble_all(experiment(LOOP, BOW, line, reflections=several))
    points = np.random.default_rng(1).normal(size=(20, 3))
    for setup in setups:
        parts = [
            evaluate(s.field_at(), points)
            for s in (
                one
                for kind in (LOOP, BOW, line)
                for one in assemble_all(experiment(kind, reflections=several))
                if one.hkl == setup.hkl
            )
        ]
        np.testing.assert_allclose(evaluate(setup.field_at(), points), sum(parts), atol=1e-17)
    turn = setups[1].sample_from_crystal @ setups[0].sample_from_crystal.T
    first, second = (
        evaluate(s.field_at(), p) for s, p in zip(setups, (points, points @ turn.T), strict=True)
    )
    np.testing.assert_allclose(second, turn @ first @ turn.T, atol=1e-17)


def test_they_are_listed_and_told_of(tmp_path):
    described = experiment(LOOP, BOW)
    file = record(described, tmp_path).file
    with h5py.File(file) as opened:
        table = opened["1.1/sample/defects"]
        kinds, lengths = table["kind"].asstr()[:].tolist(), table["length"][:]
        assert table["length"].attrs["units"] == "um"
    assert kinds == ["loop"] * 24 + ["polyline"] * 4
    np.testing.assert_allclose(lengths[:24], 2 * 1.2 * np.sin(np.pi / 24), rtol=1e-12)
    np.testing.assert_allclose(lengths[24:], [np.sqrt(13.0)] * 2 + [np.inf] * 2)
    said = defect_lines(assemble(described).defects)
    assert said[0].startswith("defects[0]  loop, 24 segments, b∧t from")
    # Mixed with lines, which have no length, they come back as they were.
    line = Dislocation(burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
    described = experiment(line, LOOP, BOW)
    file = record(described, tmp_path / "mixed").file
    stored = assemble(experiment(StoredDislocations(file=str(file))))
    assert [len(d.sources.segments) for d in stored.defects.placed] == [0, 28]


def test_a_picture_shows_the_segments_and_not_the_lines_that_they_are_of():
    drawing = defects_drawing(assemble(experiment(LOOP, BOW)), 0.0)
    assert drawing.options["labels"] == (
        "loop (1\u20091\u20091)[1\u20090\u2009−1]",
        "polyline [1\u20090\u2009−1]",
    )
    axes = drawing.figure().axes[0]
    ends = np.concatenate([np.concatenate(c.get_segments()) for c in axes.collections[:1]])
    # y and x of the loop alone, in colour of the first kind, seen from above.
    assert np.abs(ends[:, 0] - 0.2).max() < 1.25


@pytest.mark.parametrize(
    ("table", "keys", "key", "message"),
    [
        (Loop, {"plane": (1, 1, 1)}, "radius_um", "a round loop has one"),
        (Loop, {"radius_um": 1.0}, "plane", "plane .or normal. and radius_um, or points_um"),
        (Loop, {"points_um": ((0, 0, 0), (1, 0, 0))}, "points_um", "at least 3"),
        (
            Loop,
            {"points_um": ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, 0))},
            r"points_um\[3\]",
            "closes by itself",
        ),
        (Loop, {"plane": (1, 1, 1), "radius_um": 1.0, "axes": "crystal"}, "axes", "points_um"),
        (Loop, {"points_um": ((0, 0, 0),) * 3, "segments": 5}, "points_um", "either"),
        (Polyline, {"points_um": ((0, 0, 0), (1, 0, 0))}, "ends", "does not end in a crystal"),
        (
            Polyline,
            {"points_um": ((0, 0, 0), (1, 0, 0), (1, 0, 0)), "ends": "straight"},
            r"points_um\[1\]",
            "same as the next",
        ),
        (
            Polyline,
            {"points_um": ((0, 0, 0), (1, 0, 0)), "ends": "straight", "closed": True},
            "ends",
            "either closed or ends",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(table, keys, key, message):
    with pytest.raises(InputError, match=message) as raised:
        table(burgers=(1, 0, -1), **keys)
    assert raised.value.key == key.replace("\\", "")


def test_a_plane_beside_a_line_is_held_against_its_burgers_vector():
    with pytest.raises(InputError, match="plane") as raised:
        assemble(experiment(BOW.replace(plane=(1, 1, -1))))
    assert raised.value.key == "defects[0].burgers"
