"""Files of dfxm-geo, key by key, become experiments that mean the same."""

import math
import tomllib

import numpy as np
import pytest

from weakbeam.assemble import assemble, assemble_all
from weakbeam.compat.conversion import convert, is_dfxm_geo
from weakbeam.compat.crystal import REMOUNTS
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.instrument.beam import FWHM_PER_SIGMA

ANALYTIC = '[reciprocal]\nbackend = "analytic"\nbeamstop = false\n'

OBLIQUE = """
[reciprocal]
hkl = [-1, -1, 3]
keV = 19.1
beamstop = false
[geometry]
mode = "oblique"
eta = {eta}
[crystal]
lattice = "cubic"
a = 4.0493e-10
"""


def conversion(text, **options):
    return convert(tomllib.loads(text), **options)


def experiment(text, **options):
    return conversion(text, **options).experiment


def about(notes, start):
    return [line for line in notes.lines if line.startswith(start)]


# ---------------------------------------------------------------- which files are meant


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_ours_are_no_files_of_dfxm_geo(name):
    assert not is_dfxm_geo(tomllib.loads(TEMPLATES[name].text))


@pytest.mark.parametrize(
    "text",
    [
        ANALYTIC,
        '[geometry]\nmode = "oblique"',
        "[scan.phi]\nvalue = 1e-4",
        "[scan.phi]\nrange = 1e-4\nsteps = 3",
        "[scan.two_dtheta]\nsteps = 3",
        '[crystal]\nmode = "wall"',
        "[crystal]\nslip_plane_normal = [1, 1, 1]",
        "[io]\n",
        '[detector]\nmodel = "ideal"',
        'mode = "single"',
        "[noise]\npoisson_noise = true",
    ],
)
def test_files_of_dfxm_geo_are_known_by_their_keys(text):
    assert is_dfxm_geo(tomllib.loads(text))


# ---------------------------------------------------------------- instrument


def test_an_empty_file_has_the_defaults_of_dfxm_geo():
    found = experiment("")
    sigma = found.beam.divergence_vertical_fwhm_mrad / FWHM_PER_SIGMA
    assert sigma == pytest.approx(0.53 / 2.355)
    assert found.beam.height_fwhm_um / FWHM_PER_SIGMA == pytest.approx(0.15 / 2.35)
    assert found.objective.acceptance_fwhm_mrad / FWHM_PER_SIGMA == pytest.approx(0.731 / 2.35)
    assert found.objective.aperture_mrad == pytest.approx(1.0323, abs=1e-4)
    assert found.camera.pixels == (170, 510)
    assert found.camera.model == "pco_edge"
    assert found.output.perfect_crystal
    (edge,) = assemble(found).dislocations
    assert edge.line.line == pytest.approx(assemble(Experiment()).dislocations[0].line.line)


def test_beam_and_lens():
    found = experiment(
        "[reciprocal]\nkeV = 19.1\nzeta_v_fwhm = 2.355e-4\nzeta_h_fwhm = 1e-5\nNA_rms = 1e-4\n"
        "eps_rms = 5e-5\nD = 1e-3\nd1 = 0.25\nzeta_v_clip = 1e-4\ndphi_range = 2e-5\n"
    )
    assert found.beam.energy_keV == 19.1
    assert found.beam.divergence_vertical_fwhm_mrad == pytest.approx(0.1 * FWHM_PER_SIGMA)
    assert found.beam.divergence_vertical_clip_mrad == pytest.approx(0.1)
    assert found.beam.divergence_horizontal_fwhm_mrad == pytest.approx(0.01, rel=1e-3)
    assert found.beam.bandwidth_rms == 5e-5
    assert found.objective.acceptance_fwhm_mrad == pytest.approx(0.1 * FWHM_PER_SIGMA)
    assert found.objective.aperture_mrad == pytest.approx(2.0)
    assert found.camera.phi_blur_mrad == pytest.approx(0.02)


