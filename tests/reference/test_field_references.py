"""Images of loops, and of lines in copper, against renderers that share no code with weakbeam."""

import json
from pathlib import Path

import numpy as np
import pytest
import renderer
from instruments import symmetric_acceptance
from media import cubic
from reference_cases import DEFAULT

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid

FOLDER = Path(__file__).parents[3] / "shared" / "reference" / "fields"
STORED = pytest.mark.skipif(not FOLDER.exists(), reason="no reference files")


def stored(name):
    p = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as file:
        return p, file["image"]


def orientation(p):
    return symmetric_orientation(UnitCell(*p["cell"]), p["hkl"], p["x_axis"])


def image(p, field):
    """The image of a field in the sample frame with the instrument of a case."""
    theta = bragg_angle(float(UnitCell(*p["cell"]).d_spacing(p["hkl"])), p["energy"])
    acceptance = symmetric_acceptance(
        theta=theta,
        bandwidth=p["bandwidth"],
        divergence_vertical=p["zeta_v"],
        clip=p["clip"] or np.inf,
        divergence_horizontal=p["zeta_h"],
        lens=p["acceptance"],
        aperture=p["aperture"] or np.inf,
    )
    geometry = symmetric_geometry(theta)
    sigma = p["beam_fwhm"] / 2.354820045
    depths = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weights = np.exp(-0.5 * (depths / sigma) ** 2)
    rays = ray_grid(
        geometry, tuple(p["shape"]), p["pixel"], depths, weights / weights.sum(), p["plane"]
    )
    per_phi, per_chi, per_arm = geometry.motor_vectors
    rock, roll = p["phi"] * per_phi + p["two_theta"] * per_arm, p["chi"] * per_chi
    return Engine(field, geometry, rays, acceptance).images([rock], [roll])[0, 0]


def loop(segments, p):
    rows = [[one[key] for one in segments] for key in ("from_um", "to_um", "b_um")]
    pieces = Segments.between(*rows).turned(orientation(p))
    return field_of(StraightLines.of([]), IsotropicMedium(p["poisson"]), segments=pieces)


@STORED
def test_a_line_in_copper_has_the_stored_image():
    p, expected = stored("stroh_Cu_60")
    turn = orientation(p)
    lines = StraightLines.of(
        [
            StraightLine(turn @ line["b_um"], turn @ line["t"], turn @ line["origin_um"])
            for line in p["field"]["lines"]
        ]
    )
    found = image(p, field_of(lines, cubic(*p["field"]["stiffness"]).turned(turn)))
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


@STORED
def test_a_loop_in_aluminium_has_the_stored_image():
    p, expected = stored("loop_Al")
    found = image(p, loop(p["field"]["segments"], p))
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("settings", [{}, {"phi": 1.4e-4, "chi": 2e-4}])
def test_a_loop_has_the_image_of_the_plain_renderer(settings):
    # A hexagon that lies tilted below the beam, by more than a tenth of a micrometre.
    p = (
        DEFAULT
        | {"lines": [], "shape": [16, 20], "pixel": 0.09, "plane": "vertical", "nz": 31}
        | settings
    )
    angle = np.pi / 3.0 * np.arange(6)
    corners = np.stack([0.9 * np.cos(angle), 0.7 * np.sin(angle), -0.45 + 0.1 * np.cos(angle)], 1)
    corners = corners @ orientation(p)
    b = 0.5 * p["cell"][0] * 1e-4 * np.array([1.0, 0.0, -1.0])
    p["segments"] = [
        {"from_um": start, "to_um": end, "b_um": b}
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    expected = renderer.image(p)
    found = image(p, loop(p["segments"], p))
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    perfect = renderer.image(p | {"segments": []})
    assert np.linalg.norm(found - perfect) > 0.02 * np.linalg.norm(perfect)
