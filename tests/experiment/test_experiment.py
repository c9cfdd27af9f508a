import copy
import math
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.experiment import (
    Acceptance,
    AngleAxis,
    Beam,
    Camera,
    Cell,
    CentralStop,
    Crystal,
    Dislocation,
    Experiment,
    HeightAxis,
    KnifeEdge,
    Lens,
    Objective,
    RoundAperture,
    Scan,
    SpectralLine,
    SquareAperture,
    Wire,
)
from weakbeam.experiment.camera import CameraFile
from weakbeam.experiment.presets import preset_names, preset_text
from weakbeam.experiment.sweep import Manifest
from weakbeam.experiment.tables import Table

ID06_LENS = Lens(lenslets=88, radius_um=50, pitch_mm=1.6, distance_m=0.274)
STOPS = (
    SquareAperture(size_um=25),
    RoundAperture(diameter_um=1 / 3),
    KnifeEdge(position_um=-20, side="below", axis="roll"),
    KnifeEdge(),
    CentralStop(size_um=25),
    Wire(diameter_um=30),
)

# The file of the contract: every default written out by hand.
DEFAULT_FILE = """
preset = "id06"
[crystal]
material = "Al"
elasticity = "isotropic"
x_axis = [1, 0, -1]
[reflection]
hkl = [-1, 1, -1]
geometry = "symmetric"
[beam]
energy_keV = 17.0
bandwidth_rms = 6.0e-5
divergence_vertical_fwhm_mrad = 0.53
divergence_vertical_profile = "gaussian"
divergence_vertical_clip_mrad = 0.14
divergence_horizontal_fwhm_mrad = 0.0
height_fwhm_um = 0.15
profile = "gaussian"
[objective]
acceptance_fwhm_mrad = 0.731
aperture_mrad = 1.0323
vignetting = false
[camera]
pixels = [170, 510]
pixel_nm = 40.0
plane = "vertical"
oversampling = "auto"
depth_samples = "auto"
accuracy = 0.005
rotation_deg = 0
binning = 1
model = "ideal"
exposure_s = 1.0
phi_blur_mrad = 0.0
counts_per_s = 1000
transmission = 1.0
seed = 0
[[defects]]
kind = "dislocation"
plane = [1, 1, 1]
burgers = [1, 0, -1]
line = [1, -2, 1]
position_um = [0, 0, 0]
[scan]
order = "rewind"
continuous = false
[scan.phi]
value_mrad = 0
[scan.chi]
value_mrad = 0
[scan.two_theta]
value_mrad = 0
[scan.strain]
value_mrad = 0
[scan.z]
value_um = 0
[acceptance]
method = "closed-form"
rays = 100000000
bins = [400, 200, 200]
seed = 0
[output]
perfect_crystal = false
field = false
compression = "gzip"
layout = "single"
figures = true
"""

CELL = "cell = { a = 3, b = 3, c = 5, alpha = 90, beta = 90, gamma = 120 }"
DEFECT = "[[defects]]\nburgers = [1, 0, -1]\n"
WIRE = '[objective.stop]\nkind = "wire"\ndiameter_um = 30'
LENS = "[objective]\nlens = { lenslets = 88, radius_um = 50, pitch_mm = 1.6%s }"
TABULATED = '[beam]\nprofile = "tabulated"\nprofile_um = %s\nprofile_intensity = %s'

