"""Images matched against a small library: what they decide, and what they cannot."""

import json
from dataclasses import replace

import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise, Observation
from weakbeam.fit.refine import OtherPlace, refine
from weakbeam.identify import refined_candidates
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import are_opposite
from weakbeam.identify.refined_candidates import position_prior, refine_candidates
from weakbeam.identify.search import members
from weakbeam.run.render import Renderer

NOISE = Noise(2.14, 17.4)
OPTIONS = MatchOptions(max_shift=6, keep=8, refine=0)
MINUS, ZERO, PLUS = 0, 1, 2
EXPERIMENT = Experiment().with_settings(
    [
        "camera.pixels=[32, 64]",
        "camera.psf_px=1.0",
        "scan.phi.values_mrad=[-0.15, 0, 0.15]",
        "identify.planes=[[1, 1, 1]]",
        "identify.character_step_deg=30",
    ]
)


@pytest.fixture(scope="module")
def library():
    return make_library(EXPERIMENT, 1)


@pytest.fixture(scope="module")
def renderer():
    return Renderer(EXPERIMENT, 1)


def numbered(library, burgers, character_deg):
    return next(
        t for t in library.types if t.burgers == burgers and t.character_deg == character_deg
    )


def observed(renderer, true, shift=(0.0, 0.0), scale=200.0, level=5.0, seed=0):
    """Counts of all three images."""
    row, column = renderer.pixel_steps()
    place = shift[0] * row + shift[1] * column
    light = renderer.image(renderer.lines_of(true.plane, true.burgers, true.character_deg, place))
    rng = np.random.default_rng(seed)
    signal = scale * light + level
    counts = NOISE.gain * rng.poisson(signal / NOISE.gain)
    return Observation(counts + rng.normal(0.0, NOISE.floor**0.5, signal.shape), NOISE)


EDGE = ((1, -1, 0), 0.0)
MIXED = ((1, -1, 0), 60.0)
SCREW = ((1, -1, 0), 90.0)


@pytest.mark.parametrize("wanted", [EDGE, MIXED, SCREW])
def test_one_weak_beam_image_tells_type_and_place(library, renderer, wanted):
    true, shift = numbered(library, *wanted), (2.4, -3.3)
    seen = observed(renderer, true, shift).only(PLUS)
    found = match(seen, library, OPTIONS, [PLUS], workers=1)
    assert found.best.type.number == true.number
    assert found.verdict.decided
    assert found.verdict.sentence.startswith(true.name)
    assert found.best.cautious_probability > 0.95
    errors = found.best.shift_errors_px[0]
    assert np.all(np.abs(found.best.shift_px[0] - shift) < 4 * errors + 0.03)
    assert found.best.scale[0] == pytest.approx(200.0, rel=0.1)
    assert found.best.misfit == pytest.approx(1.0, abs=0.1)
    residual = found.residual
    assert np.nanstd(residual) == pytest.approx(1.0, abs=0.1)
    assert np.isfinite(residual).mean() > 0.4


def test_ranking_does_not_depend_on_shift_scale_and_background(library, renderer):
    true = numbered(library, *MIXED)
    usual = match(observed(renderer, true).only(PLUS), library, OPTIONS, [PLUS], 1)
    first = [c.type.number for c in usual.candidates[:3]]
    for shift in [(5, -4), (-3, 6)]:
        seen = observed(renderer, true, shift).only(PLUS)
        moved = match(seen, library, OPTIONS, [PLUS], 1)
        assert [c.type.number for c in moved.candidates[:1]] == first[:1]
        np.testing.assert_allclose(moved.best.shift_px[0], shift, atol=0.3)
    plain = observed(renderer, true).only(PLUS)
    scaled = Observation(4.0 * plain.images, Noise(4.0 * NOISE.gain, 16.0 * NOISE.floor))
    again = match(scaled, library, OPTIONS, [PLUS], 1)
    assert [c.type.number for c in again.candidates[:3]] == first
    assert again.best.gain == pytest.approx(usual.best.gain, rel=1e-6)
    raised = Observation(plain.images + 40.0, NOISE)
    higher = match(raised, library, OPTIONS, [PLUS], 1)
    assert higher.best.type.number == true.number
    assert higher.best.background[0] == pytest.approx(usual.best.background[0] + 40, abs=3.0)


