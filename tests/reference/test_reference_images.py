"""Whole images against renderers that share no code with weakbeam."""

import json
from pathlib import Path

import numpy as np
import pytest
import renderer
from instruments import symmetric_acceptance
from make_images import FOLDER, rendered
from reference_cases import DEFAULT, KEPT, MIXED, OBLIQUE, SCREW

from weakbeam.assemble import assemble
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import sample_from_crystal_mount, symmetric_orientation
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.oblique import solve_oblique
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.optics import Optics
from weakbeam.run.simulate import simulate

ELSEWHERE = Path(__file__).parents[3] / "shared" / "reference"
"""A folder with images of another renderer, where there is one."""
STORED = {
    f"{folder.name}/{file.stem}": json.loads(file.read_text(encoding="utf-8"))
    | {"image": np.load(file.with_suffix(".npz"))["image"]}
    for folder in (FOLDER, ELSEWHERE)
    for file in sorted(folder.glob("*.json"))
}
OBLIQUE_STORED = {name: p for name, p in STORED.items() if p.get("oblique")}
SYMMETRIC_STORED = {name: p for name, p in STORED.items() if not p.get("oblique")}
THICK_STORED = {name: p for name, p in SYMMETRIC_STORED.items() if p["beam_fwhm"] > 0.5}
THIN_STORED = {name: p for name, p in SYMMETRIC_STORED.items() if p["beam_fwhm"] <= 0.5}


def of(stored):
    """Run a test for each of the stored images."""
    return pytest.mark.parametrize("p", stored.values(), ids=stored.keys())


CASES = {
    "edge": {},
    "edge, weak beam": {"phi": 1.4e-4},
    "mixed, thick beam": {"lines": MIXED, "beam_fwhm": 0.6, "phi": 1.5e-4, "chi": 3e-4},
    "screw": {"lines": SCREW, "phi": -1.5e-4},
    "three lines, other side": {"lines": DEFAULT["lines"] + MIXED + SCREW, "phi": -1.3e-4},
    "strain scan": {"phi": -1e-4, "two_theta": 4e-4, "lines": MIXED},
    "small aperture": {"aperture": 9.39e-5, "phi": 1e-4},
    "no cuts": {"aperture": None, "clip": None, "phi": 2e-4},
    "another reflection": {"hkl": [2, 0, 0], "x_axis": [0, 1, 2], "energy": 19.1, "phi": 1.4e-4},
}


def parts(p):
    """Field, geometry and acceptance of the parameters of a reference image."""
    cell = UnitCell(*p["cell"])
    turn = symmetric_orientation(cell, p["hkl"], p["x_axis"])
    lines = [
        StraightLine(turn @ line["b_um"], turn @ line["t"], line["position_um"])
        for line in p["lines"]
    ]
    theta = bragg_angle(float(cell.d_spacing(p["hkl"])), p["energy"])
    acceptance = symmetric_acceptance(
        theta=theta,
        bandwidth=p["bandwidth"],
        divergence_vertical=p["zeta_v"],
        clip=p["clip"] or np.inf,
        divergence_horizontal=p["zeta_h"],
        lens=p["acceptance"],
        aperture=p["aperture"] or np.inf,
    )
    return (
        StraightDislocations(lines, IsotropicMedium(p["poisson"])),
        symmetric_geometry(theta),
        acceptance,
    )


def render(p):
    """The engine's image at the depths that the reference uses."""
    field, geometry, acceptance = parts(p)
    sigma = p["beam_fwhm"] / 2.354820045
    depths = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weights = np.exp(-0.5 * (depths / sigma) ** 2)
    rays = ray_grid(
        geometry, tuple(p["shape"]), p["pixel"], depths, weights / weights.sum(), "vertical"
    )
    per_phi, per_chi, per_arm = geometry.motor_vectors
    rock = p["phi"] * per_phi + p["two_theta"] * per_arm
    roll = p["chi"] * per_chi
    return Engine(field, geometry, rays, acceptance).images([rock], [roll])[0, 0]