# text of the file, key named, value shown ("" where there is none), what is allowed
BAD_FILES = [
    # misspelt and misplaced keys
    ("[beam]\nenergy_kev = 19", "beam.energy_kev", "19", "did you mean beam.energy_keV?"),
    ("[beam]\nenergy = 19", "beam.energy", "19", "did you mean beam.energy_keV?"),
    ("energy_keV = 19", "energy_keV", "19", "did you mean beam.energy_keV?"),
    ("[camera]\nhkl = [1, 1, 1]", "camera.hkl", "[1, 1, 1]", "did you mean reflection.hkl?"),
    ("[beams]\nenergy_keV = 19", "beams", "", "did you mean beam?"),
    ("[scan.theta]\nsteps = 3", "scan.theta", "", "did you mean scan.two_theta?"),
    ("[scan.phi]\nstep = 3", "scan.phi.step", "3", "did you mean scan.phi.steps?"),
    (DEFECT + "lines = [1, 1, 1]", "defects[0].lines", "[1, 1, 1]", "mean defects[0].line?"),
    ("[output]\nzzz = 1", "output.zzz", "1", "[output] has perfect_crystal, field,"),
    ('"a b" = 1', '"a b"', "1", "unknown key; the file has preset, crystal, reflection,"),
    ("[reflection]\nhkl_list = 1", "reflection.hkl_list", "1", "did you mean reflection.hkl?"),
    # wrong types
    ('[beam]\nenergy_keV = "17"', "beam.energy_keV", "'17'", "a number from 1 to 1000"),
    ("[beam]\nenergy_keV = true", "beam.energy_keV", "True", "a number from 1 to 1000"),
    ("[beam]\nenergy_keV = [17]", "beam.energy_keV", "[17]", "a number from 1 to 1000"),
    ("[beam]\nenergy_keV = 2020-01-01", "beam.energy_keV", "date", "a number from 1 to 1000"),
    ("[beam]\nprofile = 3", "beam.profile", "3", '"gaussian", "box" or "tabulated"'),
    ('[camera]\nmodel = "pco"', "camera.model", "'pco'", '"ideal", "pco_edge" or "file"'),
    ("[camera]\npixels = 100", "camera.pixels", "100", "two integers from 1 to 100000"),
    ("[camera]\npixels = [1, 2, 3]", "camera.pixels", "[1, 2, 3]", "two integers"),
    ("[camera]\npixels = [170.0, 5]", "camera.pixels", "[170.0, 5]", "two integers"),
    ("[camera]\noversampling = 1.5", "camera.oversampling", "1.5", "an integer from 1 to 64"),
    ('[camera]\ndepth_samples = "many"', "camera.depth_samples", "'many'", '"auto", or an integer'),
    ("[output]\nfigures = 1", "output.figures", "1", "true or false"),
    ("[crystal]\nmaterial = 13", "crystal.material", "13", "the name of a material"),
    ("[reflection]\nhkl = [1, 1]", "reflection.hkl", "[1, 1]", "three integers"),
    ('[reflection]\nhkl = ["1", 1, 1]', "reflection.hkl", "['1', 1, 1]", "three integers"),
    ("[scan.phi]\nvalues_mrad = 3", "scan.phi.values_mrad", "3", "a list of numbers"),
    (
        "[scan.phi]\nvalues_mrad = [0, 1, 2, 'x']",
        "scan.phi.values_mrad[3]",
        "'x'",
        "list of number",
    ),
    ("beam = 3", "beam", "3", "must be a table"),
    ("scan.phi = 3", "scan.phi", "3", "must be a table"),
    ("[defects]\nburgers = [1, 0, -1]", "defects", "", "list of tables, each written [[defects]]"),
    ("defects = [3]", "defects[0]", "3", "must be a table"),
    # numbers that are none, or out of range
    ("[beam]\nenergy_keV = nan", "beam.energy_keV", "nan", "a number from 1 to 1000"),
    ("[beam]\nenergy_keV = inf", "beam.energy_keV", "inf", "a number from 1 to 1000"),
    ("[beam]\nenergy_keV = -17", "beam.energy_keV", "-17", "a number from 1 to 1000"),
    ("[beam]\nbandwidth_rms = 0", "beam.bandwidth_rms", "0", "a number from 1e-6 to 0.1"),
    ("[objective]\naperture_mrad = nan", "objective.aperture_mrad", "nan", "100, or inf"),
    ("[objective]\naperture_mrad = -inf", "objective.aperture_mrad", "-inf", "100, or inf"),
    ("[camera]\npixels = [0, 5]", "camera.pixels", "[0, 5]", "two integers from 1 to 100000"),
    ("[camera]\npixel_nm = -40", "camera.pixel_nm", "-40", "a number from 0.1 to 1e6"),
    ("[camera]\nexposure_s = 0", "camera.exposure_s", "0", "a number from 1e-9 to 1e9"),
    ("[camera]\nexposure_s = nan", "camera.exposure_s", "nan", "a number from 1e-9 to 1e9"),
    ("[camera]\ntransmission = 1.5", "camera.transmission", "1.5", "a number from 1e-12 to 1"),
    ("[camera]\nrotation_deg = 45", "camera.rotation_deg", "45", "0, 90, 180 or 270"),
    ("[camera]\nbinning = 4", "camera.binning", "4", "must divide the numbers of pixels"),
    ("[camera]\nregion = [0, 0, 171, 1]", "camera.region", "[0, 0, 171, 1]", "170 rows and 510"),
    ("[camera]\nregion = [0, 0, 0, 1]", "camera.region", "[0, 0, 0, 1]", "from 1"),
    ("[camera]\ndark_frames = 3", "camera.dark_frames", "3", "needs a camera that counts"),
    ("[camera]\nflat_counts = 9", "camera.flat_counts", "9", "needs flat_frames"),
    ('[camera]\nmodel = "file"', "camera.file", "", 'missing; model = "file" needs it'),
    ('[camera]\nfile = "a.toml"', "camera.file", "'a.toml'", 'needs model = "file"'),
    (
        "[camera]\ncounts_per_s = 10\nphotons_per_s = 5",
        "camera.photons_per_s",
        "5",
        "give either counts_per_s or photons_per_s",
    ),
    ("[camera]\nseed = -1", "camera.seed", "-1", "an integer from 0"),
    ("[crystal]\npoisson_ratio = 0.5", "crystal.poisson_ratio", "0.5", "less than 0.5"),
    ('[crystal]\nelasticity = "cubic"', "crystal.elasticity", "'cubic'", '"anisotropic"'),
    ("[crystal]\nstiffness_GPa = 3", "crystal.stiffness_GPa", "3", "6 rows of 6 numbers"),
    ("[crystal]\nstiffness_GPa = { C11 = 1.0 }", "crystal.stiffness_GPa", "", "{ c11 = 168.4,"),
    ("[crystal]\nstiffness_GPa = { c11 = 1e6 }", "crystal.stiffness_GPa", "", "none beyond 1e5"),
    ("[crystal]\nstiffness_GPa = [[1, 2]]", "crystal.stiffness_GPa", "[[1, 2]]", "6 rows of 6"),
    (
        f'[crystal]\n{CELL}\nspace_group = "P 63/m m c"\npoisson_ratio = 0.3\n'
        'elasticity = "anisotropic"',
        "crystal.stiffness_GPa",
        "",
        "missing; anisotropic elasticity of a cell without a material needs it",
    ),
    ("[crystal]\ncore_radius_nm = -1", "crystal.core_radius_nm", "-1", "a number from 0 to"),
    ("[reflection]\nhkl = [0, 0, 0]", "reflection.hkl", "[0, 0, 0]", "not all 0"),
    (
        "[[defects]]\nburgers = [0, 0, 0]\nline = [1, 0, 0]",
        "defects[0].burgers",
        "[0, 0, 0]",
        "not",
    ),
    (DEFECT + "line = [0, 0, 0.0]", "defects[0].line", "[0, 0, 0.0]", "not all 0"),
    (DEFECT + "line = [0, nan, 1]", "defects[0].line", "[0, nan, 1]", "three numbers"),
    ("[scan.phi]\nhalf_range_mrad = 1\nsteps = 0", "scan.phi.steps", "0", "an integer from 1 to"),
    ("[scan.phi]\nvalues_mrad = []", "scan.phi.values_mrad", "[]", "at least one"),
    ('[reflection]\ngeometry = "tilted"', "reflection.geometry", "'tilted'", '"symmetric"'),
    # keys that belong together, or exclude each other
    ("[[defects]]\nline = [1, 0, 0]", "defects[0].burgers", "", "missing; must be three integers"),
    (DEFECT, "defects[0].line", "", "missing; give line, or plane and angle_deg"),
    (DEFECT + "character_deg = 30", "defects[0].plane", "", "missing; character_deg is an angle"),
    (
        DEFECT + "plane = [1, 1, 1]\nline = [1, 0, 0]\ncharacter_deg = 30",
        "defects[0].character_deg",
        "30",
        "give either line or character_deg",
    ),
    ("[scan.phi]", "scan.phi.value_mrad", "", "missing; give one of value_mrad; half_range_mrad"),
    ("[scan.phi]\nsteps = 3", "scan.phi.half_range_mrad", "", "a range is half_range_mrad and"),
    ("[scan.z]\nhalf_range_um = 3", "scan.z.steps", "", "a range is half_range_um and steps"),
    ("[scan.z]\nvalue_um = 3\nsteps = 3", "scan.z.steps", "3", "give one of value_um;"),
    ("[scan.chi]\nvalue_mrad = 3\nvalues_mrad = [1]", "scan.chi.values_mrad", "[1]", "give one"),
    ("[camera]\nmagnification = 10", "camera.camera_pixel_um", "", "missing; give pixel_nm, or"),
    (
        "[camera]\npixel_nm = 40\ncamera_pixel_um = 6.5\nmagnification = 10",
        "camera.pixel_nm",
        "40",
        "give either pixel_nm, or camera_pixel_um and magnification",
    ),
    ("[crystal]\n" + CELL, "crystal.space_group", "", "a cell without a material needs it"),
    (f'[crystal]\n{CELL}\nspace_group = "P 63/m m c"', "crystal.poisson_ratio", "", "needs it"),
    ("[crystal]\ncell = { a = 3 }", "crystal.space_group", "", "a cell without a material needs"),
    ("[crystal]\ncell = { c = 3 }", "crystal.cell.a", "", "missing; must be a number"),
    (
        "[crystal]\ncell = { a = 0.405 }",
        "crystal.cell.a",
        "0.405",
        "must be a number from 1.5 to 1000 in angstrom, such as 4.05 for 0.405 nm",
    ),
    (
        "[crystal]\ncell = { a = 3, b = 3, c = 3, alpha = 150, beta = 60, gamma = 60 }",
        "crystal.cell.alpha",
        "150",
        "no cell closes",
    ),
    # the instrument
    ('preset = "id07"', "preset", "'id07'", '"id06", "id06-2021", "id03" or "id06-oblique"'),
    ("preset = 3", "preset", "3", '"id06", "id06-2021"'),
    ("[objective]\nstop = 3", "objective.stop", "3", "must be a table"),
    ("[objective.stop]\nsize_um = 3", "objective.stop.kind", "", 'missing; must be "square_ap'),
    ('[objective.stop]\nkind = "wir"', "objective.stop.kind", "'wir'", '"central_stop" or "wire"'),
    ('[objective.stop]\nkind = "wire"', "objective.stop.diameter_um", "", "missing; must be a num"),
    (WIRE.replace("30", "-1"), "objective.stop.diameter_um", "-1", "a number from 0.001 to"),
    (WIRE.replace("30", "0"), "objective.stop.diameter_um", "0", "a number from 0.001 to"),
    (
        WIRE + "\nsize_um = 1",
        "objective.stop.size_um",
        "1",
        "did you mean objective.stop.position_um",
    ),
    (WIRE + '\naxis = "chi"', "objective.stop.axis", "'chi'", '"two_theta" or "roll"'),
    ("[objective]\nlens = 3", "objective.lens", "3", "must be a table"),
    (LENS % "", "objective.lens.distance_m", "", "missing; give distance_m, or magnification"),
    (
        LENS % ", distance_m = 1, magnification = 3",
        "objective.lens.magnification",
        "3",
        "give either distance_m or magnification",
    ),
    (LENS % ", distance_m = -1", "objective.lens.distance_m", "-1", "a number from 0.0001 to 10"),
    ("[beam]\nspectrum = []", "beam.spectrum", "[]", "a list of one or more tables"),
    ("[[beam.spectrum]]\nweight = 1", "beam.spectrum[0].rms", "", "missing; must be a number"),
    (
        "[beam]\nspectrum = [{rms = 1e-4}, {rms = 1e-4, weight = -1}]",
        "beam.spectrum[1].weight",
        "-1",
        "a number from 1e-9 to",
    ),
    (
        "[beam]\nbandwidth_rms = 1e-4\nspectrum = [{ rms = 1e-4 }]",
        "beam.bandwidth_rms",
        "0.0001",
        "give either bandwidth_rms or spectrum",
    ),
    ("[beam]\nprofile_um = [0, 1]", "beam.profile_um", "[0, 1]", 'needs profile = "tabulated"'),
    ('[beam]\nprofile = "tabulated"', "beam.profile_um", "", "a tabulated profile needs it"),
    (TABULATED % ([0, 0], [0, 1]), "beam.profile_um", "[0, 0]", "must increase"),
    (TABULATED % ([0, 1], [0, 0]), "beam.profile_intensity", "[0, 0]", "must not all be 0"),
    (TABULATED % ([0, 1], [-1, 1]), "beam.profile_intensity", "[-1, 1]", "from 0 to 1e30, at lea"),
    (TABULATED % ([0, 1], [1, 1, 1]), "beam.profile_intensity", "[1, 1, 1]", "each of the 2 heig"),
    ("[camera]\nphi_blur_mrad = -1", "camera.phi_blur_mrad", "-1", "a number from 0 to 100"),
    ('[acceptance]\nmethod = "kernel"', "acceptance.file", "", 'method = "kernel" needs it'),
    ('[acceptance]\nfile = "k.h5"', "acceptance.file", "'k.h5'", 'needs method = "kernel"'),
    ("[acceptance]\nrays = 1.5", "acceptance.rays", "1.5", "an integer from 1 to"),
    ("[acceptance]\nrays = 0", "acceptance.rays", "0", "an integer from 1 to"),
    ("[acceptance]\nbins = [400, 0, 200]", "acceptance.bins", "[400, 0, 200]", "three integers"),
]