def test_a_hole_passes_the_angles_that_it_passed():
    # Rays that dfxm-geo traces through its default stop have exit angles up to 93.9 µrad.
    acceptance = assemble(experiment("")).acceptance
    q_roll = np.array([93.7e-6, 94.1e-6]) / (2 * math.sin(acceptance.theta))
    inside, outside = acceptance.relative(np.c_[np.zeros(2), q_roll, np.zeros(2)])
    assert inside > 0.9
    assert outside == 0.0


@pytest.mark.parametrize(
    ("keys", "kind", "size"),
    [
        ("", "square_aperture", {"size_um": 50.0}),
        ("bs_height = 12.5e-3", "square_aperture", {"size_um": 25.0}),
        ("knife_edge = true", "knife_edge", {"position_um": 25.0, "side": "above"}),
        ("aperture = false", "wire", {"diameter_um": 50.0, "material": "W"}),
    ],
)
def test_stops(keys, kind, size):
    found = conversion(f"[reciprocal]\n{keys}\n")
    stop = found.experiment.objective.stop
    assert stop.kind == kind
    assert {name: getattr(stop, name) for name in size} == size
    assert about(found.notes, "reciprocal.bs_height")


def test_the_analytic_backend_has_neither_stop_nor_aperture():
    found = conversion(ANALYTIC)
    assert found.experiment.objective.stop is None
    assert found.experiment.objective.aperture_mrad == math.inf
    assert about(found.notes, "reciprocal.D, d1")


@pytest.mark.parametrize(
    ("text", "pixels", "pixel_um", "oversampling"),
    [
        ("", (170, 510), 0.04, 1),
        ("Npixels = 150\nNsub = 2", (50, 150), 0.04, 2),
        ("pixel_size = 6.5e-6\nmagnification = 100", (170, 510), 0.065, 1),
    ],
)
def test_pixels(text, pixels, pixel_um, oversampling):
    camera = experiment(f"[detector_geometry]\n{text}\n").camera
    assert camera.pixels == pixels
    assert camera.pixel_um == pytest.approx(pixel_um)
    assert camera.oversampling == ("point" if oversampling == 1 else oversampling)


def test_counts():
    found = experiment(
        '[detector]\nmodel = "pco_edge_4.2_id03"\nexposure_time = 0.5\ncounts_scale = 500\n'
        "rng_seed = 7\n"
    ).camera
    assert (found.model, found.exposure_s, found.counts_per_s, found.seed) == (
        "pco_edge",
        0.5,
        500.0,
        7,
    )
    assert experiment('[detector]\nmodel = "ideal"\n').camera.model == "ideal"


@pytest.mark.parametrize(
    "text",
    ["[noise]\npoisson_noise = true\nintensity_scale = 7.0\n", "[detector]\nNpixels = 272\n"],
)
def test_files_of_2_have_intensities(text):
    found = conversion(text)
    assert found.experiment.camera.model == "ideal"
    assert found.notes.ignored


# ---------------------------------------------------------------- scan


def test_axes():
    found = conversion(
        "[scan.phi]\nrange = 6e-4\nsteps = 61\n[scan.chi]\nvalue = 1e-3\n"
        "[scan.two_dtheta]\nvalue = 2e-4\nrange = 1e-4\nsteps = 5\n"
        "[scan.z]\nrange = 5.0\nsteps = 4\n"
    )
    scan = found.experiment.scan
    assert scan.phi.positions == pytest.approx(np.linspace(-0.6, 0.6, 61))
    assert scan.chi.positions == (1.0,)
    assert scan.two_theta.positions == pytest.approx(np.linspace(-0.3, -0.1, 5))
    assert scan.z.positions == pytest.approx(np.linspace(-5, 5, 4))
    (line,) = about(found.notes, "scan.two_dtheta")
    assert "opposite sign" in line
    assert "reversed order" in line


