import csv
import io
import json
import math
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

import weakbeam.diffraction.reachable
from weakbeam.assemble import assemble
from weakbeam.cli import reflections as command
from weakbeam.cli.reflections import reflections
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment


def run(*arguments: str, fail: bool = False) -> Result:
    return CliRunner().invoke(reflections, arguments, catch_exceptions=not fail)


def rows(*arguments: str) -> list[dict]:
    result = run(*arguments, "--json", fail=True)
    return json.loads(result.stdout)["reflections"]


OBLIQUE = ("--geometry", "oblique", "--energy", "19.1", "--theta-max", "16.3")
EDGES = "a = 4.0493, b = 4.0493, c = 4.0493, alpha = 90, beta = 90, gamma = 90"
CELL = f"crystal={{ material = 'Al', cell = {{ {EDGES} }} }}"
EDGE = "{ plane = [1, 1, 1], burgers = [1, 0, -1], character_deg = 0 }"
SCREW = "{ plane = [1, 1, 1], burgers = [1, 0, -1], character_deg = 90 }"


def test_text_of_the_default() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Al (F m -3 m), 17 keV, symmetric geometry: 58 reflections"
    assert lines[1] == "Λ: extinction length"
    assert lines[2] == "loss: of the incident beam to the diffracted one, at the peak"
    assert lines[3].startswith("[0]: b ∥ [1 0 -1], b∧t = 90.0°")
    (line,) = (line.split() for line in lines if line.split()[:3] == ["-1", "1", "-1"])
    assert line[3:10] == ["2.3380", "8.973", "17.946", "36.09", "27.8", "1.1", "1"]
    assert line[10:13] == ["8", "0", "0.408"]
    # Aligned: every row of the table ends where its heading ends.
    heading = lines.index("") + 1
    assert len({len(row) for row in lines[heading:]}) == 1


def test_published_oblique_table() -> None:
    found = {tuple(row["hkl"]): row for row in rows("--set", CELL, *OBLIQUE)}
    expected = {
        (-1, -1, 3): (6.432, 20.233, 263.568, -20.233),
        (-1, 1, 3): (96.432, 20.233, 353.568, -20.233),
        (1, -1, 3): (173.568, -20.233, 276.432, 20.233),
        (1, 1, 3): (83.568, -20.233, 186.432, 20.233),
    }
    for hkl, angles in expected.items():
        row = found[hkl]
        keys = ("omega_1_deg", "eta_1_deg", "omega_2_deg", "eta_2_deg")
        assert [row[key] for key in keys] == pytest.approx(angles, abs=1e-3)
        assert row["theta_deg"] == pytest.approx(15.417, abs=1e-3)
        assert row["two_theta_deg"] == pytest.approx(30.834, abs=1e-3)
        assert row["multiplicity"] == 4


def test_a_setting_outside_of_the_limits_is_left_open() -> None:
    limits = ("--omega-range", "0", "90", "--eta", "-30", "30")
    assert [row["hkl"] for row in rows("--set", CELL, *OBLIQUE, *limits)] == [
        [1, 1, 3],
        [-1, -1, 3],
    ]
    row = rows("--set", CELL, *OBLIQUE, *limits)[0]
    assert row["omega_1_deg"] == pytest.approx(83.568, abs=1e-3)
    assert row["omega_2_deg"] is row["eta_2_deg"] is None
    text = run("--set", CELL, *OBLIQUE, *limits, "--set", "defects=[]").stdout
    assert text.splitlines()[-1].split()[-4:] == ["6.432", "20.233", "-", "-"]


@pytest.mark.parametrize(("first", "last"), [(-30, 30), (350, 370), (-400, -340), (0, 360)])
def test_angles_are_printed_within_the_range_that_is_asked_for(first, last) -> None:
    everywhere = {tuple(row["hkl"]): row for row in rows(*OBLIQUE)}
    found = rows(*OBLIQUE, "--omega-range", str(first), str(last))
    assert found
    for row in found:
        for key in ("omega_1_deg", "omega_2_deg"):
            if row[key] is not None:
                assert first - 1e-4 <= row[key] <= last + 1e-4
                turns = (row[key] - everywhere[tuple(row["hkl"])][key]) / 360
                assert turns == pytest.approx(round(turns), abs=1e-9)