@pytest.mark.parametrize(("text", "key", "value", "allowed"), BAD_FILES)
def test_a_mistake_is_told_in_one_line(text, key, value, allowed):
    with pytest.raises(InputError) as caught:
        Experiment.from_toml_text(text)
    message = str(caught.value)
    place, _, said = message.partition(": ")
    assert place.split(" = ")[0] == key
    assert place == key if not value else value in place.removeprefix(f"{key} = ")
    assert allowed in said
    assert len(message.splitlines()) == 1
    assert "more mistake" not in message or key == "crystal.cell.b"
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[beam", "(at line 1, column 6)"),
        ("[beam]\nenergy_keV =\n", "(at line 2, column 13)"),
        ("[beam]\nenergy_keV = 17 keV", "line 2, column 17"),
        ("a = 1\na = 2", "line 2, column 6)"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "limit"),
        ("a = 1\x00", "line 1"),
    ],
)
def test_syntax_is_told_with_line_and_column(text, said):
    with pytest.raises(InputError) as caught:
        Experiment.from_toml_text(text, source="my.toml")
    assert str(caught.value).startswith("my.toml: must be TOML; ")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n", b"\xff\xfe[\x00b\x00", b"a = '\xe9'"])
def test_a_binary_file_is_refused(tmp_path, content):
    path = tmp_path / "image.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"image\.h5: must be a TOML text in UTF-8; byte \d+ is"):
        Experiment.from_toml(path)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read: No such file"):
        Experiment.from_toml(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Experiment.from_toml(tmp_path)
    with pytest.raises(InputError, match="cannot be read: embedded null"):
        Experiment.from_toml("a\0b")


def test_a_huge_file_is_refused_unread():
    with pytest.raises(InputError, match=r"/dev/zero: too large; .* at most 64 MiB"):
        Experiment.from_toml("/dev/zero")


def test_further_mistakes_are_counted():
    with pytest.raises(InputError) as caught:
        Experiment.from_toml_text("[beam]\nenergy_keV = 0\nprofle = 1\n[scan.phi]\nsteps = 0")
    assert str(caught.value) == (
        "beam.profle = 1: unknown key; did you mean beam.profile? (and 2 more mistakes)"
    )


def test_huge_integers_do_not_break_the_message():
    with pytest.raises(InputError, match=r"^beam\.energy_keV: must be a number"):
        Experiment.from_toml_text("[beam]\nenergy_keV = 0x" + "f" * 6000)


@pytest.mark.parametrize(
    "text", ["", "\n# nothing\n", "[scan]\n[beam]", "\ufeff", DEFAULT_FILE, "scan.phi.value_mrad=0"]
)
def test_defaults(tmp_path, text):
    path = tmp_path / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    assert Experiment.from_toml(path) == Experiment()
    assert Experiment.from_toml(str(path)).digest == Experiment().digest


def test_resolved_text_spells_every_default_out():
    lines = [line for line in Experiment().to_toml().splitlines() if line]
    expected = DEFAULT_FILE.strip().replace("= 1000\n", "= 1000.0\n")
    expected = expected.replace("value_mrad = 0", "value_mrad = 0.0")
    assert lines == expected.replace("value_um = 0", "value_um = 0.0").splitlines()


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(defects=()),
        Experiment(objective=Objective(aperture_mrad=math.inf)),
        Experiment(beam=Beam(divergence_vertical_clip_mrad=math.inf, bandwidth_rms=0.1 / 3)),
        Experiment(scan=Scan(phi=AngleAxis(values_mrad=(0.1 + 0.2, -0.0, 5e-324, 1e-300)))),
        Experiment(scan=Scan(z=HeightAxis(half_range_um=2, steps=5, center_um=-0.0))),
        Experiment(camera=Camera(camera_pixel_um=6.5, magnification=17.31)),
        *(Experiment(preset=name) for name in preset_names()),
        Experiment(preset="id03", camera=Camera(pixel_nm=75)),
        Experiment(preset="id06-2021", objective=Objective(lens=ID06_LENS)),
        Experiment(objective=Objective(lens=ID06_LENS, aperture_mrad=math.inf)),
        *(Experiment(objective=Objective(stop=stop)) for stop in STOPS),
        Experiment(
            beam=Beam(spectrum=(SpectralLine(rms=1e-4), SpectralLine(center=1e-3, rms=0.1)))
        ),
        Experiment(
            beam=Beam(profile="tabulated", profile_um=(-0.5, 1 / 3), profile_intensity=(0, 1e-9))
        ),
        Experiment(acceptance=Acceptance(method="kernel", file='a "b".h5', rays=1e9)),
        Experiment(crystal=Crystal(stiffness_GPa={"c11": 1e2 / 3, "c44": 5})),
        Experiment(crystal=Crystal(stiffness_GPa=np.diag([0.1, 2, 3, 4, 5, 6]).tolist())),
        Experiment(
            crystal=Crystal(
                cell=Cell(a=3.2, b=3.2, c=5.2, alpha=90, beta=90, gamma=120),
                space_group='P "63"\\m',
                poisson_ratio=0.29,
            )
        ),
        Experiment(
            defects=(
                Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), character_deg=30, burgers_nm=0.3),
                Dislocation(burgers=(1, 0, -1), line=(0.1, 1e-3, 1 / 3), position_um=(1, 2, 0.5)),
            )
        ),
    ],
)
@pytest.mark.parametrize("comments", [False, True])
def test_text_gives_the_experiment_back(experiment, comments):
    text = experiment.to_toml(comments=comments)
    again = Experiment.from_toml_text(text)
    assert again == experiment
    assert again.to_toml(comments=comments) == text


