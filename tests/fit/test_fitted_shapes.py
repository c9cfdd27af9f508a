"""Loops and walls that a fit moves: physics, derivatives, and what is written of them."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import evaluate
from weakbeam.defects.loop_types import loop_types
from weakbeam.experiment import Experiment
from weakbeam.fit.fitted_experiment import fitted_experiment
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.stack_climb import _FixedColumns
from weakbeam.fit.stack_curves import ShiftMaps
from weakbeam.fit.stack_journal import _line, _of_line
from weakbeam.fit.stack_maps import MapModel
from weakbeam.fit.stack_model import StackModel
from weakbeam.fit.stack_record import Row, table_of, told_of
from weakbeam.fit.stack_shapes import loops_of, walls_of
from weakbeam.identify.fit_scan import started
from weakbeam.identify.library.candidates import types_of
from weakbeam.run.render import Renderer

SHAPE = (18, 24)
PHI = np.linspace(-2e-4, 2e-4, 7)
POSITIONS = np.stack([PHI, 0 * PHI, 0 * PHI], axis=1)
CENTRE = np.array([0.3, -0.2, 0.1])


@pytest.fixture(scope="module")
def model():
    experiment = Experiment().replace(camera={"pixels": SHAPE, "pixel_nm": 150.0})
    return StackModel(Renderer(experiment, 1), POSITIONS, NuisancePriors.of(), 1)


@pytest.fixture(scope="module")
def types(model):
    return types_of(model.renderer.experiment)


@pytest.fixture(scope="module")
def shapes(model, types):
    """A loop of every habit, and a wall."""
    habits = {kind.habit: kind for kind in loop_types(types)}
    loops = {habit: model.loop(kind, CENTRE, 0.7) for habit, kind in habits.items()}
    edge = next(kind for kind in types if kind.character_deg == 0.0)
    return loops | {"wall": model.wall(edge, CENTRE, 0.6)}


def test_every_burgers_vector_has_loops_on_every_plane_and_across_it(types):
    kinds = loop_types(types)
    assert len(kinds) == 6 * 2 * (4 + 1)
    assert sum(kind.habit == "glide" for kind in kinds) == 6 * 2 * 2
    for kind in kinds:
        along = np.dot(kind.burgers_vector, kind.normal) / np.linalg.norm(kind.burgers_vector)
        expected = {"glide": 0.0, "prismatic": 1.0}.get(kind.habit, np.sqrt(2 / 3))
        assert abs(along) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("habit", ["glide", "prismatic", "mixed"])
def test_a_circuit_about_a_loop_closes_by_its_burgers_vector(model, shapes, habit):
    loop, mount = shapes[habit], model.setup.sample_from_crystal
    corners = loop.corners(mount)
    point = 0.5 * (corners[3] + corners[4])
    along = corners[4] - corners[3]
    along /= np.linalg.norm(along)
    outward = (point - CENTRE) / np.linalg.norm(point - CENTRE)
    turn = np.linspace(0, 2 * np.pi, 720, endpoint=False)[:, None]
    other, radius = np.cross(along, outward), 0.2
    points = point + radius * (np.cos(turn) * outward + np.sin(turn) * other)
    steps = radius * (np.cos(turn) * other - np.sin(turn) * outward) * (2 * np.pi / 720)
    closure = np.einsum("nij,nj->i", evaluate(model.field([loop]), points), steps)
    assert closure == pytest.approx(mount @ np.array(loop.type.burgers_vector), abs=2e-8)


def test_far_from_a_loop_only_its_area_counts(model, shapes):
    """A square of the same area has the same far field, which falls off as the cube."""
    from weakbeam.defects.field_of import field_of
    from weakbeam.defects.lines import StraightLines
    from weakbeam.defects.segments import Segments, circle

    loop, mount = shapes["mixed"], model.setup.sample_from_crystal
    normal = mount @ np.array(loop.type.normal)
    square = CENTRE + circle(normal, loop.radius_um * np.sqrt(np.pi / 2), 4)
    burgers = mount @ np.array(loop.type.burgers_vector)
    medium = model.setup.crystal.medium.turned(mount)
    plain = field_of(StraightLines.joined([]), medium, segments=Segments.polygon(square, burgers))
    away = np.random.default_rng(1).normal(size=(20, 3))
    away *= 40.0 / np.linalg.norm(away, axis=1, keepdims=True)
    near, far = (evaluate(model.field([loop]), CENTRE + k * away) for k in (1, 2))
    assert near == pytest.approx(evaluate(plain, CENTRE + away), abs=2e-3 * np.abs(near).max())
    assert np.linalg.norm(near) / np.linalg.norm(far) == pytest.approx(8.0, rel=1e-3)


def test_a_wall_turns_one_side_against_the_other(model, shapes):
    wall = shapes["wall"]
    line = model.setup.sample_from_crystal @ wall.type.line
    normal = np.cross(line, wall.axes[1])
    sides = evaluate(model.field([wall]), CENTRE + np.outer([-9.0, 9.0], normal))
    turned = sides[1] - sides[0]
    spin = 0.5 * (turned - turned.T)
    axis = np.array([spin[2, 1], spin[0, 2], spin[1, 0]])
    assert abs(axis @ line) == pytest.approx(wall.misorientation, rel=1e-6)
    assert np.linalg.norm(axis) == pytest.approx(wall.misorientation, rel=1e-6)
    assert np.abs(turned + turned.T).max() < 1e-6 * wall.misorientation


def test_a_wall_is_the_same_one_period_further(model, shapes):
    wall = shapes["wall"]
    other = wall.moved(np.array([0.0, wall.spacing_um, 0.0, 0.0]))
    assert other.apart(wall) == pytest.approx(0.0, abs=1e-12)
    points = CENTRE + np.random.default_rng(2).normal(size=(5, 3))
    one, two = (evaluate(model.field([each]), points) for each in (wall, other))
    assert one == pytest.approx(two, abs=1e-12)


@pytest.mark.parametrize("name", ["glide", "prismatic", "wall"])
def test_derivatives_are_differences_of_frames(model, shapes, name):
    state = replace(model.start(1000.0, 20.0, blur=0.8), lines=(shapes[name],))
    held = model.held(state)
    fixed = _FixedColumns(model)
    one = np.ones((len(PHI), 1, 1), np.float32)
    columns = np.concatenate(
        [fixed.of(batch, slice(None), one[batch.numbers]) for batch in held.batches(state)], axis=1
    )

    def frames(state) -> Floats:
        return np.concatenate([batch.signal for batch in held.batches(state, slopes=False)])

    names = model.names(state)
    count = len(shapes[name].names)
    steps = 0.02 * shapes[name].longest_steps
    for k in range(len(names) - count, len(names)):
        step = np.zeros(len(names))
        step[k] = steps[k - len(names)]
        ends = [frames(model.moved(state, way * step, 0.0)) for way in (1, -1)]
        slope = ((ends[0] - ends[1]) / (2 * step[k])).reshape(len(PHI), -1)
        # Samples that cross the edge of what is lit scatter, where slopes are small by as much.
        share = (columns[k] * slope).sum() / (slope * slope).sum()
        assert share == pytest.approx(1.0, abs=0.1), names[k]
        error = np.linalg.norm(columns[k] - slope) / np.linalg.norm(slope)
        assert error < (0.6 if names[k].endswith(("row_px", "along_um")) else 0.2), names[k]


@pytest.mark.parametrize("name", ["glide", "prismatic", "mixed", "wall"])
def test_a_journal_keeps_them(model, shapes, name):
    import json

    shape = shapes[name]
    again = _line(json.loads(json.dumps(_of_line(shape))))
    assert type(again) is type(shape)
    assert again.type == shape.type
    assert again.position_um == pytest.approx(shape.position_um, abs=1e-14)
    assert again.values == pytest.approx(shape.values, abs=1e-14)


@pytest.mark.parametrize("name", ["glide", "prismatic", "mixed", "wall"])
def test_a_fitted_experiment_has_their_field(model, shapes, name, tmp_path):
    state = replace(model.start(1000.0, 20.0), lines=(shapes[name],))
    mount = model.setup.sample_from_crystal
    fitted = fitted_experiment(model.renderer.experiment, state, None, mount, None)
    defects = assemble(fitted).defects
    points = CENTRE + np.random.default_rng(3).normal(size=(6, 3))
    field = defects.field()
    assert evaluate(field, points) == pytest.approx(
        evaluate(model.field(state.lines), points), rel=1e-9, abs=1e-15
    )
    path = tmp_path / "fitted.toml"
    path.write_text(fitted.to_toml(), encoding="utf-8")
    (again,) = started(path, model)
    assert again.kind == shapes[name].kind
    assert again.values == pytest.approx(shapes[name].values, abs=1e-9)


@pytest.mark.parametrize("name", ["prismatic", "mixed", "wall"])
def test_a_table_begins_another_fit(model, shapes, name):
    shape = shapes[name]
    row = Row(shape, shape.values, 0.01 * shape.values, shape.position_um, np.zeros(2), 1.0, 50.0)
    table = table_of([row])
    (again,) = started(table, model)
    assert again.label == shape.label
    assert again.values == pytest.approx(shape.values, abs=1e-9)
    record = {"verdict": "", "dislocations": table, "offsets_urad": {}, "blur_px": 1.0}
    told = told_of(record)[1]
    if isinstance(shape, FittedWall):
        turn = table[0]["misorientation_urad"]
        assert turn == pytest.approx(1e6 * shape.misorientation)
        assert "wall (1 1 1)" in told
        assert "urad" in told
    else:
        assert table[0]["habit"] == name
        assert "radius 0.7" in told


def test_an_impossible_list_is_refused(model):
    from weakbeam.errors import InputError

    row = {"kind": "loop", "plane": "1 1 1", "burgers": "1 0 -1", "x_um": 0, "y_um": 0, "z_um": 0}
    with pytest.raises(InputError, match="radius_um"):
        started([row], model)
    with pytest.raises(InputError, match="line, loop or wall"):
        started([row | {"kind": "ring"}], model)


@pytest.mark.parametrize("kind", ["loop", "wall"])
def test_the_filter_of_a_map_finds_what_made_it(model, types, kind):
    """Noiseless maps; the best candidate is what is there, which its fit then puts in place."""
    if kind == "loop":
        glide = next(one for one in loop_types(types) if one.habit == "glide")
        made = model.loop(glide, np.array([0.25, -0.3, 0.05]), 0.45)
    else:
        edge = next(one for one in types if one.character_deg == 180.0)
        made = model.wall(edge, np.array([0.25, -0.3, 0.0]), 0.5)
    plain = ShiftMaps(
        (0,), np.zeros((1, *SHAPE)), np.full((1, *SHAPE), 1e-6), np.ones(SHAPE), np.ones(SHAPE)
    )
    shifts = MapModel(model, plain, 1).of_line(made)
    map_model = MapModel(model, replace(plain, shifts=shifts), 1)
    near = [t for t in types if t.plane == made.type.plane]
    prototypes = loops_of(model, near) if kind == "loop" else walls_of(model, near)
    found = map_model.search(map_model.filters(prototypes, 1), map_model.rest_of([]), 8)
    fits = [map_model.fit([one.line]) for one in found]
    own = next(fit for fit in fits if fit.lines[0].system == made.system)
    assert own.reduced < 0.05 * map_model.fit([]).reduced
    assert np.abs(own.lines[0].at - made.at)[0] < 1.0
