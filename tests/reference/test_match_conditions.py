"""How often a measured pair is identified, for each thing that the model is not told: tables.

Each condition takes some ten minutes of a core:
``pytest -m slow tests/reference/test_match_conditions.py -s -k "phi and 20"``.
"""

import numpy as np
import pytest
from match_conditions import DOUBLE, NEIGHBOURS, POSITIONS, SHAPE, SMALL, draw, is_true, pulls

from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.run.render import Renderer

DRAWS = 40
NOISE = Noise(2.14, 4.2**2 + 1 / 12)
EXPERIMENT = Experiment().with_settings(
    [
        f"camera.pixels={list(SHAPE)}",
        "beam.height_fwhm_um=0.6",
        f"scan.phi.values_mrad={(1e3 * POSITIONS[:, 0]).tolist()}",
        "identify.character_step_deg=10",
    ]
)


@pytest.fixture(scope="module")
def library():
    return make_library(EXPERIMENT)


@pytest.fixture(scope="module", params=["isotropic", "anisotropic"])
def copper(request):
    settings = ["crystal.material=Cu", f'crystal.elasticity="{request.param}"']
    return make_library(EXPERIMENT.with_settings(settings))


def found_of(truth, library, **options):
    chosen = MatchOptions(nuisances=NuisancePriors.of(None), **options)
    return match(Observation(truth.counts, NOISE), library, chosen, [0, 1])


def table(condition, library, **options):
    """For each draw: whether right, whether decided, and errors of the place in stated ones."""
    renderer = Renderer(library.experiment, 1, False)
    rows = []
    for seed in range(DRAWS):
        truth = draw(condition, seed)
        found = found_of(truth, library, **options)
        right = is_true(found.best.refinement.type, truth)
        away = pulls(found, truth, renderer) if right else np.full(2, np.nan)
        rows.append((right, found.verdict.decided, *away))
    right, decided, *away = np.array(rows).T
    within = np.nanmean(np.abs(np.array(away)[:, right == 1]) < 1.3)
    print(
        f"{condition}: {int(right.sum())} right, {int((decided == 1).sum())} decided, {within:.2f}"
    )
    return right == 1, decided == 1, within


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "least"), [(c, 0.95) for c in SMALL] + [(c, 0.85) for c in DOUBLE]
)
def test_a_pair_is_identified_in_spite_of_what_is_not_told(condition, least, library):
    right, decided, within = table(condition, library)
    assert right.mean() >= least
    assert (decided & ~right).sum() <= 1
    assert within >= 0.68


@pytest.mark.slow
def test_a_line_that_is_bent_by_20_degrees_is_identified(library):
    right, decided, _ = table("bent 20", library)
    assert right.mean() >= 0.95
    assert (decided & ~right).sum() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("condition", NEIGHBOURS)
def test_beside_another_dislocation_nothing_wrong_is_decided(condition, library):
    right, decided, _ = table(condition, library)
    assert (decided & ~right).sum() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("condition", "tried"), [("turned", False), ("mirrored", True)])
def test_of_a_camera_that_is_not_known_nothing_is_decided(condition, tried, library):
    _, decided, _ = table(condition, library, camera_known=False, orientations=tried)
    assert not decided.any()


@pytest.mark.slow
def test_anisotropic_copper_is_identified_or_rarely_decided_wrong(copper):
    right, decided, within = table("copper", copper)
    assert (decided & ~right).sum() <= 1
    if copper.experiment.crystal.elasticity == "anisotropic":
        assert right.mean() >= 0.95
        assert within >= 0.68