def test_digest_tells_experiments_apart():
    base = Experiment()
    next_energy = math.nextafter(17.0, 18.0)
    other = base.model_copy(update={"beam": Beam(energy_keV=next_energy)})
    assert len(base.digest) == 64
    assert base.digest != other.digest
    assert base.digest == Experiment.from_toml_text(base.to_toml()).digest


class TestAxes:
    def test_absent_axes_stand_at_zero(self):
        scan = Experiment().scan
        for axis in (scan.phi, scan.chi, scan.two_theta, scan.z):
            assert axis.positions == (0.0,)
            assert not axis.moving
        assert scan.frames == 1

    def test_range_includes_both_ends_and_is_symmetric(self):
        axis = AngleAxis(half_range_mrad=0.6, steps=61)
        assert len(axis.positions) == axis.count == 61
        assert axis.positions[0] == -0.6
        assert axis.positions[30] == 0.0
        assert axis.positions[-1] == 0.6
        assert all(a == -b for a, b in zip(axis.positions, axis.positions[::-1], strict=True))
        steps = [b - a for a, b in zip(axis.positions, axis.positions[1:], strict=False)]
        assert steps == pytest.approx([0.02] * 60)
        assert axis.moving

    def test_range_about_a_centre(self):
        assert HeightAxis(half_range_um=2, steps=3, center_um=10).positions == (8.0, 10.0, 12.0)

    def test_one_step_is_the_centre(self):
        axis = AngleAxis(half_range_mrad=0.6, steps=1, center_mrad=0.1)
        assert axis.positions == (0.1,)
        assert not axis.moving

    def test_list_keeps_its_order(self):
        axis = AngleAxis(values_mrad=(0.3, -0.1, 0.2))
        assert axis.positions == (0.3, -0.1, 0.2)
        assert axis.moving

    def test_frames_multiply(self):
        moved = AngleAxis(half_range_mrad=1, steps=61)
        z = HeightAxis(values_um=(0, 1))
        assert Scan(phi=moved, chi=moved, z=z).frames == 61 * 61 * 2

    def test_counting_does_not_list(self):
        axis = AngleAxis(half_range_mrad=1, steps=1_000_000)
        assert Scan(phi=axis, chi=axis, two_theta=axis).frames == 10**18


