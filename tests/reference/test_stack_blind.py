"""Dislocations of stacks of a generator that shares no code with the package."""

from dataclasses import replace

import numpy as np
import pytest
from stack_worlds import drawn, experiment_of, phi_scan, stack_of, with_lines, world_of

from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.stack_climb import climb_stack
from weakbeam.fit.stack_curves import shift_maps
from weakbeam.fit.stack_fit import SearchOptions
from weakbeam.fit.stack_maps import MapModel
from weakbeam.fit.stack_merge import merged, near_pairs
from weakbeam.fit.stack_model import FittedLine, StackModel
from weakbeam.fit.stack_result import StackResult
from weakbeam.fit.stack_search import StackSearch
from weakbeam.identify.fit_scan import fit_data
from weakbeam.identify.library.candidates import types_of
from weakbeam.imaging.motors import ANGLES
from weakbeam.run.render import Renderer

SMALL, SMALLER, SMALLEST = (40, 48), (28, 36), (20, 24)
FEW = {"identify": {"character_step_deg": 30.0}}


def errors_of(result, lines):
    """For each true line the found one next to it: whether it is of that type, way, z-scores.

    Types that the stack hardly tells apart, and says so, count together.
    """
    model, found = result.fit.model, []

    def alike(own, kind):
        turn = (own.character_deg - kind.character_deg + 180) % 360 - 180
        if (own.plane, own.burgers) == (kind.plane, kind.burgers):
            return abs(turn) < 5
        return own.burgers == kind.burgers and abs(abs(turn) - 90) < 5

    for kind, point in lines:
        best = None
        for number, row in enumerate(result.rows):
            # The place of the true line in the coordinates of the one that was found.
            along = model.setup.sample_from_crystal @ kind.line
            axes = np.stack([*row.line.place.axes, along]).T
            at = np.linalg.lstsq(axes, point - row.line.place.base, rcond=None)[0][:2]
            away = row.line.at - at
            if best is None or np.linalg.norm(away) < np.linalg.norm(best[1]):
                others = result.fit.alternatives[number]
                told = [one.line.type for one in others if one.log_evidence > -5]
                right = any(alike(own, kind) for own in [row.line.type, *told])
                best = right, away, away / row.errors[:2]
        found.append(best)
    return found


@pytest.fixture(scope="module")
def refined():
    """Two lines, refined from places and characters that are slightly wrong."""
    world = world_of(SMALL, 0.1)
    types = types_of(experiment_of(world))
    lines = [
        (types[100], np.array([0.5, 0.9, 0.0])),
        (types[222], np.array([-2.1, -1.1, 0.0])),
    ]
    world = replace(
        with_lines(world, lines),
        offsets=(1e-5, 0, 0),
        bend_rock=(0, 3e-6, -4e-6),
        illumination=(1, 0.2, -0.1),
        background=(20, 5, -4),
        blur_px=1.0,
        hot=2,
        dead=2,
    )
    data = stack_of(world, phi_scan(15), 1)
    rows = [
        {
            "plane": kind.plane,
            "burgers": kind.burgers,
            "character_deg": kind.character_deg + 2,
            "x_um": point[0] + 0.1,
            "y_um": point[1] - 0.05,
            "z_um": point[2],
        }
        for kind, point in lines
    ]
    told = experiment_of(world, identify={"nuisance": {"model_error": 0.005}})
    told = told.replace(camera={"accuracy": 0.01})
    return world, lines, data, fit_data(data, told, start=rows)


def test_a_list_is_refined_to_the_truth_within_its_errors(refined):
    _, lines, _, result = refined
    assert result.fit.converged
    scores = np.concatenate([score for _, _, score in errors_of(result, lines)])
    assert np.abs(scores).max() < 4.0
    assert np.sqrt(np.mean(scores**2)) < 2.0
    assert all(row.errors[:2].max() < 0.1 for row in result.rows)


def test_nuisances_are_those_of_the_world(refined):
    world, _, _, result = refined
    state = result.state
    errors = dict(zip(result.names, result.errors, strict=True))
    assert abs(state.offsets[0] - world.offsets[0]) < 4 * errors["offset_phi"] + 2e-7
    assert np.sqrt(state.blur) == pytest.approx(1.0, abs=0.1)
    assert state.light[0] == pytest.approx(world.counts, rel=0.05)
    assert (~result.fit.data.good).sum() == pytest.approx(4, abs=1)


def test_what_is_explained_is_said_so(refined):
    result = refined[3]
    assert result.explained
    assert 0.85 < result.outside_cores < 1.1
    assert 0.9 < result.noise_outside_cores < 1.1


def test_what_is_not_explained_is_said_with_its_place(refined):
    result = refined[3]
    one = StackSearch(result.fit.model, result.fit.data, ())
    state = replace(result.state, lines=result.state.lines[:1])
    here, converged = climb_stack(result.fit.model, result.fit.data, state, most_steps=3)
    wrong = StackResult(one.finished(here, converged, [[]], [np.nan]), result.experiment)
    assert not wrong.explained
    missing = result.rows[1].pixel
    worst = wrong.unexplained[0]
    assert worst["rows"][0] - 8 < missing[0] < worst["rows"][1] + 8
    assert worst["columns"][0] - 8 < missing[1] < worst["columns"][1] + 8
    assert "not explained" in wrong.verdict or "does not explain" in wrong.verdict
    assert any("do not trust" in remark for remark in wrong.remarks)