def test_signs_of_b_need_images_beside_the_peak(library, renderer):
    """At the Bragg setting b and −b make equal images; those at +φ and −φ are exchanged."""
    true = numbered(library, *EDGE)
    partner = next(t for t in library.types if are_opposite(true, t))
    seen = observed(renderer, true, (1.0, 2.0), scale=60.0)
    one = match(seen.only(ZERO), library, OPTIONS, [ZERO], 1)
    assert not one.verdict.decided
    assert {true.number, partner.number} <= set(one.verdict.credible)
    by_number = {c.type.number: c.probability for c in one.candidates}
    assert by_number[true.number] == pytest.approx(by_number[partner.number], abs=0.1)
    assert "b and -b are not told apart" in one.verdict.notes[-1]
    both = match(seen.only(MINUS, PLUS), library, OPTIONS, [MINUS, PLUS], 1)
    assert both.best.type.number == true.number
    assert both.verdict.decided
    # With the images exchanged the partner is what explains them.
    swapped = match(seen.only(PLUS, MINUS), library, OPTIONS, [MINUS, PLUS], 1)
    assert swapped.best.type.number == partner.number


def test_every_type_has_one_opposite(library):
    for one in library.types:
        assert sum(are_opposite(one, other) for other in library.types) == 1
        assert not are_opposite(one, one)


def test_correlation_as_first_score(library, renderer):
    true = numbered(library, *MIXED)
    seen = observed(renderer, true, (2.0, -3.0)).only(PLUS)
    found = match(seen, library, replace(OPTIONS, score="correlation"), [PLUS], 1)
    assert found.best.type.number == true.number
    assert found.score == "correlation"
    # The dislocation fills most of the small image: little of it counts as standing out.
    assert 0.3 < found.best.correlation <= 1.0
    assert all(score <= 1.0 + 1e-6 for _, score in found.ranking)


def test_refinement_finds_position_and_character(library, renderer):
    true = numbered(library, *MIXED)
    turned = true.turned(65.0)
    seen = observed(renderer, turned, (1.3, -2.6), scale=400.0).only(PLUS)
    options = replace(OPTIONS, refine=2, free=("position", "character"))
    found = match(seen, library, options, [PLUS], 1)
    best = found.best.refinement
    assert best.converged
    assert found.best.type.burgers == true.burgers
    values = dict(zip(best.names, best.values, strict=True))
    errors = dict(zip(best.names, best.errors, strict=True))
    assert abs(values["character_deg"] - 65.0) < 4 * errors["character_deg"]
    assert abs(values["row_px"] - 1.3) < 4 * errors["row_px"]
    assert abs(values["column_px"] + 2.6) < 4 * errors["column_px"]
    # On the same pixels, with the character of the library.
    fixed = match(seen, library, replace(options, free=("position",)), [PLUS], 1)
    assert best.log_likelihood > fixed.best.refinement.log_likelihood + 5.0
    assert found.best.misfit < fixed.best.misfit
    assert np.isfinite(found.expected).all()


def test_a_character_between_those_of_the_list_is_no_certain_wrong_type(library, renderer):
    true = numbered(library, *MIXED)
    seen = observed(renderer, true.turned(65.0), (1.3, -2.6), scale=4000.0).only(PLUS)
    stiff = match(seen, library, replace(OPTIONS, refine=2, free=("position",)), [PLUS], 1)
    assert stiff.best.probability > 0.95
    assert (stiff.verdict.explained, stiff.verdict.decided) == (False, False)
    assert stiff.verdict.sentence.startswith("no type of the library explains the images")
    found = match(seen, library, replace(OPTIONS, refine=2), [PLUS], 1)
    assert found.verdict.explained
    assert found.verdict.decided
    assert found.best.type.character_deg == pytest.approx(65.0, abs=0.5)
    assert found.best.type.number == true.number


def test_a_line_is_turned_only_if_that_gains_evidence(library, renderer):
    true = numbered(library, *MIXED)
    seen = observed(renderer, true, (1.3, -2.6), scale=400.0).only(PLUS)
    found = match(seen, library, replace(OPTIONS, refine=2), [PLUS], 1)
    assert found.best.type == true