def test_pixel_size_from_the_magnification():
    assert Camera().pixel_um == 0.04
    assert Camera(camera_pixel_um=6.5, magnification=162.5).pixel_um == pytest.approx(0.04)


def test_cell_replaces_the_default_material_but_not_a_given_one():
    cell = {"a": 4, "b": 4, "c": 4, "alpha": 90, "beta": 90, "gamma": 90}
    alone = Crystal(cell=cell, space_group="F m -3 m", poisson_ratio=0.3)
    assert alone.material is None
    beside = Experiment.from_toml_text(f'[crystal]\nmaterial = "Cu"\n{CELL}').crystal
    assert (beside.material, beside.cell.c) == ("Cu", 5.0)


class TestInstrument:
    def test_a_lens_takes_the_default_angles_away_but_not_given_ones(self):
        computed = Objective(lens=ID06_LENS)
        assert computed.acceptance_fwhm_mrad is None
        assert computed.aperture_mrad is None
        beside = Objective(lens=ID06_LENS, aperture_mrad=1)
        assert (beside.acceptance_fwhm_mrad, beside.aperture_mrad) == (None, 1.0)
        assert computed.model_copy(update={"lens": None}) == Objective()

    def test_a_spectrum_replaces_the_bandwidth(self):
        beam = Beam(spectrum=[{"rms": 3e-3}, {"weight": 3, "center": 8e-3, "rms": 1e-3}])
        assert beam.bandwidth_rms is None
        assert beam.lines == ((0.25, 0.0, 3e-3), (0.75, 8e-3, 1e-3))
        # 0.25 (9 + 36) + 0.75 (1 + 4) = 15
        assert beam.total_bandwidth_rms == pytest.approx(15**0.5 * 1e-3)
        assert Beam().lines == ((1.0, 0.0, 6e-5),)
        narrow = Experiment(beam=beam).with_settings(["beam.bandwidth_rms=1e-4"]).beam
        assert (narrow.spectrum, narrow.total_bandwidth_rms) == (None, 1e-4)

    def test_rays_may_be_written_as_a_power_of_ten(self):
        rays = Experiment.from_toml_text("[acceptance]\nrays = 1e8").acceptance.rays
        assert (rays, type(rays)) == (10**8, int)

    def test_a_stop_can_be_set_key_by_key(self):
        stopped = Experiment(objective=Objective(stop=Wire(diameter_um=30)))
        moved = stopped.with_settings(["objective.stop.position_um=5", "beam.energy_keV=19"])
        assert moved.objective.stop == Wire(diameter_um=30, position_um=5)
        edge = ["objective.stop.kind=knife_edge", "objective.stop.side=below"]
        assert Experiment().with_settings(edge).objective.stop == KnifeEdge(side="below")
        whole = Experiment().with_settings(["objective.stop={kind='central_stop', size_um=3}"])
        assert whole.objective.stop == CentralStop(size_um=3)