def test_a_line_is_found_where_nothing_is_told():
    """Its character lies between those of the candidates."""
    world = replace(
        world_of(SMALLER, 0.12),
        offsets=(1e-5, 0, 0),
        bend_rock=(0, 5e-6),
        background=(20,),
        blur_px=1,
    )
    kind = types_of(experiment_of(world))[100]
    lines = [(kind, np.array([1.2, -0.5, 0.0]))]
    data = stack_of(with_lines(world, lines), phi_scan(15), 4)
    half = {"character_step_deg": 30.0, "planes": [[1, 1, 1], [1, 1, -1]]}
    result = fit_data(data, experiment_of(world, identify=half))
    assert len(result.rows) == 1
    ((right, away, _),) = errors_of(result, lines)
    assert right
    assert np.linalg.norm(away) < 0.1


def test_the_map_of_a_line_in_the_sheet_is_what_its_curves_show():
    """Rays of one pixel pass on both sides of it: their mean is not where the curve is."""
    world = world_of(SMALLER, 0.12)
    experiment = experiment_of(world)
    model = StackModel(Renderer(experiment, 1), phi_scan(15), NuisancePriors.of(None), 1)
    types = types_of(experiment)
    kind = next(
        kind
        for kind in types
        if kind.name.startswith("(1 1 -1) [1 0 1] 30 ")
        and model.line(kind, np.zeros(3)).place.in_sheet
    )
    lines = [(kind, np.array([0.4, 0.2, 0.1]))]
    data = stack_of(with_lines(world, lines), phi_scan(15), 4)
    maps = MapModel(model, shift_maps(model, data))
    assert maps.fit([model.line(*lines[0])], []).reduced < 1.0


def test_none_is_found_in_a_bent_lattice_without_any():
    world, experiment, _ = drawn(7, SMALLER, 0.12, count=0, **FEW)
    result = fit_data(stack_of(world, phi_scan(15), 7), experiment)
    assert result.rows == ()
    assert result.explained


def test_errors_are_no_smaller_than_what_the_samples_leave(refined):
    result = refined[3]
    assert np.all(result.errors >= np.abs(result.fit.moved))
    assert np.abs(result.fit.moved).max() > 0.0


def test_a_line_in_the_sheet_is_said_to_be_uncertain(refined):
    result = refined[3]
    model = result.fit.model
    every = [model.line(kind, np.zeros(3), True) for kind in types_of(result.experiment)]
    flat = next(line for line in every if line.place.in_sheet)
    across = next(line for line in every if not line.place.in_sheet)

    def with_line(line):
        state = replace(result.state, lines=(across, line))
        fit = replace(result.fit, normal=replace(result.fit.normal, state=state))
        return StackResult(fit, result.experiment)

    told = with_line(flat)
    assert told.in_sheet == (1,)
    assert "1 lies in the sheet" in told.verdict
    assert any("several times the stated errors" in remark for remark in told.remarks)
    assert "sheet" not in with_line(across).verdict


@pytest.fixture
def line(refined):
    return refined[3].rows[0].line


def test_a_line_keeps_its_coordinates(line):
    assert isinstance(line, FittedLine)
    moved = line.moved(np.array([0.1, -0.2, 1.0]))
    assert moved.at - line.at == pytest.approx([0.1, -0.2])
    turn = (moved.type.character_deg - line.type.character_deg) % 360
    assert turn == pytest.approx(1.0)


PAIR = (
    ((0, 1, -1), 220, (0.4, 0.2, 0.0)),
    ((1, 0, -1), 100, (0.5, 0.3, 0.0)),
    ((1, 0, -1), 100, (0.5, 3.0, 0.0)),
    ((1, -1, 0), 160, (0.4, 0.2, 0.0)),
)
"""Two lines of one direction, one far away, and one with the sum of the first two."""


def line_of(model, types, burgers, character, point):
    """A line in the plane (1 1 1)."""
    kind = next(
        one
        for one in types
        if (one.plane, one.burgers) == ((1, 1, 1), burgers) and one.character_deg == character
    )
    return model.line(kind, np.array(point), True)


def test_two_lines_beside_each_other_may_be_one():
    """[0 1 -1] and [1 0 -1] together are [1 -1 0]: neither can be taken away alone."""
    world = world_of(SMALLER, 0.12)
    experiment = experiment_of(world)
    types = types_of(experiment)
    model = StackModel(Renderer(experiment, 1), phi_scan(15), NuisancePriors.of(None), 1)

    first, second, far, true = (
        line_of(model, types, burgers, character, point) for burgers, character, point in PAIR
    )
    assert near_pairs(model, (far, first, second)) == [(1, 2)]
    found = merged(model, first, second, types)
    assert [one.type.name for one in found if one.type.plane == (1, 1, 1)] == [true.type.name]
    assert merged(model, first, replace(first, type=true.type), types) == []