def test_a_line_that_turned_away_is_numbered_as_the_nearest_of_the_list(library, renderer):
    true = numbered(library, *MIXED)
    start = numbered(library, (1, -1, 0), 30.0)
    seen = observed(renderer, true.turned(52.0), (1.3, -2.6), scale=400.0).only(PLUS)
    (candidate,) = [
        c for c in match(seen, library, OPTIONS, [PLUS], 1).candidates if c.type == start
    ]
    options = replace(OPTIONS, refine=1)
    refined, notes = refine_candidates(seen, library, [candidate], [PLUS], options, renderer)
    assert notes == []
    # Turned, it is another candidate beside the one that was not.
    assert [c.type.number for c in refined] == [true.number, start.number]
    assert refined[0].type.character_deg == pytest.approx(52.0, abs=1.0)
    assert refined[1].type == start


def test_types_are_refined_that_come_near_and_no_others(library, renderer):
    true = numbered(library, *MIXED)
    options = MatchOptions(max_shift=6, free=("position",))
    counts = []
    for scale in (20.0, 2000.0):
        seen = observed(renderer, true, scale=scale).only(PLUS)
        found = match(seen, library, options, [PLUS], 1, renderer=renderer)
        refined = [c.refinement is not None for c in found.candidates]
        counts.append(sum(refined))
        # A refined image has averages of its own: one may fall behind the next by them.
        assert refined[0]
        assert not any(refined[counts[-1] + 1 :])
        assert not any("may come near" in note for note in found.verdict.notes)
    assert 1 <= counts[1] < counts[0] <= 12
    assert len(found.candidates) >= 8
    faint = observed(renderer, true, scale=20.0).only(PLUS)
    few = match(faint, library, replace(options, refine=1), [PLUS], 1, renderer=renderer)
    assert "more candidates may come near" in few.verdict.notes[0]


def test_where_a_dislocation_is_taken_to_be(library, renderer):
    prior = position_prior(library, renderer, MatchOptions(max_shift=6))
    assert (prior.rows, prior.columns) == (12.0, 12.0)
    assert prior.depth_um == renderer.lit_depth
    given = position_prior(library, renderer, MatchOptions(max_shift=6, depth_um=0.3))
    assert given.depth_um == 0.3
    # Around all members of a library that has some apart.
    row, column = renderer.pixel_steps()
    members = replace(library.members, positions_um=library.members.positions_um - 2 * row + column)
    wide = position_prior(replace(library, members=members), renderer, MatchOptions(max_shift=6))
    assert (wide.rows, wide.columns) == pytest.approx((16.0, 14.0))


def test_larger_images_are_searched_and_refined(library, renderer):
    true = numbered(library, *MIXED)
    small = observed(renderer, true).only(PLUS)
    rng = np.random.default_rng(4)
    level = float(np.median(small.images))
    large = rng.normal(level, NOISE.variance(level) ** 0.5, (1, 40, 70))
    large[:, 3:35, 5:69] = small.images
    found = match(Observation(large, NOISE), library, replace(OPTIONS, refine=1), [PLUS], 1)
    assert found.best.type.number == true.number
    np.testing.assert_allclose(found.best.shift_px[0], (-1.0, 2.0), atol=0.1)
    # Places are counted from the middle of the whole image.
    position = dict(zip(found.best.refinement.names, found.best.refinement.values, strict=True))
    assert position["row_px"] == pytest.approx(-1.0, abs=0.2)
    assert position["column_px"] == pytest.approx(2.0, abs=0.2)
    assert found.expected.shape == (1, 40, 70)