class TestPresets:
    def test_the_default_preset_is_the_default_of_the_models(self):
        assert Experiment.from_toml_text(preset_text("id06")) == Experiment()
        assert Experiment(preset="id06") == Experiment()

    @pytest.mark.parametrize("name", preset_names())
    def test_the_file_of_a_preset_is_an_experiment(self, name):
        text = f'preset = "{name}"'
        preset = Experiment.from_toml_text(text)
        assert Experiment.from_toml_text(f"{text}\n{preset_text(name)}") == preset
        assert Experiment(preset=name) == preset
        assert Experiment.from_toml_text(preset.to_toml()) == preset
        assert preset_text(name).startswith("# ")

    def test_published_values(self):
        published = Experiment(preset="id06-2021")
        # Al 002 at 2theta = 20.73 deg, a = 4.0495 angstrom
        energy = 12.398419843 / (4.0495 * math.sin(math.radians(20.73 / 2)))
        assert published.beam.energy_keV == pytest.approx(energy, abs=1e-3)
        assert published.beam.divergence_vertical_profile == "uniform"
        # D / 2 d1 with D = 2 sqrt(R T)
        half_angle = math.sqrt(50.0 * 1000.0) / 0.274e6
        assert published.objective.aperture_mrad == pytest.approx(1e3 * half_angle, rel=2e-4)
        # The code of the paper takes its 6e-5 as FWHM.
        fwhm = Experiment(preset="id06-oblique").beam.bandwidth_rms * math.sqrt(8 * math.log(2))
        assert fwhm == pytest.approx(6e-5, rel=1e-4)
        assert Experiment(preset="id03").camera.pixel_um == pytest.approx(0.0376, abs=1e-4)
        assert Experiment(preset="id03").camera.model == "pco_edge"
        assert Experiment(preset="id06-oblique").beam.energy_keV == 19.1

    def test_keys_that_are_given_win(self):
        text = 'preset = "id06-2021"\n[beam]\nenergy_keV = 17\n[camera]\noversampling = 1'
        experiment = Experiment.from_toml_text(text)
        assert (experiment.beam.energy_keV, experiment.camera.oversampling) == (17.0, 1)
        assert (experiment.beam.height_fwhm_um, experiment.camera.pixel_nm) == (0.6, 75.0)
        built = Experiment(preset="id06-2021", beam=Beam(energy_keV=17), camera={"oversampling": 1})
        assert built == experiment

    def test_keys_that_exclude_one_of_the_preset_replace_it(self):
        assert Experiment(preset="id03", camera=Camera(pixel_nm=75)).camera.pixel_um == 0.075
        other = 'preset = "id06-2021"\n[camera]\ncamera_pixel_um = 6.5\nmagnification = 100'
        assert Experiment.from_toml_text(other).camera.pixel_um == 0.065
        with_lens = Experiment(preset="id06-2021", objective=Objective(lens=ID06_LENS)).objective
        assert with_lens.acceptance_fwhm_mrad is None
        pink = Experiment(preset="id03", beam={"spectrum": [{"rms": 6e-3}]}).beam
        assert (pink.bandwidth_rms, pink.height_fwhm_um) == (None, 0.6)

    def test_another_preset_takes_over(self):
        first = Experiment.from_toml_text('preset = "id03"\n[beam]\nenergy_keV = 20')
        second = first.with_settings(["preset=id06-2021"])
        assert second == Experiment(preset="id06-2021", beam=Beam(energy_keV=20))
        assert first.model_copy(update={"preset": "id06-2021"}) == second
        assert second.with_settings(["preset=id06"]) == Experiment(beam=Beam(energy_keV=20))

    def test_mistakes_beside_a_preset_are_told_like_others(self):
        with pytest.raises(InputError, match=r"^beam\.energy_keV = 0: must be a number from 1"):
            Experiment.from_toml_text('preset = "id03"\n[beam]\nenergy_keV = 0')
        data = {"preset": "id03", "camera": {"pixel_nm": 3, "magnification": 4}}
        with pytest.raises(InputError, match=r"^camera\.pixel_nm = 3: give either pixel_nm, or"):
            Experiment.model_validate(data)
        with pytest.raises(InputError, match=r"^beam = 3: must be a table"):
            Experiment.from_toml_text('preset = "id03"\nbeam = 3')


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "read"),
        [
            ("beam.energy_keV=19", lambda e: e.beam.energy_keV == 19.0),
            (" beam.energy_keV = 19.5 ", lambda e: e.beam.energy_keV == 19.5),
            ("beam.height_fwhm_um=.5", lambda e: e.beam.height_fwhm_um == 0.5),
            ("beam.height_fwhm_um=2.", lambda e: e.beam.height_fwhm_um == 2.0),
            ("objective.aperture_mrad=inf", lambda e: e.objective.aperture_mrad == math.inf),
            ("defects[0].line=[1,0,-1]", lambda e: e.defects[0].line == (1, 0, -1)),
            ("defects[0].line[1]=7", lambda e: e.defects[0].line == (1, 7, 1)),
            ("defects=[]", lambda e: e.defects == ()),
            ("camera.pixels[0]=17", lambda e: e.camera.pixels == (17, 510)),
            ("camera.model=pco_edge", lambda e: e.camera.model == "pco_edge"),
            ('camera.model="pco_edge"', lambda e: e.camera.model == "pco_edge"),
            ("output.figures=false", lambda e: e.output.figures is False),
            ("crystal.space_group=F m -3 m", lambda e: e.crystal.space_group == "F m -3 m"),
            ("scan.phi={half_range_mrad=1, steps=3}", lambda e: e.scan.frames == 3),
            ("scan={phi={half_range_mrad=1, steps=3}}", lambda e: e.scan.frames == 3),
        ],
    )
    def test_value_is_set_and_nothing_else(self, setting, read):
        experiment = Experiment().with_settings([setting])
        assert read(experiment)
        changed = [
            (a, b)
            for a, b in zip(
                Experiment().to_toml().splitlines(), experiment.to_toml().splitlines(), strict=False
            )
            if a != b
        ]
        assert changed
        if "{" not in setting and setting != "defects=[]" and "space" not in setting:
            assert len(changed) == 1

    def test_no_settings_change_nothing(self):
        assert Experiment().with_settings([]) == Experiment()

    def test_another_form_replaces_the_previous_one(self):
        experiment = Experiment.from_toml_text(DEFAULT_FILE)
        ranged = experiment.with_settings(["scan.phi.half_range_mrad=0.5", "scan.phi.steps=3"])
        assert ranged.scan.phi == AngleAxis(half_range_mrad=0.5, steps=3)
        assert ranged.with_settings(["scan.phi.steps=5"]).scan.phi.count == 5
        listed = ranged.with_settings(["scan.phi.values_mrad=[1, 2]"])
        assert listed.scan.phi == AngleAxis(values_mrad=(1, 2))
        turned = experiment.with_settings(["defects[0].character_deg=30"])
        assert turned.defects[0].line is None
        magnified = experiment.with_settings(
            ["camera.camera_pixel_um=6.5", "camera.magnification=10"]
        )
        assert magnified.camera.pixel_um == 0.65
        assert magnified.with_settings(["camera.pixel_nm=40"]).camera == Camera()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (["beam"], "settings = 'beam': must be key=value, such as beam.energy_keV=19"),
            (["=3"], "settings = '=3': must be key=value, such as beam.energy_keV=19"),
            (
                ["beam..x=3"],
                "settings = 'beam..x=3': must be key=value, such as beam.energy_keV=19",
            ),
            (["beam.energy=3"], "beam.energy = 3: unknown key; did you mean beam.energy_keV?"),
            (["beam.energy_keV=x"], "beam.energy_keV = 'x': must be a number from 1 to 1000"),
            (["beam.energy_keV.x=3"], "beam.energy_keV: must be a number from 1 to 1000"),
            (["defects[1].line=3"], "defects[1]: no such entry; defects has 1, from [0]"),
            (["defects.line=3"], "defects: must be a list of tables, each written [[defects]]"),
            (["beam[0]=3"], "beam: is not a list that was given; set it as a whole"),
            (["defects[0]=3"], "defects[0] = 3: must be a table"),
            (
                ["scan.phi.steps=3"],
                "scan.phi.half_range_mrad: missing; a range is half_range_mrad and steps",
            ),
            (
                ["scan.phi.value_mrad=1", "scan.phi.values_mrad=[1]"],
                "scan.phi.values_mrad = [1]: give one of value_mrad; half_range_mrad and steps; "
                "values_mrad",
            ),
        ],
    )
    def test_a_mistake_is_told_in_one_line(self, settings, message):
        with pytest.raises(InputError) as caught:
            Experiment().with_settings(settings)
        assert str(caught.value) == message

    def test_a_second_line_is_part_of_the_value(self):
        with pytest.raises(InputError, match=r"^beam\.energy_keV = '19\\nprofile = 3': must be"):
            Experiment().with_settings(["beam.energy_keV=19\nprofile = 3"])