def test_degrees_are_suspected():
    (line,) = about(
        conversion("[scan.phi]\nrange = 0.0344\nsteps = 3\n").notes,
        "scan.phi",
    )
    assert "in rad" in line


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[scan.phi]\nrange = 1e-4", "scan.phi.steps"),
        ("[scan.phi]\nsteps = 3", "scan.phi.range"),
        ("[scan.phi]\nrange = 1e-4\nsteps = 1", "scan.phi.steps"),
        ('[scan.phi]\nvalue = "a"', "scan.phi.value"),
        ("[scan.phi]\nvalue = nan", "scan.phi.value"),
        ("[scan]\nphi = 3", "scan.phi"),
        ("[reciprocal]\nhkl = [1, 1]", "reciprocal.hkl"),
        ("[reciprocal]\nhkl = [0, 0, 0]", "reciprocal.hkl"),
        ("[reciprocal]\nhkl = [9, 9, 9]", "reciprocal.hkl"),
        ("[reciprocal]\nbeamstop = 1", "reciprocal.beamstop"),
        ('[reciprocal]\nbackend = "x"', "reciprocal.backend"),
        ("reciprocal = 3", "reciprocal"),
        ('[crystal]\nmode = "x"', "crystal.mode"),
        ('[crystal]\nmode = "wall"', "crystal.wall.dis"),
        ("[crystal.centered]\nb = [1, 0, 0]", "crystal.centered.n"),
        ("[crystal.centered]\nt = [1, 0, -1]", "crystal.centered.t"),
        (
            '[crystal]\nmode = "wall"\n[crystal.wall]\nsample_remount = "S5"',
            "crystal.wall.sample_remount",
        ),
        ('[crystal]\nlattice = "tetragonal"\na = 4e-10', "crystal.c"),
        ('[geometry]\nmode = "x"', "geometry.mode"),
        (OBLIQUE.format(eta=0.1), "geometry.eta"),
        ('[detector]\nmodel = "pco_ff"', "detector.model"),
        ("[detector_geometry]\npixel_size = 1e-6", "detector_geometry.magnification"),
        ("[detector_geometry]\nNpixels = 12", "detector_geometry.Npixels"),
        ("[[reflections]]\nfoo = 1", None),
    ],
)
def test_mistakes_are_told_in_one_line(text, key):
    if key is None:
        assert about(conversion(text).notes, "reflections")
        return
    with pytest.raises(InputError) as raised:
        conversion(text)
    assert raised.value.key == key
    assert "\n" not in str(raised.value)


def test_unknown_keys_are_noted():
    notes = conversion("[reciprocal]\nzeta_v_fwmh = 1e-4\n[extra]\nx = 1\n").notes
    (line,) = about(notes, "reciprocal.zeta_v_fwmh")
    assert "did you mean reciprocal.zeta_v_fwhm?" in line
    assert about(notes, "extra")


# ---------------------------------------------------------------- crystals and defects


def test_the_line_does_not_depend_on_its_given_sign():
    text = "[crystal.centered]\nb = [1, -1, 0]\nn = [1, 1, 1]\nt = {}\n"
    one, other = conversion(text.format([1, 1, -2])), conversion(text.format([-1, -1, 2]))
    assert one.tree["defects"] == other.tree["defects"]
    assert about(one.notes, "crystal.centered.t")
    assert not about(other.notes, "crystal.centered.t")
    (line,) = assemble(one.experiment).dislocations
    crystal = assemble(one.experiment).sample_from_crystal.T @ line.line.line
    assert crystal == pytest.approx(np.array([-1, -1, 2]) / math.sqrt(6))


@pytest.mark.parametrize(("count", "shift"), [(7, 0.0), (4, -0.35)])
def test_walls(count, shift):
    found = experiment(
        f'[crystal]\nmode = "wall"\n[crystal.wall]\ndis = 0.7\nndis = {count}\n'
        'sample_remount = "S1"\n'
    )
    (wall,) = found.defects
    assert (wall.kind, wall.count, wall.spacing_um) == ("wall", count, 0.7)
    normal = assemble(found).sample_from_crystal @ np.array([1, 1, -1]) / math.sqrt(3)
    assert np.array(wall.position_um) == pytest.approx(shift * normal, abs=1e-9)