def test_lengths_of_extinction_and_absorption() -> None:
    document = json.loads(run(*OBLIQUE, "--absorption", "--json").stdout)
    setup = assemble(
        Experiment().with_settings(
            [
                "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
                "reflection={ hkl = [-1, -1, 3], geometry = 'oblique' }",
                "beam.energy_keV=19.1",
            ]
        )
    )
    (row,) = (row for row in document["reflections"] if row["hkl"] == [-1, -1, 3])
    assert row["extinction_length_um"] == pytest.approx(setup.strength.extinction_length)
    assert row["peak_loss_per_um"] == pytest.approx(float(setup.depletion.per_path()))
    # 7.955 and 3.441 cm²/g at 15 and 20 keV (NIST), a power law between them, and 2.699 g/cm³.
    assert document["absorption_length_um"] == pytest.approx(942, rel=0.02)
    assert "absorption length 9" in run(*OBLIQUE, "--absorption").stdout
    table = list(csv.DictReader(io.StringIO(run(*OBLIQUE, "--csv").stdout)))
    lengths = {float(row["extinction_length_um"]) for row in document["reflections"]}
    assert {float(row["extinction_length_um"]) for row in table} == lengths
    assert json.loads(run(*OBLIQUE, "--json").stdout)["absorption_length_um"] is None


def test_a_plan_of_nothing_is_told_in_one_line() -> None:
    result = run("--plan", "2", "--energy", "1")
    assert result.stderr == result.stdout == ""
    assert "no reflection lies within these limits" in str(result.exception)


def test_a_tilt_reaches_what_lies_along_the_axis() -> None:
    goniometer = ("--geometry", "goniometer", *OBLIQUE[2:], "--set", CELL)
    assert [0, 0, 2] not in [row["hkl"] for row in rows(*goniometer)]
    arguments = (*goniometer, "--mu", "-20", "20")
    (upright,) = (row for row in rows(*arguments) if row["hkl"] == [0, 0, 2])
    assert upright["mu_deg"] == pytest.approx(-upright["theta_deg"])
    assert upright["omega_1_deg"] == upright["omega_2_deg"] or upright["omega_2_deg"] is None
    line = [cells for line in run(*arguments, "--set", "defects=[]").stdout.splitlines()
            if (cells := line.split())[:3] == ["0", "0", "2"]]  # fmt: skip
    assert line[0][-5:] == ["-9.225", "0.000", "0.000", "-", "-"]


def test_the_experiment_says_geometry_mount_and_motors(tmp_path) -> None:
    config = tmp_path / "experiment.toml"
    config.write_text(
        "defects = []\n[crystal]\nmount = [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]\n"
        "[reflection]\nhkl = [2, 0, 0]\ngeometry = 'goniometer'\nmu_deg = 3\nphi_deg = 2\n"
    )
    found = json.loads(run("-c", str(config), "--json").stdout)
    assert found["geometry"] == "goniometer"
    assert {round(row["mu_deg"], 9) for row in found["reflections"]} == {3}
    same = ("--geometry", "goniometer", "--mount", "1 1 0; -1 1 0; 0 0 1",
            "--mu", "3", "3", "--phi", "2", "--set", "defects=[]")  # fmt: skip
    assert found["reflections"] == rows(*same)


def test_a_mount_turns_the_crystal() -> None:
    mounted = rows(*OBLIQUE, "--mount", "0 1 0; 0,0,1; 1 0 0")
    straight = rows(*OBLIQUE)
    # The cube is the same cube: h k l of the one is k l h of the other.
    angles = {tuple(row["hkl"]): row["omega_1_deg"] for row in straight}
    for row in mounted:
        h, k, l = row["hkl"]  # noqa: E741
        assert row["omega_1_deg"] == pytest.approx(angles[k, l, h])


def test_defects_have_their_own_columns() -> None:
    settings = ("--set", f"defects=[{EDGE}, {SCREW}]")
    found = {tuple(row["hkl"]): row["defects"] for row in rows(*settings)}
    edge, screw = found[-1, 1, -1]
    assert edge["g_dot_b"] == screw["g_dot_b"] == 0
    assert edge["g_dot_b_cross_t"] == pytest.approx(1 / math.sqrt(6), abs=1e-6)
    assert edge["visibility"] > 1e-6
    assert screw["visibility"] < 1e-12
    table = list(csv.DictReader(io.StringIO(run(*settings, "--csv").stdout)))
    assert len(table) == len(found)
    for row in table:
        edge, screw = found[int(row["h"]), int(row["k"]), int(row["l"])]
        assert float(row["visibility_0"]) == edge["visibility"]
        assert float(row["g_dot_b_1"]) == screw["g_dot_b"]
    assert "2 more defects" in run("--set", f"defects=[{', '.join(3 * [EDGE, SCREW])}]").stdout


