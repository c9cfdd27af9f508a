"""What must be true of images of anisotropic crystals, however the fields are computed."""

import math

import numpy as np
import pytest
from default_instrument import (
    EDGE,
    MIXED,
    SAMPLE_FROM_CRYSTAL,
    engine_images,
    plain_images,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from media import MEDIA, random_medium
from scipy.spatial.transform import Rotation

from weakbeam import Experiment, simulate
from weakbeam.assemble import assemble
from weakbeam.defects.anisotropic import AnisotropicDislocations, displacement_gradient
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.segments import Segments
from weakbeam.experiment import RandomDislocations, Reflection
from weakbeam.experiment.defects import Dislocation
from weakbeam.run.render import Renderer

SMALL = [
    "camera.pixels=[12, 20]",
    "camera.pixel_nm=90",
    "scan.phi.value_mrad=0.14",
    "crystal.core_radius_nm=0",
    "output.figures=false",
]
LINE = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), angle_deg=60, position_um=(0.1, 0.05, 0))


def experiment(settings=(), defects=(LINE,), **keys):
    return Experiment(defects=defects, **keys).with_settings([*SMALL, *settings])


def image(*arguments, **keys):
    return simulate(experiment(*arguments, **keys), workers=1).images.values


def constants(rows):
    return f"crystal.stiffness_GPa={np.asarray(rows).tolist()}"


ANISOTROPIC = "crystal.elasticity='anisotropic'"
COPPER = ["crystal.material='Cu'", ANISOTROPIC]


def test_anisotropy_shows_in_copper_and_hardly_in_tungsten():
    changes = {}
    for name, reflection, line in (
        ("Cu", Reflection(hkl=(-1, 1, -1)), LINE),
        ("W", Reflection(hkl=(0, 0, 2)), Dislocation(
            plane=(1, 0, 1), burgers=(1, 1, -1), angle_deg=60, position_um=(0.1, 0.05, 0))),
    ):  # fmt: skip
        chosen = [f"crystal.material='{name}'", "crystal.x_axis=[1, 0, -1]"]
        if name == "W":
            chosen[1] = "crystal.x_axis=[1, 0, 0]"
        keys = {"reflection": reflection, "defects": (line,)}
        isotropic, own = (image([*chosen, *more], **keys) for more in ((), (ANISOTROPIC,)))
        changes[name] = np.linalg.norm(own - isotropic) / np.linalg.norm(isotropic)
    assert changes["Cu"] > 0.1
    assert changes["W"] < 0.01


def test_constants_of_an_isotropic_crystal_give_the_isotropic_image():
    c12 = 2 * 50 * 0.334 / (1 - 2 * 0.334)
    own = f"crystal.stiffness_GPa={{ c11 = {c12 + 100!r}, c12 = {c12!r}, c44 = 50.0 }}"
    expected = image()
    np.testing.assert_allclose(
        image([own, ANISOTROPIC]), expected, rtol=0, atol=1e-9 * expected.max()
    )


def test_a_crystal_described_in_other_axes_has_the_same_image():
    """Copper in its body-centred tetragonal cell, whose a runs along [1 -1 0] of the cube."""
    expected = image(COPPER)
    turn = Rotation.from_rotvec([0, 0, np.pi / 4]).as_matrix()
    edge = 3.6146 / math.sqrt(2.0)
    other = [
        f"crystal.cell={{ a = {edge!r}, c = 3.6146 }}",
        "crystal.space_group='I 4/m m m'",
        constants(MEDIA["Cu"].turned(turn).matrix),
        ANISOTROPIC,
        "crystal.x_axis=[1, 1, -1]",
        "reflection.hkl=[-1, 0, -1]",
    ]
    line = LINE.replace(plane=(0, 1, 1), burgers=(1, 1, -1))
    found = image(other, defects=(line,))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * expected.max())
    # The constants of the cube axes in these axes are another crystal.
    other[2] = constants(MEDIA["Cu"].matrix)
    assert np.abs(image(other, defects=(line,)) - expected).max() > 1e-2 * expected.max()


def test_reflections_of_a_remounted_crystal_turn_the_medium_with_it():
    keys = {"reflections": (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))}
    both = image(COPPER, **keys)
    # The axes of the second mount: the cube turned about [1 0 -1] takes one plane to the other.
    alone = image(COPPER, reflection=Reflection(hkl=(1, 1, 1)), defects=(
        LINE.replace(position_um=turned_position()),))  # fmt: skip
    np.testing.assert_allclose(both[1], alone, rtol=0, atol=1e-9 * alone.max())


def turned_position():
    """Where the line is in the sample frame of the second reflection."""
    setups = Renderer(
        experiment(
            COPPER,
            defects=(),
            reflections=(Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1))),
        ),
        1,
    )
    return tuple((setups.turn(1) @ LINE.position_um).tolist())


def test_libraries_render_the_crystal_of_the_experiment():
    described = experiment(COPPER)
    renderer = Renderer(described, 1)
    lines = renderer.lines_of((1, 1, 1), (1, 0, -1), 30.0, LINE.position_um)
    expected = simulate(described, workers=1).images.values
    np.testing.assert_array_equal(renderer.image(lines), expected.reshape(1, 12, 20))


@pytest.mark.parametrize("count", [30, 300])
def test_many_lines_are_the_sum_of_single_ones(count):
    """Below and above the number from which on boxes gather far lines."""
    population = RandomDislocations(
        region="slab", count=count, seed=3, width_um=6.0, depth_um=1.0, position_um=(0, 0, 0.3)
    )
    camera = ["camera.pixels=[60, 90]", "camera.oversampling=2"]
    described = experiment([*COPPER, *camera], defects=(population,))
    setup = assemble(described)
    medium = setup.crystal.medium.turned(setup.sample_from_crystal)
    field = AnisotropicDislocations(setup.defects.lines, medium)
    expected = setup.engine(0.0, 1).with_field(field).images([np.zeros(3)], [np.zeros(3)])
    found = setup.engine(0.0, 1).images([np.zeros(3)], [np.zeros(3)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


class PointByPoint:
    """The printed integral formalism, asked at every point of an image."""

    def __init__(self, lines, medium):
        self.lines, self.medium = lines, medium

    def add_to(self, gradient, points):
        for line in self.lines:
            beta = displacement_gradient(points.T, line, self.medium)
            gradient += beta.reshape(-1, 9).T


@pytest.mark.parametrize("name", ["Cu", "Fe", "quartz"])
def test_the_engine_equals_the_direct_sum_of_the_printed_formula(name):
    lines, medium = [EDGE, MIXED], MEDIA[name].turned(SAMPLE_FROM_CRYSTAL)
    settings = [[1.4e-4, 0, 0], [-1.2e-4, 3e-4, 0]]
    expected = plain_images(PointByPoint(lines, medium), settings)
    found = engine_images(AnisotropicDislocations(lines, medium), settings)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["Cu", "quartz", "random"]))
def test_the_engine_equals_the_direct_sum_of_random_loops(seed, name):
    media = MEDIA | {"random": random_medium(2)}
    random = np.random.default_rng(seed)
    corners, b = random.normal(scale=1.0, size=(5, 3)), random.normal(scale=2e-4, size=3)
    field = AnisotropicSegments(Segments.polygon(corners, b, 2e-3), media[name])
    some = [[1.4e-4, 0, 0], [-1.2e-4, 3e-4, 0]]
    expected = plain_images(field, some)
    found = engine_images(field, some)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())
