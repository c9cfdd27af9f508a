"""Blind: images of a world with what no model is told are identified, or it is said that not."""

from dataclasses import replace

import numpy as np
import pytest
from measured_world import World, counted, sample_axes, unit
from reference_cases import DEFAULT, B

from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions

SHAPE = (40, 64)
OPTICS = DEFAULT | {"aperture": 1.0323e-3, "beam_fwhm": 0.6, "nz": 61, "shape": list(SHAPE)}
POSITIONS = np.array([[-0.15e-3, 0, 0], [0.15e-3, 0, 0]])
NOISE = Noise(2.14, 4.2**2 + 1 / 12)
OPTIONS = MatchOptions(max_shift=6, nuisances=NuisancePriors.of(None))
PLANE, BURGERS, CHARACTER = (1, 1, 1), (1, 0, -1), 37.0
MISMATCHES = World(
    offsets=(8e-6, 10e-6, 0),
    bend_rock=(0, 2e-6, -4e-6),
    illumination=(1.0, 0.2, -0.1),
    background=(12.0, 3.0, -2.0),
    blur_px=0.8,
    hot=3,
    dead=2,
)
EXPERIMENT = Experiment().with_settings(
    [
        f"camera.pixels={list(SHAPE)}",
        "beam.height_fwhm_um=0.6",
        "scan.phi.values_mrad=[-0.15, 0.15]",
        "identify.planes=[[1, 1, 1], [1, -1, 1]]",
        "identify.burgers=[[1, 0, -1]]",
        "identify.character_step_deg=30",
    ]
)


@pytest.fixture(scope="module")
def library():
    return make_library(EXPERIMENT, 1)


def line_of(plane, burgers, character_deg, place):
    b = unit(burgers)
    edge, angle = np.cross(b, unit(plane)), np.radians(character_deg)
    return {
        "b_um": (B * np.array(burgers)).tolist(),
        "t": edge * np.cos(angle) + b * np.sin(angle),
        "position_um": list(place),
    }


def world_of(world, place=(0.11, -0.07, 0.02), **optics):
    line = line_of(PLANE, BURGERS, CHARACTER, place)
    return replace(world, optics=OPTICS | {"lines": [line]} | optics)


def matched(world, library, seed=1, **options):
    counts = counted(world, POSITIONS, seed)
    return match(
        Observation(counts, NOISE), library, replace(OPTIONS, **options), [0, 1], workers=1
    )


def is_true(candidate):
    kind = candidate.refinement.type
    off = abs((kind.character_deg - CHARACTER + 180) % 360 - 180)
    return (kind.plane, kind.burgers) == (PLANE, BURGERS) and off < 6


def off_line(match, place):
    """Distance of the fitted line from the true one (µm)."""
    line = line_of(PLANE, BURGERS, CHARACTER, place)
    along = unit(line["t"]) @ sample_axes(OPTICS).T
    away = match.best.refinement.position_um - np.array(place)
    return float(np.linalg.norm(away - away @ along * along))


def test_several_mismatches_together_are_found_with_the_type(library):
    place = (0.11, -0.07, 0.02)
    world = world_of(MISMATCHES, place, clip=0.14e-3 * 1.04, beam_fwhm=0.75)
    found = matched(world, library)
    assert is_true(found.best)
    assert found.verdict.decided
    assert found.best.cautious_probability > 0.95
    assert off_line(found, place) < 0.02
    values = {n.name: n for n in found.nuisances}
    # Row 0 is at the largest x; the terms of a tilt are told at the edges.
    half = 0.5 * SHAPE[1] * 0.04
    for name, true, slack in (
        ("phi_offset", 8.0, 1.0),
        ("tilt_phi[2]", -4.0 * half, 1.0),
        ("height factor", 1.25, 0.08),
        ("condenser factor", 1.04, 0.01),
        ("light[1]", 0.2, 0.05),
    ):
        assert values[name].value == pytest.approx(true, abs=slack + 3 * values[name].error), name
    assert (~found.observation.good[0]).sum() >= 3
    assert found.regions.explained


def test_exact_matching_fails_on_them(library):
    world = world_of(MISMATCHES, clip=0.14e-3 * 1.04, beam_fwhm=0.75)
    found = matched(world, library, nuisances=None, refine=0)
    assert not found.verdict.explained


@pytest.mark.slow
def test_turned_images_are_never_decided_unless_the_camera_is_known(library):
    found = matched(world_of(replace(World(), turns=2)), library, camera_known=False)
    assert not found.verdict.decided
    assert "turned by 180 degrees" in found.verdict.sentence or not found.verdict.explained


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_images_are_found_to_be_so(library, mirrored):
    found = matched(
        world_of(replace(World(), mirrored=mirrored)),
        library,
        orientations=True,
        camera_known=False,
    )
    assert found.orientation == ("mirrored left to right" if mirrored else "as the experiment says")
    assert is_true(found.best)
    assert not found.verdict.decided


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"offsets": (20e-6, 0, 0)},
        {"bend_rock": (0, 6e-6, 8e-6)},
        {"blur_px": 2.0},
        {"illumination": (1.0, 0.4, 0.0)},
        {"full": 600.0},
    ],
    ids=["phi", "mosaic", "blur", "light", "full"],
)
def test_each_mismatch_alone(library, more):
    found = matched(world_of(replace(World(), **more)), library)
    assert is_true(found.best)
    assert found.verdict.decided
    assert off_line(found, (0.11, -0.07, 0.02)) < 0.02


@pytest.mark.slow
def test_a_second_dislocation_is_said_to_be_there(library):
    world = world_of(World())
    second = line_of((1, -1, 1), (1, 1, 0), 100.0, (-1.8, 1.0, 0.0))
    world.optics["lines"].append(second)
    found = matched(world, library)
    assert not found.verdict.decided
    assert found.regions.share < 0.97
    assert is_true(found.best)