def test_sorted_by_visibility() -> None:
    found = rows("--sort", "visibility")
    seen = [row["defects"][0]["visibility"] for row in found]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[-1]


def test_the_sort_keys_are_those_of_the_table() -> None:
    assert command.SORT_KEYS == weakbeam.diffraction.reachable.SORT_KEYS


def test_experiment_file_and_energy(tmp_path) -> None:
    config = tmp_path / "experiment.toml"
    # A reflection that is extinct is no hindrance to looking for another one.
    config.write_text(
        "defects = []\n[crystal]\nmaterial = 'Ti'\n[reflection]\nhkl = [0, 0, 1]\n"
        "[beam]\nenergy_keV = 20.0\n"
    )
    document = json.loads(run("-c", str(config), "--json").stdout)
    assert document["energy_keV"] == 20.0
    assert document["title"].startswith("Ti (P 63/m m c)")
    assert [0, 0, 1] not in [row["hkl"] for row in document["reflections"]]
    assert json.loads(run("-c", str(config), "--json", "--energy", "30").stdout)["energy_keV"] == 30


def test_a_crystal_without_sites_has_no_structure_factor() -> None:
    settings = ("--set", CELL, "--set", "crystal.space_group=P m -3 m")
    assert {row["structure_factor"] for row in rows(*settings)} == {None}
    text = run(*settings).stdout
    assert text.splitlines()[-1].split()[6:8] == ["-", "-"]
    assert "extinction" not in text