@pytest.mark.parametrize(
    "larger", [(0, 0), pytest.param((14, 22), marks=pytest.mark.slow), (13, 21)]
)
def test_reflections_have_one_place_and_a_brightness_each(larger):
    # The line is inclined in the first reflection and nearly in the sheet of the second.
    settings = [
        "reflections=[{hkl=[-1, 1, -1]}, {hkl=[1, 1, -1]}]",
        "camera.pixel_nm=60",
        "beam.height_fwhm_um=0.6",
        "scan.phi.values_mrad=[-0.15, 0.15]",
        "identify.planes=[[1, 1, -1]]",
        "identify.character_step_deg=60",
    ]
    size = np.array([32, 64])
    base = Experiment().with_settings(settings)
    small, whole = (
        base.with_settings([f"camera.pixels={n.tolist()}"]) for n in (size, size + larger)
    )
    library, camera = make_library(small, 1), Renderer(whole, 1)
    true, position = numbered(library, (1, 0, 1), 240.0), np.array([0.21, -0.32, 0.1])
    lines = camera.lines_of(true.plane, true.burgers, true.character_deg, position)
    brightness = np.array([300.0, 300.0, 120.0, 120.0])[:, None, None]
    signal = brightness * camera.image(lines) + 5.0
    rng = np.random.default_rng(10)
    counts = NOISE.gain * rng.poisson(signal / NOISE.gain)
    seen = Observation(counts + rng.normal(0.0, NOISE.floor**0.5, signal.shape), NOISE)
    options = MatchOptions(max_shift=12, keep=3, refine=1)
    found = match(seen, library, options, workers=1)
    assert found.best.type == true
    assert found.verdict.explained
    np.testing.assert_allclose(found.best.scale, [300.0, 120.0], rtol=0.02)
    away = np.cross(found.best.refinement.position_um - position, lines.lines[0])
    assert np.linalg.norm(away) < 0.01


def test_another_place_that_explains_the_image_is_told(library, renderer, monkeypatch):
    true = numbered(library, *MIXED)
    seen = observed(renderer, true).only(PLUS)

    def two_places(*start, **options):
        fit = refine(*start, **options)
        far = OtherPlace(fit.position_um + 0.1, fit.values + 2.0, 0.25)
        return replace(fit, others=(far,))

    options = replace(OPTIONS, refine=1, free=("position",))
    plain = match(seen, library, options, [PLUS], 1)
    assert not any("ambiguous" in note for note in plain.verdict.notes)
    monkeypatch.setattr(refined_candidates, "refine", two_places)
    found = match(seen, library, options, [PLUS], 1)
    (note,) = (note for note in found.verdict.notes if "ambiguous" in note)
    row = found.best.refinement.values[0] + 2.0
    assert f"row_px {row:.3f} and column_px" in note
    assert "(25 %)" in note
    told = found.numbers()["candidates"][0]["refined"]
    assert told["ambiguous"]
    (other,) = told["other_places"]
    assert other["probability"] == 0.25
    assert other["parameters"]["row_px"] == pytest.approx(row)


def test_an_empty_image_shows_nothing(library):
    rng = np.random.default_rng(0)
    empty = Observation(rng.normal(30.0, NOISE.variance(30.0) ** 0.5, (1, 32, 64)), NOISE)
    found = match(empty, library, OPTIONS, [ZERO], 1)
    assert not found.verdict.visible
    assert not found.verdict.decided
    assert "no dislocation is seen" in found.verdict.sentence


def test_bad_pixels_do_not_decide(library, renderer):
    true = numbered(library, *MIXED)
    seen = observed(renderer, true).only(PLUS)
    images = seen.images.copy()
    images[0, 5:9, 10:14] = np.nan
    found = match(Observation(images, NOISE), library, OPTIONS, [PLUS], 1)
    assert found.best.type.number == true.number
    assert np.isnan(found.residual[0, 5:9, 10:14]).all()


def test_a_wrong_noise_is_told(library, renderer):
    seen = observed(renderer, numbered(library, *MIXED)).only(PLUS)
    small = Observation(seen.images, Noise(NOISE.gain / 4, NOISE.floor / 4))
    found = match(small, library, OPTIONS, [PLUS], 1)
    assert found.best.misfit == pytest.approx(4.0, rel=0.15)
    assert any("times the variance" in note for note in found.verdict.notes)
    second = found.candidates[1]
    assert second.cautious_probability >= second.probability


def test_numbers_are_plain(library, renderer):
    true = numbered(library, *SCREW)
    seen = observed(renderer, true).only(PLUS)
    found = match(seen, library, replace(OPTIONS, refine=1), [PLUS], 1)
    numbers = json.loads(found.to_json())
    first = numbers["candidates"][0]
    assert (first["burgers"], first["character_deg"]) == ([1, -1, 0], 90.0)
    assert first["refined"]["converged"]
    assert (first["refined"]["ambiguous"], first["refined"]["other_places"]) == (False, [])
    assert numbers["verdict"]["decided"]
    assert numbers["conditions"] == [
        {
            "reflection": 0,
            "phi_mrad": pytest.approx(0.15),
            "chi_mrad": 0.0,
            "two_theta_mrad": 0.0,
            "z_um": 0.0,
        }
    ]
    assert len(numbers["ranking"]["types"]) == len(numbers["ranking"]["scores"])
    assert sum(c["probability"] for c in numbers["candidates"]) == pytest.approx(1.0)