@pytest.mark.parametrize("name", REMOUNTS)
def test_remounts_are_reflections_with_their_planes_up(name):
    found = experiment(
        f'[crystal]\nmode = "wall"\n[crystal.wall]\ndis = 1\nndis = 7\nsample_remount = "{name}"\n'
    )
    setup = assemble(found)
    planes, x_axis = REMOUNTS[name]
    up = setup.sample_from_crystal @ np.array(planes)
    assert up == pytest.approx([0, 0, math.sqrt(3)], abs=1e-12)
    along = setup.sample_from_crystal @ np.array(x_axis)
    assert along == pytest.approx([math.sqrt(2), 0, 0], abs=1e-12)


def test_random_dislocations_are_those_that_dfxm_geo_draws():
    found = experiment(
        '[crystal]\nmode = "random_dislocations"\n[crystal.random_dislocations]\nndis = 5\n'
        "seed = 1\nsigma = 1.5\n"
    )
    setup = assemble(found)
    lines = [placed.line for placed in setup.dislocations]
    lab = np.array([line.position for line in lines]) @ setup.geometry.lab_from_sample.T
    assert lab == pytest.approx(
        np.array(
            [
                [0.5183762880971791, 1.2324272152517375, 0],
                [0.4956556142750807, -1.9547358474065413, 0],
                [1.3580338000096766, 0.6695618585460169, 0],
                [-0.8054298530404278, 0.8716771562945297, 0],
                [0.5468585942791135, 0.441198744983289, 0],
            ]
        ),
        abs=1e-9,
    )
    seen = [(d.burgers, d.plane) for d in found.defects]
    assert seen == [
        ((1, -1, 0), (1, 1, -1)),
        ((0, 1, 1), (1, 1, -1)),
        ((1, -1, 0), (1, 1, -1)),
        ((0, 1, -1), (-1, 1, 1)),
        ((0, 1, 1), (1, 1, -1)),
    ]


def test_a_least_distance_is_kept():
    text = (
        '[crystal]\nmode = "random_dislocations"\n[crystal.random_dislocations]\nndis = 20\n'
        "seed = 3\nsigma = {}\nmin_distance = 1.0\n"
    )
    found = experiment(text.format(2.0))
    places = np.array([d.position_um for d in found.defects])
    apart = np.linalg.norm(places[:, None] - places, axis=-1)[np.triu_indices(20, 1)]
    assert apart.min() >= 1.0
    with pytest.raises(InputError, match="leaves no room"):
        conversion(text.format(0.3))


def test_without_a_seed_the_population_is_drawn_here():
    found = conversion(
        '[crystal]\nmode = "random_dislocations"\n[crystal.random_dislocations]\nndis = 4\n'
    )
    (population,) = found.experiment.defects
    assert (population.kind, population.count) == ("random", 4)
    assert population.sigma_um == pytest.approx(5.1)


def test_boundaries():
    text = '[crystal]\nmode = "gnb"\n[crystal.gnb]\ntheta_deg = 0.05\nextent_um = 25.0\n'
    found = conversion(text + 'recipe = "leds_eq11"\nmax_dislocations = 100\n')
    (boundary,) = found.experiment.defects
    assert (boundary.recipe, boundary.angle_deg, boundary.extent_um) == ("leds_eq11", 0.05, 25.0)
    assert about(found.notes, "mixed dislocations")
    own = experiment(
        text + 'recipe = "custom"\n[crystal.gnb.custom]\nn = [1, 1, 1]\na = [1, 1, 1]\n'
        "[[crystal.gnb.custom.set]]\nb = [1, 0, -1]\nxi = [2, -1, -1]\nslip_plane = [1, 1, 1]\n"
        "rel_density = 1.0\n"
        "[[crystal.gnb.custom.set]]\nb = [0, 1, -1]\nxi = [-1, 2, -1]\nslip_plane = [1, 1, 1]\n"
    )
    assert [s.line for s in own.defects[0].sets] == [(2, -1, -1), (-1, 2, -1)]
    assert assemble(own).defects


@pytest.mark.parametrize(("eta", "omega"), [(0.353140, 0.112252), (-0.353140, 4.600137)])
def test_eta_chooses_the_rotation(eta, omega):
    setup = assemble(experiment(OBLIQUE.format(eta=eta)))
    assert setup.motors["omega"] == pytest.approx(omega, abs=1e-5)
    assert setup.geometry.theta == pytest.approx(0.26907456, abs=1e-7)