WIDE = {"zeta_v": 0.53e-3 / 2.354820045, "clip": 0.14e-3, "aperture": 1.0323e-3}
OTHER_SOLUTION = {"oblique": OBLIQUE["oblique"] | {"omega_rad": 4.600136646628783}}
OBLIQUE_CASES = {
    "parallel beam": {},
    "id06 optics": WIDE | {"phi": 1.2e-4, "chi": -3e-4},
    "other solution": OTHER_SOLUTION | WIDE | {"phi": -1e-4, "two_theta": 2e-4, "lines": MIXED},
    "small aperture": WIDE | {"aperture": 2e-4, "phi": 6e-5, "lines": MIXED},
}


def render_oblique(p):
    """The engine's image of an oblique reflection, at the depths that the reference uses."""
    cell = UnitCell(*p["cell"])
    orientation = sample_from_crystal_mount(cell, *p["oblique"]["mount"])
    settings = solve_oblique(cell, orientation, p["hkl"], p["energy"])
    setting = min(settings, key=lambda s: abs(s.omega - p["oblique"]["omega_rad"]))
    assert setting.omega == pytest.approx(p["oblique"]["omega_rad"], abs=1e-9)
    optics = Optics(
        bandwidth=p["bandwidth"],
        divergence_vertical=p["zeta_v"],
        clip=p["clip"] or np.inf,
        divergence_horizontal=p["zeta_h"],
        lens=p["acceptance"],
        aperture=p["aperture"] or np.inf,
    )
    geometry = setting.geometry
    lines = [
        StraightLine(
            orientation @ line["b_um"],
            orientation @ line["t"],
            line["position_um"],
            0.0,
        )
        for line in p["lines"]
    ]
    sigma = p["beam_fwhm"] / 2.354820045
    depths = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weights = np.exp(-0.5 * (depths / sigma) ** 2)
    rays = ray_grid(
        geometry, tuple(p["shape"]), p["pixel"], depths, weights / weights.sum(), "normal"
    )
    acceptance = oblique_acceptance(optics, geometry)
    per_phi, per_chi, per_arm = geometry.motor_vectors
    engine = Engine(
        StraightDislocations(lines, IsotropicMedium(p["poisson"])), geometry, rays, acceptance
    )
    rock = p["phi"] * per_phi + p["two_theta"] * per_arm
    return engine.images([rock], [p["chi"] * per_chi])[0, 0]


@pytest.mark.parametrize("changes", OBLIQUE_CASES.values(), ids=OBLIQUE_CASES.keys())
def test_engine_equals_the_independent_renderer_in_oblique_geometry(changes):
    p = {**OBLIQUE, **changes}
    expected = renderer.oblique_image(p)
    assert np.ptp(expected) > 0.02 * expected.max()
    # The renderer's sum over ζ_v sees the edges of apertures in steps.
    tolerance = 1e-5 if p["aperture"] is None else 5e-4
    np.testing.assert_allclose(render_oblique(p), expected, rtol=0, atol=tolerance * expected.max())


@of(OBLIQUE_STORED)
def test_engine_equals_the_stored_oblique_image(p):
    assert relative_difference(render_oblique(p), p["image"]) < 1e-5


OBLIQUE_FILE = """
[crystal]
material = "Al"
mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
core_radius_nm = 0.0
cell = { a = 4.0493, b = 4.0493, c = 4.0493, alpha = 90, beta = 90, gamma = 90 }
[reflection]
hkl = [-1, -1, 3]
geometry = "oblique"
[beam]
energy_keV = 19.1
divergence_vertical_fwhm_mrad = 0.027
divergence_vertical_clip_mrad = inf
[objective]
acceptance_fwhm_mrad = 0.556
aperture_mrad = inf
[camera]
pixels = [48, 48]
plane = "normal"
[scan.phi]
value_mrad = 0.05
[[defects]]
burgers = [1, -1, 0]
line = [1, 1, 2]
"""


