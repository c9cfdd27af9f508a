"""An image of a line in anisotropic copper against a renderer that shares no code with weakbeam."""

import json
from pathlib import Path

import numpy as np
import pytest
from instruments import symmetric_acceptance
from media import cubic

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid

CASE = Path(__file__).parents[3] / "shared" / "reference" / "fields" / "stroh_Cu_60"


@pytest.mark.skipif(not CASE.with_suffix(".json").exists(), reason="no reference files")
def test_the_image_is_the_stored_one():
    p = json.loads(CASE.with_suffix(".json").read_text())
    with np.load(CASE.with_suffix(".npz")) as file:
        expected = file["image"]
    cell = UnitCell(*p["cell"])
    turn = symmetric_orientation(cell, p["hkl"], p["x_axis"])
    lines = StraightLines.of(
        [
            StraightLine(turn @ line["b_um"], turn @ line["t"], turn @ line["origin_um"])
            for line in p["field"]["lines"]
        ]
    )
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
    geometry = symmetric_geometry(theta)
    sigma = p["beam_fwhm"] / 2.354820045
    depths = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weights = np.exp(-0.5 * (depths / sigma) ** 2)
    rays = ray_grid(
        geometry, tuple(p["shape"]), p["pixel"], depths, weights / weights.sum(), p["plane"]
    )
    per_phi, per_chi, per_arm = geometry.motor_vectors
    rock, roll = p["phi"] * per_phi + p["two_theta"] * per_arm, p["chi"] * per_chi
    field = field_of(lines, cubic(*p["field"]["stiffness"]).turned(turn))
    image = Engine(field, geometry, rays, acceptance).images([rock], [roll])[0, 0]
    assert np.linalg.norm(image - expected) < 1e-4 * np.linalg.norm(expected)
