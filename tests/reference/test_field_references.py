"""Images of loops, and of lines in copper, against renderers that share no code with weakbeam."""

import json
from pathlib import Path

import numpy as np
import pytest
import renderer
from instruments import symmetric_acceptance
from media import cubic
from reference_cases import DEFAULT

from weakbeam import Experiment, simulate
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.experiment import Network
from weakbeam.experiment.defects import Dislocation
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


def described(p, crystal, defect):
    """A case as a user writes it, with everything else as it is by default."""
    return Experiment(
        crystal={"x_axis": tuple(p["x_axis"]), "core_radius_nm": 0.0} | crystal,
        defects=(defect,),
        reflection={"hkl": tuple(p["hkl"])},
    ).with_settings(
        [
            f"camera.pixels={p['shape']}",
            f"camera.pixel_nm={1e3 * p['pixel']}",
            f"beam.height_fwhm_um={p['beam_fwhm']}",
            f"scan.phi.value_mrad={1e3 * p['phi']}",
        ]
    )


@STORED
@pytest.mark.parametrize("oversampling", ["auto", "point"])
@pytest.mark.parametrize("name", ["loop_Al", "stroh_Cu_60"])
def test_the_defaults_have_the_stored_images(tmp_path, name, oversampling):
    # Averages over pixels of 40 nm, and samples that are chosen, beside one ray for each.
    p, expected = stored(name)
    if name == "loop_Al":
        rows = [[*s["from_um"], *s["to_um"], *s["b_um"]] for s in p["field"]["segments"]]
        lines = ["x0,y0,z0,x1,y1,z1,bx,by,bz", *(",".join(map(repr, row)) for row in rows)]
        (tmp_path / "loop.csv").write_text("\n".join(lines))
        crystal = {"material": "Al", "poisson_ratio": p["poisson"]}
        defect = Network(file=str(tmp_path / "loop.csv"))
    else:
        c11, c12, c44 = p["field"]["stiffness"]
        crystal = {
            "material": "Cu",
            "cell": {"a": p["cell"][0]},
            "elasticity": "anisotropic",
            "stiffness_GPa": {"c11": c11, "c12": c12, "c44": c44},
        }
        (line,) = p["field"]["lines"]
        defect = Dislocation(
            plane=(1, 1, 1),
            burgers=(1, 0, -1),
            line=(2, -1, -1),
            position_um=tuple(orientation(p) @ line["origin_um"]),
        )
    experiment = described(p, crystal, defect).with_settings(
        [f"camera.oversampling='{oversampling}'"]
    )
    found = simulate(experiment, workers=1).images.values.reshape(expected.shape)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


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