class TestPython:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Beam(energy_keV=-3), "energy_keV = -3: must be a number from 1 to 1000"),
            (
                lambda: Experiment(beam={"energy_kev": 17}),
                "beam.energy_kev = 17: unknown key; did you mean beam.energy_keV?",
            ),
            (lambda: Experiment(beems=3), "beems = 3: unknown key; did you mean beam?"),
            (lambda: Experiment(beam=3), "beam = 3: must be a table"),
            (
                lambda: Dislocation(burgers=(1, 0, -1)),
                "line: missing; give line, or plane and angle_deg",
            ),
            (
                lambda: Camera(pixels="x"),
                "pixels = 'x': must be two integers from 1 to 100000 (rows, columns)",
            ),
            (
                lambda: CameraFile(gain_adu_per_photon=-1, offset_adu=0, read_variance_adu2=1),
                "gain_adu_per_photon = -1: must be a number from 0.001 to 10000",
            ),
            (
                lambda: Manifest(axes=[{"key": "beam.energy_keV"}]),
                "axes[0].values: missing; give one of values; start, stop and steps; seeds",
            ),
            (
                lambda: Experiment.model_validate({"scan": {"mode": ["rocking"]}}),
                'scan.mode = [\'rocking\']: must be "single", "rocking", "rolling", "strain", '
                '"mosaicity", "mosaicity-strain", "layers" or "mosaicity-layers"',
            ),
            (lambda: Experiment.model_validate(3), "Experiment = 3: must be a table"),
            (lambda: Experiment.model_validate({3: 4}), "3 = 4: the name of a key must be a text"),
            (
                lambda: Experiment.model_validate_json('{"beam": {"energy_keV": 0}}'),
                "beam.energy_keV = 0: must be a number from 1 to 1000",
            ),
            (
                lambda: Experiment.model_validate_strings({"beam": {"energy_keV": "x"}}),
                "beam.energy_keV = 'x': must be a number from 1 to 1000",
            ),
        ],
    )
    def test_a_mistake_is_one_line(self, make, message):
        with pytest.raises(InputError) as caught:
            make()
        assert str(caught.value) == message
        assert str(pickle.loads(pickle.dumps(caught.value))) == message

    def test_text_that_is_no_json_is_one_line(self):
        with pytest.raises(InputError, match=r"^Experiment: must be JSON; "):
            Experiment.model_validate_json("{")

    @pytest.mark.parametrize(
        ("make", "key"),
        [
            (lambda: Beam(profile_um=(x for x in "ab")), "profile_um"),
            (lambda: Objective(stop={"kind": np.array([1, 2])}), "stop.kind"),
            (lambda: Beam(energy_keV=np.array([1.0, 2.0])), "energy_keV"),
        ],
    )
    def test_values_that_no_file_can_hold_are_refused_like_others(self, make, key):
        with pytest.raises(InputError) as caught:
            make()
        assert caught.value.key == key
        assert caught.value.allowed.startswith("must be ")

    def test_a_table_in_place_of_a_list_is_no_list(self):
        with pytest.raises(
            InputError, match=r"^defects = Dislocation\(.*: must be a list of tables"
        ):
            Experiment(defects=Dislocation(burgers=(1, 0, -1), line=(1, 2, 1)))

    def test_instances_are_immutable(self):
        beam = Experiment().beam
        with pytest.raises(InputError, match=r"^energy_keV = 19: cannot be changed; replace"):
            beam.energy_keV = 19
        with pytest.raises(InputError, match=r"^energy_keV: cannot be changed; replace"):
            del beam.energy_keV
        assert beam == Beam()

    @pytest.mark.parametrize("copied", [Table.model_copy, Table.copy])
    def test_copies_are_checked(self, copied):
        beam = copied(Beam(), update={"energy_keV": 19})
        assert (beam.energy_keV, type(beam.energy_keV)) == (19.0, float)
        assert beam.model_fields_set == {"energy_keV"}
        with pytest.raises(InputError, match=r"^energy_keV = nan: must be a number"):
            copied(Beam(), update={"energy_keV": math.nan})
        with pytest.raises(InputError, match=r"^energy = 19: unknown key; did you mean energy_keV"):
            copied(Beam(), update={"energy": 19})
        with pytest.raises(InputError, match=r"^beam\.energy_keV = -3: must be a number"):
            copied(Experiment(), update={"beam": {"energy_keV": -3}})
        assert copied(AngleAxis(value_mrad=1), update={"values_mrad": [1, 2]}).count == 2

    def test_a_copy_has_whole_new_tables_and_replace_changes_their_keys(self):
        experiment = Experiment(
            preset="id06-2021", camera={"pixels": (40, 120)}, beam=Beam(profile="box")
        )
        coarse = {"camera": {"oversampling": 2}}
        assert experiment.model_copy(update=coarse).camera.pixels == (170, 510)
        changed = experiment.replace(**coarse, scan={"phi": {"half_range_mrad": 0.3, "steps": 61}})
        assert changed.camera.model_fields_set == {"pixels", "oversampling"}
        assert changed.scan.phi == AngleAxis(half_range_mrad=0.3, steps=61)
        assert changed.beam == experiment.beam
        # What came from the preset is not given, and another one takes over.
        again = changed.replace(preset="id06", camera={"pixel_nm": 50}).camera
        assert again == Camera(pixels=(40, 120), oversampling=2, pixel_nm=50)

    def test_replace_puts_another_kind_in_place(self):
        wire = Objective(stop=Wire(diameter_um=30, position_um=2))
        assert wire.replace(stop={"diameter_um": 20}).stop == Wire(diameter_um=20, position_um=2)
        assert wire.replace(stop={"kind": "knife_edge"}).stop == KnifeEdge()
        assert wire.replace(stop=None) == Objective()

    def test_replace_tells_the_whole_path(self):
        with pytest.raises(
            InputError, match=r"^scan\.phi\.step = 3: unknown key; did you mean scan"
        ):
            Experiment().replace(scan={"phi": {"step": 3}})
        with pytest.raises(InputError, match=r"^camera = 3: must be a table"):
            Experiment().replace(camera=3)

    def test_experiments_are_sent_between_processes(self):
        experiment = Experiment(preset="id06-2021", defects=[])
        again = pickle.loads(pickle.dumps(experiment))
        assert again == copy.deepcopy(experiment) == experiment
        assert again.model_fields_set == {"preset", "defects"}

    def test_experiments_can_be_keys(self):
        assert {Experiment(): 1}[Experiment.from_toml_text("")] == 1

    def test_import_is_light(self):
        code = """
            import sys
            import weakbeam.experiment
            heavy = {"numpy", "scipy", "numba", "h5py", "matplotlib", "gemmi", "tomlkit"}
            assert not heavy & set(sys.modules), heavy & set(sys.modules)
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