def test_without_eta_the_smaller_rotation_is_taken():
    text = OBLIQUE.replace("eta = {eta}\n", "")
    found = conversion(text)
    assert assemble(found.experiment).motors["omega"] == pytest.approx(0.112252, abs=1e-5)
    assert about(found.notes, "geometry.eta")


def test_reflections_share_the_mount():
    text = OBLIQUE.format(eta=0) + "[[reflections]]\nhkl = [-1, -1, 3]\neta = -0.35314\n"
    setups = assemble_all(experiment(text + "[[reflections]]\nhkl = [1, 1, 3]\n"))
    assert [s.motors["omega"] for s in setups] == pytest.approx([4.600137, 1.458544], abs=1e-5)


def test_groups_at_an_azimuth():
    found = experiment(OBLIQUE.format(eta=0) + "[reflections_auto]\neta_target = 0.353125\n")
    assert {r.hkl for r in found.reflections} == {(1, 1, 3), (1, -1, 3), (-1, -1, 3), (-1, 1, 3)}
    assert all(s.geometry.eta == pytest.approx(0.353125, abs=1e-5) for s in assemble_all(found))


@pytest.mark.parametrize(
    ("keys", "a", "poisson_ratio"),
    [
        ('material = "Fe"\nstructure_type = "bcc"\na = 2.87e-10', 2.87, 0.29),
        ('structure_type = "bcc"\na = 2.87e-10\npoisson_ratio = 0.3', 2.87, 0.3),
        ('material = "Cu"', 3.6149, 0.34),
        ("a = 4.05e-10\npoisson_ratio = 0.3", 4.05, 0.3),
        ('space_group = "I m -3 m"\na = 2.87', 2.87, 0.334),
    ],
)
def test_cells(keys, a, poisson_ratio):
    text = '[reciprocal]\nhkl = [2, 0, 0]\n[crystal]\nmode = "random_dislocations"\n'
    found = experiment(f"{text}{keys}\n[crystal.random_dislocations]\nndis = 2\nseed = 1\n")
    setup = assemble(found)
    assert setup.crystal.cell.a == pytest.approx(a, abs=2e-3)
    assert found.crystal.poisson_ratio in (poisson_ratio, None)


# ---------------------------------------------------------------- the rest


def test_output():
    found = conversion(
        '[io]\nftype = ".npy"\nfn_prefix = "/x"\ninclude_perfect_crystal = false\nmax_workers = 4\n'
        "write_strain_provenance = true\n[postprocess]\nenabled = false\nchi_oversample = 20\n"
    )
    output = found.experiment.output
    assert (output.perfect_crystal, output.field, output.figures) == (False, True, False)
    ignored = {line.partition(":")[0] for line in found.notes.ignored}
    assert {"io.ftype", "io.fn_prefix", "io.max_workers", "postprocess.chi_oversample"} <= ignored


def test_kernels_are_ignored_with_a_reason():
    notes = conversion(
        "[reciprocal]\nNrays = 100\nnpoints1 = 4\nqi3_range = 1e-3\ntheta = 0.1\n"
    ).notes
    assert len(notes.ignored) == 4
    assert all("ignored: " in line for line in notes.ignored)


def test_the_text_is_the_experiment():
    found = conversion("[scan.phi]\nrange = 6e-4\nsteps = 61\n")
    assert Experiment.from_toml_text(found.toml) == found.experiment


def test_reproducing_asks_for_points_burgers_vectors_and_cores():
    found = experiment(ANALYTIC, reproduce=True)
    assert found.compatibility.dfxm_geo_projection
    assert found.crystal.core_radius_nm == 0.0
    assert found.defects[0].burgers_nm == 0.2862
    assert found.camera.depth_samples == 17
    assert assemble(found).grids[0].along_ray == pytest.approx(assemble(found).grids[0].height_axis)
    with pytest.raises(InputError, match="cannot be reproduced"):
        conversion(OBLIQUE.format(eta=0.35314), reproduce=True)
