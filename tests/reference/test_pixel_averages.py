"""Averages over pixels, to the accuracy that is asked for, against the plain sum of `renderer`."""

import math

import numpy as np
import pytest
import renderer
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from reference_cases import DEFAULT, B

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment

SLIP = {"edge": [1, -2, 1], "mixed": [2, -1, -1], "other": [3, -1, -2]}


def averaged(p, sub, depths):
    """Mean over sub × sub pixels that are as many times smaller."""
    rows, columns = p["shape"]
    fine = p | {"shape": [rows * sub, columns * sub], "pixel": p["pixel"] / sub, "nz": depths}
    return renderer.image(fine).reshape(rows, sub, columns, sub).mean(axis=(1, 3))


def experiment_of(p, *more):
    """The experiment of a renderer's parameters, its lines in the sample frame of the default."""
    lines = ", ".join(
        f"{{burgers=[1, 0, -1], line={line['t']}, position_um={list(line['position_um'])}}}"
        for line in p["lines"]
    )
    return Experiment().with_settings(
        [
            f"defects=[{lines}]",
            "crystal.core_radius_nm=0.0",
            f"camera.pixels={p['shape']}",
            f"camera.pixel_nm={1e3 * p['pixel']}",
            f"beam.height_fwhm_um={p['beam_fwhm']}",
            f"scan.phi.value_mrad={1e3 * p['phi']}",
            *more,
        ]
    )


def image_of(p, *more):
    setup = assemble(experiment_of(p, *more))
    engine = setup.engine(0.0, 1)
    return engine.images(*setup.shifts())[0, 0], engine


def difference(image, truth):
    return float(np.linalg.norm(image - truth) / np.linalg.norm(truth))


def case(kind, pixel, beam, phi, shape=(5, 4), where=((0.03, -0.02, 0.01),)):
    lines = [{"b_um": [B, 0, -B], "t": SLIP[kind], "position_um": list(at)} for at in where]
    return DEFAULT | {
        "pixel": pixel, "beam_fwhm": beam, "phi": phi * 1e-3, "shape": list(shape), "lines": lines
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "pixel", "beam", "phi"),
    [
        ("edge", 0.04, 0.15, 0.0),
        ("edge", 0.04, 0.15, 0.2),
        ("mixed", 0.075, 0.15, 0.15),
        ("mixed", 0.075, 0.6, 0.15),
        ("other", 0.15, 0.3, 0.16),
    ],
)
def test_the_default_is_as_accurate_as_it_says(kind, pixel, beam, phi):
    p = case(kind, pixel, beam, phi)
    image, engine = image_of(p)
    assert difference(image, averaged(p, 16, 160)) < 0.005
    assert engine.reached < 0.005
    point, _ = image_of(p, "camera.oversampling=point")
    assert difference(point, averaged(p, 1, 6001)) < 0.005
    if phi > 0.15:
        assert difference(point, image) > 0.02


def test_twice_as_accurate_is_twice_as_near():
    p = case("mixed", 0.075, 0.15, 0.16, (5, 6))
    truth = averaged(p, 18, 160)
    off, rays = [], []
    for accuracy in (0.04, 0.02, 0.01, 0.005, 0.0025):
        image, engine = image_of(p, f"camera.accuracy={accuracy}")
        off.append(difference(image, truth) / accuracy)
        rays.append(engine.rays)
    assert max(off) < 1.0
    assert np.sqrt(np.mean(np.square(off))) < 1.0
    assert np.all(np.diff(rays) > 0)


positions = st.tuples(*[st.floats(-0.3, 0.3)] * 2, st.floats(-0.1, 0.1))


def random_cases(largest):
    return st.builds(
        case,
        st.sampled_from(sorted(SLIP)),
        st.sampled_from([0.037, 0.075, 0.15, 0.5]),
        st.floats(0.15, largest),
        st.floats(0.0, 0.25),
        st.just((4, 4)),
        st.lists(positions, min_size=1, max_size=3).map(tuple),
    )


def check(p, sub, depths):
    """The image is as near to the plain sum as asked for, and is off by what it says."""
    truth, coarse = averaged(p, sub, depths), averaged(p, sub - 3, round(0.8 * depths))
    # Where the plain sum itself has not converged, it is no judge.
    doubt = difference(coarse, truth)
    assume(math.isfinite(doubt) and doubt < 0.005)
    image, engine = image_of(p)
    # Errors of an image without light are relative to a millionth of the peak.
    size = np.linalg.norm(truth)
    share = size / max(size, 1e-6 * math.sqrt(truth.size))
    doubt, off = share * doubt, share * difference(image, truth)
    assert off < 0.005 + doubt
    # Errors of so few pixels are no more than an example of what they may be.
    assert off - doubt < 1.3 * engine.reached + 2e-4
    assert engine.reached < 0.0065


@settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(random_cases(0.4))
# Light of a 3·10⁻¹² and a 4·10⁻⁷ of the peak, from the ends of the beam.
@example(case("edge", 0.037, 0.2327875, 0.25, (4, 4), ((0.0, -0.25, -0.053775),)))
@example(case("mixed", 0.037, 0.25, 0.1953125, (4, 4), ((0.0, -0.25, 0.0),)))
def test_any_image_is_as_accurate_as_it_says(p):
    check(p, 12, 81)


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(random_cases(1.2))
def test_many_images_are_as_accurate_as_they_say(p):
    check(p, 16, 400)


@pytest.mark.parametrize(
    ("kind", "pixel", "beam", "phi"),
    [("mixed", 0.075, 0.15, 0.25), ("edge", 0.15, 0.3, 0.24)],
)
def test_light_of_cores_alone_is_found(kind, pixel, beam, phi):
    """Deep in the weak beam a few pixels have all of the light, from near a core."""
    p = case(kind, pixel, beam, phi, (3, 3))
    truth = averaged(p, 30, 201)
    image, engine = image_of(p)
    assert difference(image, truth) < 0.005
    assert engine.reached < 0.005


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pixel_nm", "beam", "phi"), [(37, 0.15, 0.1), (75, 0.6, 0.02), (500, 0.6, 0.03)]
)
def test_oblique_images_are_as_accurate_as_they_say(pixel_nm, beam, phi):
    experiment = Experiment().with_settings(
        [
            "preset=id06-oblique",
            "reflections=[{hkl=[-1, -1, 3], geometry='oblique', solution=1}]",
            "crystal={material='Al', mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]}",
            "beam.energy_keV=19.1",
            "defects=[{plane=[1, 1, 1], burgers=[1, -1, 0], line=[1, 1, -2],"
            " position_um=[0.03, -0.02, 0.01]}]",
            "camera.pixels=[5, 4]",
            f"camera.pixel_nm={pixel_nm}",
            f"beam.height_fwhm_um={beam}",
            f"scan.phi.value_mrad={phi}",
        ]
    )

    def image(*settings):
        setup = assemble(experiment.with_settings(list(settings)))
        engine = setup.engine(0.0, 1)
        return engine.images(*setup.shifts())[0, 0].astype(float), engine

    # Points, which tests of the engine compare with plain sums, as many as are needed.
    truth, coarse = (
        image(f"camera.oversampling={sub}", f"camera.depth_samples={depths}")[0]
        for sub, depths in ((24, 1200), (16, 800))
    )
    doubt = difference(coarse, truth)
    assert doubt < 0.003
    found, engine = image()
    assert difference(found, truth) < 0.005
    assert engine.reached < 0.005
