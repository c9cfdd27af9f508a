from dataclasses import replace

import numpy as np
import pytest

from weakbeam.defects.types import dislocation_types
from weakbeam.experiment import Experiment
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.line_place import FLAT, PositionPrior, place_of
from weakbeam.fit.observation import Noise, Observation
from weakbeam.fit.refine import merged, promised_by_turning, refine
from weakbeam.run.render import Renderer

SYSTEM = ((1, 1, 1), (1, -1, 0))
NOISE = Noise(2.14, 17.4)
COUNTS = 1000.0


def renderer_of(*settings):
    experiment = Experiment().with_settings(
        ["camera.pixels=[28,36]", "beam.height_fwhm_um=0.2", "scan.phi.value_mrad=0.15", *settings]
    )
    return Renderer(experiment, 1)


@pytest.fixture(scope="module")
def renderer():
    return renderer_of()


@pytest.fixture(scope="module", params=["point", "auto"])
def either(request):
    """A renderer, and how many times more it may be off than the climb itself.

    Samples of averages are chosen anew for a model of what was seen; the points stay.
    """
    return renderer_of(f"camera.oversampling={request.param}"), 1 + (request.param == "auto")


@pytest.fixture(scope="module")
def kind(renderer):
    return type_of(renderer, *SYSTEM, 30.0)


def type_of(renderer, plane, burgers, character):
    crystal = renderer.setups[0].crystal
    found = dislocation_types(crystal.cell, crystal.centring, [(plane, burgers)], [character])
    return found[0]


def signal_of(renderer, kind, shift=(0.0, 0.0), depth=0.0, scale=COUNTS, background=0.0):
    row, column = renderer.pixel_steps()
    position = shift[0] * row + shift[1] * column + depth * renderer.up
    lines = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg, position)
    return scale * renderer.image(lines).astype(float) + background


def noisy(signal, seed):
    random = np.random.default_rng(seed)
    return signal + random.normal(size=signal.shape) * np.sqrt(NOISE.variance(signal))


def test_position_scale_and_background_of_an_image_without_noise(either, kind):
    renderer, more = either
    signal = signal_of(renderer, kind, (1.3, -2.6), background=12.0)
    # Where noise grows with the signal, its absence is evidence for less signal.
    even = Noise(0.0, 100.0)
    found = refine(Observation(signal, even), renderer, kind, shift_px=(1.0, -2.0))
    assert found.converged
    assert found.names == ("row_px", "column_px", "scale", "background")
    error = np.abs(found.values - [1.3, -2.6, COUNTS, 12.0])
    assert (error < 0.1 * more * found.errors).all()
    assert (found.errors < [0.1, 0.1, 10.0, 1.0]).all()
    np.testing.assert_allclose(found.image, signal, atol=0.02 * COUNTS)
    assert found.undetermined == ()
    assert found.renderings < 40


def test_errors_are_those_of_repeated_noise(renderer, kind):
    signal = signal_of(renderer, kind, (0.4, 0.7))
    pulls = []
    for seed in range(20):
        found = refine(Observation(noisy(signal, seed), NOISE), renderer, kind, (0.0, 0.0))
        error = found.values - [0.4, 0.7, COUNTS, 0.0]
        pulls.append(error @ np.linalg.solve(found.covariance, error))
    # Chi-squared of 20 x 4 degrees of freedom.
    assert 80 - 4 * 160**0.5 < np.sum(pulls) < 80 + 4 * 160**0.5


def test_climb_ends_at_the_top_of_a_likelihood_that_bends(renderer):
    # Derivatives change on the way, over less than a third of a pixel.
    kind, place = type_of(renderer, (1, 1, 1), (1, -1, 0), 170.0), (-1.2, -2.4)
    signal = signal_of(renderer, kind, place, depth=-0.07)
    for seed in range(8):
        seen = Observation(noisy(signal, seed), NOISE)
        found = refine(seen, renderer, kind, (-0.9, -2.1), -0.07)
        assert found.converged
        assert found.log_likelihood > fit_scale(seen.images, signal, NOISE).log_likelihood - 0.1