@pytest.mark.slow
def test_merging_explains_as_much_with_one_line_less():
    world = world_of(SMALLER, 0.12)
    types = types_of(experiment_of(world))
    model = StackModel(Renderer(experiment_of(world), 1), phi_scan(15), NuisancePriors.of(None), 1)
    first, second, far, true = (
        line_of(model, types, burgers, character, point) for burgers, character, point in PAIR
    )
    data = stack_of(with_lines(world, [(true.type, true.position_um)]), phi_scan(15), 4)
    search = StackSearch(model, data, types)
    here = search.climb(search.model.start(2000.0, 0.0), 4)[0]
    two, _ = search.climb(replace(here.state, lines=(far, first, second)), 3)
    one, others, gains = search._merged(two, [[], [], []], [1.0, 2.0, 3.0])
    assert [line.type.burgers for line in one.state.lines] == [(1, 0, -1), (1, -1, 0)]
    assert len(others) == 2
    assert gains[0] == 1.0
    assert np.isnan(gains[1])


def test_a_search_gives_up_and_says_so():
    world = world_of(SMALLEST, 0.12)
    experiment = experiment_of(world, identify={"character_step_deg": 90.0})
    kind = types_of(experiment)[5]
    data = stack_of(with_lines(world, [(kind, np.array([1.2, -0.5, 0.0]))]), phi_scan(15), 4)
    # Nothing may be found, and nothing is explained.
    options = SearchOptions(most=0, most_seconds=0.0)
    result = fit_data(data, experiment, options=options)
    assert result.fit.given_up
    assert not result.explained
    assert any("may be wrong altogether" in remark for remark in result.remarks)


MOTORS = {"chi": (0, 1, 0), "two_theta": (0, 0, 1), "strain": (-0.5, 0, 1), "mosaicity": None}
SCANS = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("strain", "mosaicity") else name
    for name in MOTORS
]


@pytest.mark.parametrize("scan", SCANS)
def test_scans_of_other_motors_tell_where_a_line_is(scan):
    world = replace(world_of(SMALLEST, 0.12), offsets=(1e-5, -2e-5, 1.5e-5), background=(20,))
    kind = types_of(experiment_of(world))[100]
    point = np.array([0.4, 0.5, 0.0])
    steps = np.linspace(-1.2e-3, 1.2e-3, 9)
    if scan == "mosaicity":
        phi, chi = np.meshgrid(np.linspace(-3e-4, 3e-4, 9), steps[::2])
        positions = np.stack([phi.ravel(), chi.ravel(), 0 * phi.ravel()], axis=1)
    else:
        positions = np.outer(steps, MOTORS[scan])
    data = stack_of(with_lines(world, [(kind, point)]), positions, 5)
    row = {"plane": kind.plane, "burgers": kind.burgers, "character_deg": kind.character_deg + 1}
    start = [row | {"x_um": 0.45, "y_um": 0.53, "z_um": 0.0}]
    result = fit_data(data, experiment_of(world), start=start)
    assert result.explained
    ((_, _, scores),) = errors_of(result, [(kind, point)])
    assert np.abs(scores).max() < 4.0
    assert result.rows[0].errors[:2].max() < 1.0
    errors = dict(zip(result.names, result.errors, strict=True))
    for motor, offset, found in zip(ANGLES, world.offsets, result.state.offsets, strict=True):
        assert abs(found - offset) < 4 * errors[f"offset_{motor}"] + 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("number", [40, 50])
def test_ends_that_look_like_summits_are_left(number):
    """A line in the sheet that a climb leaves too soon; another plane and one line more."""
    world, experiment, lines = drawn(number, (128, 128), 0.08)
    result = fit_data(stack_of(world, phi_scan(61), number), experiment)
    assert len(result.rows) == len(lines)
    for right, _, scores in errors_of(result, lines):
        assert right
        assert np.abs(scores).max() < 3.0


@pytest.mark.slow
@pytest.mark.parametrize(("edge", "frames", "first"), [(64, 31, 0), (128, 61, 30)])
def test_twenty_stacks(edge, frames, first):
    """Number, types and places of 0 to 4 lines."""
    numbers, none, right, scores = [], 0, [], []
    for number in range(first, first + 20):
        world, experiment, lines = drawn(number, (edge, edge), 0.08)
        result = fit_data(stack_of(world, phi_scan(frames), number), experiment)
        numbers.append(len(result.rows) == len(lines))
        none += not lines and len(result.rows) > 0
        for one in errors_of(result, lines):
            right.append(one is not None and one[0])
            if one is not None and one[0]:
                scores += list(np.abs(one[2]))
    assert none <= 1
    assert np.mean(numbers) >= 0.9
    assert np.mean(right) >= 0.9
    assert np.mean(np.array(scores) < 2.0) >= 0.9