def test_reflections_move_by_themselves_and_are_matched_together():
    experiment = Experiment().with_settings(
        [
            "camera.pixels=[32, 48]",
            "camera.psf_px=1.0",
            "scan.phi.value_mrad=0.15",
            "crystal.mount=[[1,1,0],[-1,1,0],[0,0,1]]",
            'reflections=[{hkl=[1,1,3],geometry="oblique"},{hkl=[-1,1,3],geometry="oblique"}]',
            "identify.planes=[[1, -1, 1]]",
            "identify.character_step_deg=60",
        ]
    )
    library, renderer = make_library(experiment, 1), Renderer(experiment, 1)
    true = numbered(library, (1, 1, 0), 120.0)
    seen = observed(renderer, true, (2.3, 3.1))
    found = match(seen, library, replace(OPTIONS, refine=1), workers=1)
    assert found.best.type.number == true.number
    assert found.best.shift_px.shape == (2, 2)
    # The same displacement is another one in the other reflection's image.
    assert np.abs(found.best.shift_px[0] - found.best.shift_px[1]).max() > 1.0
    fit = found.best.refinement
    values = dict(zip(fit.names, fit.values, strict=True))
    assert values["row_px"] == pytest.approx(2.3, abs=0.2)
    assert values["column_px"] == pytest.approx(3.1, abs=0.2)
    alone = match(seen.only(0), library, OPTIONS, [0], 1)
    assert found.verdict.gap > alone.verdict.gap


def test_merged_pixels_lead_to_the_same_candidates(library, renderer, monkeypatch):
    seen = observed(renderer, numbered(library, *MIXED), (2.0, -3.0)).only(PLUS)
    whole = match(seen, library, OPTIONS, [PLUS], 1)
    monkeypatch.setattr(members, "_LARGE", 16)
    monkeypatch.setattr(members, "_SECOND_LOOK", 12)
    merged = match(seen, library, OPTIONS, [PLUS], 1)
    assert [c.numbers() for c in merged.candidates] == [c.numbers() for c in whole.candidates]
    # The others are ranked by merged pixels.
    assert merged.ranking[0] == whole.ranking[0]
    assert len(merged.ranking) == len(whole.ranking)


def test_threads_change_nothing(library, renderer):
    seen = observed(renderer, numbered(library, *MIXED))
    one, two = (match(seen, library, OPTIONS, workers=n).to_json() for n in (1, 2))
    assert one == two


def test_progress_ends_at_one(library, renderer):
    shares = []
    seen = observed(renderer, numbered(library, *MIXED)).only(PLUS)
    match(seen, library, OPTIONS, [PLUS], 1, shares.append)
    assert sum(shares) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.ones((3, 20, 64))}, "smaller than the library's 32 x 64"),
        ({"images": np.full((3, 32, 64), 7.0)}, "is even: all of its pixels are 7"),
        ({"images": np.random.default_rng(0).random((2, 32, 64))}, "the library has 3 conditions"),
        ({"conditions": [0, 1, 5]}, "the library has conditions 0 to 2"),
        ({"max_shift": 65}, "is more than the image has: 32 x 64 pixels"),
        ({"score": "guess"}, "must be one of likelihood, correlation"),
        ({"visible": False}, "none of its 36 members is visible"),
        ({"dtype": np.uint16}, "noisy counts"),
    ],
)
def test_what_cannot_be_matched_is_said(library, change, message):
    images = change.get("images", np.random.default_rng(0).random((3, 32, 64)))
    used = library
    if "visible" in change:
        members = replace(library.members, visible=np.zeros(len(library), bool))
        used = replace(library, members=members)
    if "dtype" in change:
        used = replace(library, images=np.asarray(library.images).astype(change["dtype"]))
    options = replace(
        OPTIONS,
        score=change.get("score", "likelihood"),
        max_shift=change.get("max_shift", OPTIONS.max_shift),
    )
    with pytest.raises(InputError, match=message):
        match(Observation(images, NOISE), used, options, change.get("conditions"))