def test_errors_along_a_rough_ridge_of_the_likelihood(renderer):
    # The core of a line that is nearly in the sheet passes from one pixel and one sample to the
    # next: over small steps the images jump, and their derivatives say more than they know.
    kind, shift, depth = type_of(renderer, (1, 1, -1), (0, 1, 1), 250.0), (-1.46, 0.95), 0.012
    signal = signal_of(renderer, kind, shift, depth)
    direction = renderer.lines_of(kind.plane, kind.burgers, 250.0).lines[0]
    steps = renderer.pixel_steps()
    position = np.array(shift) @ steps + depth * renderer.up
    _, true = place_of(direction, position, steps, renderer.up)
    pulls = []
    for seed in range(8):
        found = refine(Observation(noisy(signal, seed), NOISE), renderer, kind, (-1.2, 1.2), depth)
        error = found.values[:2] - true
        pulls.append(error @ np.linalg.solve(found.covariance[:2, :2], error))
    # Chi-squared of 8 x 2 degrees of freedom.
    assert np.sum(pulls) < 16 + 3 * 32**0.5


def test_depth_only_shifts_an_inclined_line(renderer, kind):
    signal = signal_of(renderer, kind, (0.0, 0.0), depth=0.1)
    found = refine(Observation(signal, NOISE), renderer, kind, shift_px=(0.0, 0.0), depth_um=0.08)
    direction = renderer.lines_of(*SYSTEM, 30.0).lines[0]
    place, expected = place_of(direction, 0.1 * renderer.up, renderer.pixel_steps(), renderer.up)
    assert not place.in_sheet
    np.testing.assert_allclose(found.values[:2], expected, atol=5e-3)
    assert abs(found.position_um @ renderer.up) < 1e-12


def test_line_in_the_sheet_has_a_depth(renderer):
    # Along y.
    flat = type_of(renderer, (1, -1, 1), (1, 0, -1), 0.0)
    direction = renderer.lines_of(flat.plane, flat.burgers, 0.0).lines[0]
    assert abs(direction @ renderer.up) < FLAT
    signal = signal_of(renderer, flat, (0.0, 0.0), depth=0.05)
    found = refine(Observation(signal, NOISE), renderer, flat, depth_um=0.02)
    assert found.names[:2] == ("across_um", "depth_um")
    assert (np.abs(found.values[:2] - [0.0, 0.05]) < 3.0 * found.errors[:2]).all()
    assert found.position_um @ renderer.up == pytest.approx(found.values[1])


@pytest.mark.parametrize("depth", [-0.07, 0.07])
def test_line_in_the_sheet_is_found_on_either_side_of_its_middle(renderer, depth):
    # An image says little of the side: there is a maximum of the likelihood on both.
    flat = type_of(renderer, (1, -1, 1), (1, 0, -1), 0.0)
    observation = Observation(noisy(signal_of(renderer, flat, depth=depth), 1), NOISE)
    found = refine(observation, renderer, flat)
    assert abs(found.values[1] - depth) < 4.0 * found.errors[1] < 0.02
    alone = refine(observation, renderer, flat, depth_um=-depth, scout=False)
    assert alone.log_evidence < found.log_evidence - 10.0


def test_what_turning_promises_is_what_it_gains(renderer, kind):
    prior = PositionPrior.of_view(renderer)
    true = Observation(noisy(signal_of(renderer, kind), 2), NOISE)
    assert promised_by_turning(true, renderer, refine(true, renderer, kind), prior) < 0.0
    beside = Observation(noisy(signal_of(renderer, kind.turned(36.0)), 2), NOISE)
    still = refine(beside, renderer, kind, prior=prior)
    turned = refine(beside, renderer, kind, free=("position", "character"), prior=prior)
    gained = turned.log_evidence - still.log_evidence
    assert gained > 10.0
    promised = promised_by_turning(beside, renderer, still, prior)
    assert promised == pytest.approx(gained, rel=0.3)


def test_prior_is_as_deep_as_the_beam_is_bright(renderer):
    assert renderer.lit_depth == pytest.approx(0.2, rel=2e-3)
    prior = PositionPrior.of_view(renderer)
    assert (prior.rows, prior.columns, prior.depth_um) == (28, 36, renderer.lit_depth)
    assert PositionPrior.of_view(renderer, depth_um=0.5).depth_um == 0.5