@of(OBLIQUE_STORED)
def test_experiment_with_automatic_sampling_equals_the_stored_oblique_image(p):
    """The whole route from a file: mount, solved ω, sampling, engine."""
    experiment = Experiment.from_toml_text(OBLIQUE_FILE).replace(
        camera={"pixels": p["shape"], "oversampling": "point"},
        scan={"phi": {"value_mrad": 1e3 * p["phi"]}},
    )
    assert relative_difference(simulate(experiment).images.values, p["image"]) < 5e-3


def test_the_kept_images_are_those_of_their_parameters():
    """And there are all of them: make_images.py makes them."""
    kept = {name for name in STORED if name.startswith(f"{FOLDER.name}/")}
    assert kept == {f"{FOLDER.name}/{name}" for name in KEPT}
    for name, parameters in KEPT.items():
        p = STORED[f"{FOLDER.name}/{name}"]
        assert {key: value for key, value in p.items() if key != "image"} == parameters
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 300_000


def relative_difference(image, expected):
    return np.linalg.norm(image - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_engine_equals_the_independent_renderer(changes):
    p = {**DEFAULT, **changes}
    expected = renderer.image(p)
    assert np.ptp(expected) > 0.02 * expected.max()
    np.testing.assert_allclose(render(p), expected, rtol=0, atol=1e-5 * expected.max())


@of(STORED)
def test_the_independent_renderer_equals_the_stored_images(p):
    np.testing.assert_allclose(rendered(p), p["image"], rtol=0, atol=1e-6)


@of(SYMMETRIC_STORED)
def test_engine_equals_the_stored_images_at_the_same_samples(p):
    expected = p["image"]
    np.testing.assert_allclose(render(p), expected, rtol=0, atol=1e-5 * expected.max())
    assert relative_difference(render(p), expected) < 1e-5


@of(SYMMETRIC_STORED)
def test_images_of_as_many_depths_equal_the_stored_ones(p):
    assert relative_difference(from_experiment(p, p["nz"]), p["image"]) < 5e-3


# Over a thick beam the image of some hundred depths is itself about 0.5 % from its limit of many
# depths, nearly all of it in the few pixels that see the singular core: see the next test.
@of(THIN_STORED)
def test_images_with_automatic_sampling_equal_the_stored_ones(p):
    assert relative_difference(from_experiment(p), p["image"]) < 5e-3


@of(THICK_STORED)
def test_the_thick_beam_is_nearer_to_its_limit_than_the_stored_image(p):
    field, geometry, acceptance = parts(p)
    depths, weights = BeamProfile(p["beam_fwhm"]).samples(3000)
    rays = ray_grid(geometry, tuple(p["shape"]), p["pixel"], depths, weights)
    per_phi, per_chi, _ = geometry.motor_vectors
    engine = Engine(field, geometry, rays, acceptance)
    limit = engine.images([p["phi"] * per_phi], [p["chi"] * per_chi])[0, 0]
    image = from_experiment(p)
    assert relative_difference(image, limit) < 5e-3
    assert relative_difference(image, limit) < relative_difference(p["image"], limit)


def from_experiment(p, depth_samples="auto"):
    """The engine's image at the depths of an experiment."""
    setup = assemble(
        Experiment().with_settings(
            [
                f"beam.height_fwhm_um={p['beam_fwhm']}",
                f"camera.pixels={p['shape']}",
                f"camera.pixel_nm={1e3 * p['pixel']}",
                f"camera.depth_samples={depth_samples}",
                "camera.oversampling=point",
                "objective.aperture_mrad=inf",
            ]
        )
    )
    field, geometry, acceptance = parts(p)
    np.testing.assert_allclose(setup.acceptance.covariance(), acceptance.covariance(), rtol=1e-9)
    per_phi, per_chi, _ = geometry.motor_vectors
    engine = Engine(field, geometry, setup.grids, setup.acceptance)
    return engine.images([p["phi"] * per_phi], [p["chi"] * per_chi])[0, 0]