def test_nothing_in_reach_is_said() -> None:
    result = run("--energy", "1", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["reflections"] == []
    assert "no reflection" in result.stderr


@pytest.mark.parametrize("arguments", [(), OBLIQUE])
@pytest.mark.parametrize("settings", [(), ("--set", "crystal.space_group=P m -3 m")])
def test_drawing(tmp_path, arguments, settings) -> None:
    path = tmp_path / "reflections.png"
    result = run(*arguments, *settings, "--json", "-o", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in result.stderr
    json.loads(result.stdout)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--mount", "1 0 0; 0 1 0; 0 0 1"], "--mount"),
        (["--omega-range", "0", "90"], "--omega-range"),
        (["--eta", "0", "90"], "--eta"),
        ([*OBLIQUE, "--mount", "1 0 0; 0 1 0"], "--mount"),
        ([*OBLIQUE, "--mount", "1 0 0; 0 1 0; 0 0 x"], "--mount"),
        ([*OBLIQUE, "--mount", "1 0 0; 0 1 0; 0 0 -1"], "crystal.mount"),
        ([*OBLIQUE, "--mount", "1 0 0; 1 1 0; 0 0 1"], "crystal.mount"),
        ([*OBLIQUE, "--mount", "0 0 0; 0 1 0; 0 0 1"], "--mount"),
        ([*OBLIQUE, "--omega-range", "30", "-30"], "--omega-range"),
        ([*OBLIQUE, "--eta", "nan", "90"], "--eta"),
        ([*OBLIQUE, "--mu", "0", "5"], "--mu"),
        ([*OBLIQUE, "--chi", "5"], "--chi"),
        ([*OBLIQUE, "--phi", "5"], "--phi"),
        (["--geometry", "goniometer", "--mu", "0", "91"], "--mu"),
        (["--geometry", "goniometer", "--mu", "5", "0"], "--mu"),
        (["--geometry", "goniometer", "--chi", "nan"], "--chi"),
        (["--motors", "phi"], "--motors"),
        (["--absorption", "--set", CELL, "--set", "crystal.space_group=P m -3 m"], "--absorption"),
        (["--plan", "3", "--motors", "phi,chi,phi"], "--motors"),
        (["--plan", "3", "--motors", "mu"], "--motors"),
        (["--plan", "3", "--motors", ""], "--motors"),
        (["--plan", "12", "--theta-max", "9"], "--plan"),
        (["--plan", "1", "--energy", "1"], "--plan"),
        (["--theta-max", "0"], "--theta-max"),
        (["--theta-max", "45"], "--theta-max"),
        (["--theta-max", "nan"], "--theta-max"),
        (["--theta-max", "40", "--energy", "500"], "--theta-max"),
        (["--energy", "-3"], "--energy"),
        (["--energy", "nan"], "--energy"),
        (["--json", "--csv"], "--csv"),
        (["--set", "crystal.material=Unobtainium"], "crystal.material"),
        (["--set", "defects=[{ burgers = [1, 0, 0], plane = [1, 1, 1], character_deg = 0 }]"],
         "defects[0].burgers"),
        (["-o", "reflections.jpg"], "--output"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line_that_names_the_key(arguments, key: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, InputError)
    assert error.key == key
    assert "\n" not in str(error)


def test_a_table_does_not_load_what_it_does_not_need() -> None:
    code = (
        "import sys; from weakbeam.cli.reflections import reflections; "
        "heavy = {'numpy', 'numba', 'matplotlib', 'h5py', 'gemmi'}; "
        "assert not heavy & set(sys.modules); "
        "reflections.main(['--csv'], standalone_mode=False); "
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


PLAN = ("--set", CELL, *OBLIQUE, "--eta", "20", "21", "--theta-max", "16", "--plan")


def test_plan_of_the_published_group() -> None:
    document = json.loads(run(*PLAN, "3", "--json", fail=True).stdout)
    assert document["complete"] is True
    assert document["motors"] == ["phi", "chi", "two_theta"]
    assert len(document["sets"]) == 4
    for found in document["sets"]:
        assert found["rank"] == 9
        assert found["condition"] == pytest.approx(document["sets"][0]["condition"])
        for setting in found["settings"]:
            assert sorted(map(abs, setting["hkl"])) == [1, 1, 3]
            assert setting["eta_deg"] == pytest.approx(20.233, abs=1e-3)
    text = run(*PLAN, "3").stdout.splitlines()
    assert text[0].endswith("sets of 3 of 4 settings, all of them")
    assert text[-1].split()[0] == "9"
    assert text[-1].count("at ω") == 3


def test_plan_says_what_too_few_numbers_leave_open() -> None:
    result = run(*PLAN, "4", "--motors", "chi, phi")
    assert "8 numbers leave components open: at least 5 settings needed" in result.stdout
    assert result.stdout.splitlines()[-1].split()[:3] == ["8", "inf", "inf"]
    found = json.loads(run(*PLAN, "4", "--motors", "phi,chi", "--json").stdout)["sets"][0]
    assert found["condition"] is found["error"] is None
    table = list(csv.DictReader(io.StringIO(run(*PLAN, "4", "--csv").stdout)))
    assert [row["set"] for row in table] == ["1"] * 4
    assert {row["rank"] for row in table} == {"9"}


def test_plan_in_the_symmetric_geometry_takes_either_side_of_the_planes() -> None:
    found = json.loads(run("--plan", "3", "--theta-max", "11", "--json").stdout)
    members = [tuple(s["hkl"]) for set_ in found["sets"] for s in set_["settings"]]
    assert found["sets"][0]["rank"] == 9
    assert all(tuple(-i for i in hkl) not in members for hkl in members)
    assert {s["omega_deg"] for set_ in found["sets"] for s in set_["settings"]} == {None}
    assert all(len({tuple(s["hkl"]) for s in set_["settings"]}) == 3 for set_ in found["sets"])


PLANNED = [
    *("--geometry", "oblique", "--energy", "19.1", "--eta", "20", "21", "--plan", "4"),
    *("--set", "scan.phi.half_range_mrad=0.3", "--set", "scan.phi.steps=15"),
    *("--set", "scan.chi.half_range_mrad=1.8", "--set", "scan.chi.steps=5"),
    *("--set", "scan.two_theta.half_range_mrad=0.7", "--set", "scan.two_theta.steps=3"),
]


def test_a_plan_tells_errors_frames_and_time() -> None:
    long, short = (
        json.loads(run(*PLANNED, "--exposure", seconds, "--json", fail=True).stdout)["sets"][0]
        for seconds in ("4", "1")
    )
    assert short["beta_error"] == pytest.approx(2.0 * long["beta_error"], rel=0.05)
    text = run(*PLANNED, "--exposure", "2", fail=True).stdout
    assert "900 frames, 225 a setting, of 2 s: 30 min" in text
    assert "beta_error,frames" in run(*PLANNED, "--exposure", "2", "--csv", fail=True).stdout


def test_errors_of_a_plan_need_a_plan_and_a_scan() -> None:
    assert "needs --plan" in str(run("--exposure", "1").exception)
    plain = run("--plan", "3", "--exposure", "1")
    assert "scan.phi: must move" in str(plain.exception)