def test_character_is_found_between_those_of_the_list(either, kind):
    renderer, more = either
    signal = signal_of(renderer, kind.turned(33.0), (0.3, 0.2))
    found = refine(Observation(signal, NOISE), renderer, kind, free=("position", "character"))
    assert found.converged
    assert found.names[2] == "character_deg"
    assert abs(found.type.character_deg - 33.0) < 0.2 * more * found.errors[2] < 0.2 * more
    assert found.type.number == kind.number


def test_evidence_prefers_the_true_type(renderer, kind):
    observation = Observation(noisy(signal_of(renderer, kind), 3), NOISE)
    true = refine(observation, renderer, kind)
    other = refine(observation, renderer, kind.turned(60.0))
    assert true.log_evidence > other.log_evidence + 10.0


def test_what_an_invisible_dislocation_leaves_open_is_named(renderer):
    # A screw with its Burgers vector in the reflecting planes.
    screw = type_of(renderer, (1, 1, 1), (1, 0, -1), 90.0)
    found = refine(Observation(noisy(signal_of(renderer, screw), 1), NOISE), renderer, screw)
    assert {"scale"} | set(found.names[:2]) <= set(found.undetermined)
    lost = [found.names.index(name) for name in found.undetermined]
    assert np.isnan(found.covariance[lost]).all()
    assert np.isfinite(found.log_evidence)


def test_fits_of_one_maximum_count_once(renderer, kind):
    observation = Observation(noisy(signal_of(renderer, kind), 5), NOISE)
    fits = [refine(observation, renderer, kind, (shift, 0.0)) for shift in (0.3, -0.3)]
    assert merged(fits).log_evidence == max(fits, key=lambda f: f.log_likelihood).log_evidence


def test_places_that_the_image_cannot_decide_are_told(renderer, kind):
    observation = Observation(noisy(signal_of(renderer, kind), 5), NOISE)
    here = refine(observation, renderer, kind)
    far = here.values + 8.0 * here.errors

    def there(lower):
        return replace(
            here,
            values=far,
            position_um=here.position_um + 0.1,
            log_likelihood=here.log_likelihood - lower,
            log_evidence=here.log_evidence - lower,
        )

    both = merged([there(np.log(4.0)), here])
    assert both.ambiguous
    np.testing.assert_array_equal(both.values, here.values)
    (other,) = both.others
    assert other.probability == pytest.approx(0.2)
    np.testing.assert_array_equal(other.values, far)
    np.testing.assert_array_equal(other.position_um, here.position_um + 0.1)
    assert both.log_evidence == pytest.approx(here.log_evidence + np.log(1.25))
    unlikely = merged([here, there(3.5)])
    assert unlikely.others
    assert not unlikely.ambiguous
    assert not merged([here, there(20.0)]).others
    assert not merged([here, here]).others
    assert not here.ambiguous


def test_prior_of_an_inclined_line_is_even_over_its_crossing(renderer, kind):
    prior = PositionPrior.of_view(renderer, (20, 30), depth_um=0.02)
    direction = renderer.lines_of(*SYSTEM, 30.0).lines[0]
    place, _ = place_of(direction, np.zeros(3), renderer.pixel_steps(), renderer.up)
    # A thin box: all positions but those at its edges have the density 1/area.
    density = prior.log_density(place, np.zeros(3), direction)
    assert np.exp(density) == pytest.approx(1 / (20 * 30), rel=1e-6)


def test_prior_of_a_line_in_the_sheet_integrates_to_one(renderer):
    prior = PositionPrior.of_view(renderer, (20, 30), depth_um=0.5)
    flat = type_of(renderer, (1, -1, 1), (1, 0, -1), 0.0)
    direction = renderer.lines_of(flat.plane, flat.burgers, 0.0).lines[0]
    place, _ = place_of(direction, np.zeros(3), renderer.pixel_steps(), renderer.up)
    across, depth = prior.widths(place)
    density = np.exp(prior.log_density(place, place.position(np.zeros(2)), direction))
    assert density * across * depth == pytest.approx(1.0, rel=1e-6)


def test_mistakes_are_told(renderer, kind):
    image = signal_of(renderer, kind)
    with pytest.raises(ValueError, match="choose from position, character"):
        refine(Observation(image, NOISE), renderer, kind, free=("colour",))
    with pytest.raises(ValueError, match="do not fit the renderer"):
        refine(Observation(image[:, 1:], NOISE), renderer, kind)
