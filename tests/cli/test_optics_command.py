import json

import pytest
from click.testing import CliRunner, Result

from weakbeam.cli.optics import optics
from weakbeam.errors import InputError


def run(*arguments: str, fail: bool = False) -> Result:
    return CliRunner().invoke(optics, arguments, catch_exceptions=not fail)


def test_table_of_the_default() -> None:
    result = run()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["lenslets", "N", "88"] in lines
    assert ["sample", "to", "lens", "d1", "0.274", "m"] in lines
    assert ["length", "N", "T", "140.8", "mm"] in lines


def test_json_has_the_units_in_its_keys() -> None:
    result = run("--json", "--magnification", "17.31", "--set", "objective.aperture_mrad=inf")
    values = json.loads(result.stdout)
    assert values["magnification"] == pytest.approx(17.31)
    assert values["distance_m"] == pytest.approx(0.2076, abs=1e-4)
    assert values["image_distance_m"] == pytest.approx(4.801, abs=2e-3)
    assert values["lenslet_focal_length_m"] == pytest.approx(21.216, rel=3e-4)
    assert values["attenuation_per_m"] == pytest.approx(48.6, abs=0.1)
    assert values["aperture_um"] == pytest.approx(565.7, abs=0.1)
    assert values["back_focal_scale_mm_per_rad"] == pytest.approx(266.24, rel=3e-4)
    assert values["experiment_aperture_mrad"] is None


def test_every_option_reaches_the_lens(tmp_path) -> None:
    config = tmp_path / "experiment.toml"
    config.write_text("[beam]\nenergy_keV = 20.0\nbandwidth_rms = 1e-4\n")
    options = "--lenslets 60 --radius-um 100 --pitch-mm 2 --material diamond --web-um 25"
    more = "--thickness-mm 1 --distance-m 0.9 --json --config"
    result = run(*options.split(), *more.split(), str(config))
    values = json.loads(result.stdout)
    expected = {
        "energy_keV": 20.0,
        "lenslets": 60,
        "radius_um": 100.0,
        "pitch_mm": 2.0,
        "material": "diamond",
        "web_um": 25.0,
        "distance_m": 0.9,
        "length_mm": 120.0,
    }
    assert {key: values[key] for key in expected} == pytest.approx(expected)
    assert values["aperture_um"] == pytest.approx(2 * (100 * 975) ** 0.5)
    # At a bandwidth of 10⁻⁴ the blur is the quoted shift seen under the acceptance.
    blur = 1e3 * values["chromatic_object_shift_um"] * 1e-3 * values["acceptance_rms_mrad"]
    assert values["chromatic_blur_rms_nm"] == pytest.approx(blur)


LENS = "lenslets = 60, radius_um = 100, pitch_mm = 2, material = 'Al', distance_m = 1.5"


def test_the_lens_of_the_experiment_and_options_that_change_it() -> None:
    lens = f"objective.lens={{ {LENS} }}"
    values = json.loads(run("--json", "--set", lens).stdout)
    assert (values["lenslets"], values["material"]) == (60, "Al")
    assert values["distance_m"] == pytest.approx(1.5)
    # The experiment takes its angles from its lens, and keeps them when options try another one.
    assert values["experiment_acceptance_fwhm_mrad"] == values["acceptance_fwhm_mrad"]
    assert values["experiment_aperture_mrad"] == values["half_angle_mrad"]
    changed = json.loads(run("--json", "--set", lens, "--magnification", "5").stdout)
    assert changed["magnification"] == pytest.approx(5)
    assert (changed["lenslets"], changed["material"]) == (60, "Al")
    assert changed["experiment_aperture_mrad"] == values["half_angle_mrad"]
    with pytest.raises(InputError) as caught:
        run("--set", lens.replace("1.5", "0.01"), "--lenslets", "61", "--json", fail=True)
    assert caught.value.key == "objective.lens.distance_m"


def test_drawing(tmp_path) -> None:
    path = tmp_path / "layout.png"
    result = run("--json", "-o", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in result.stderr
    json.loads(result.stdout)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ("--lenslets 0", "--lenslets"),
        ("--lenslets 500", "--lenslets"),
        ("--radius-um -3", "--radius-um"),
        ("--pitch-mm nan", "--pitch-mm"),
        ("--material Li", "--material"),
        ("--web-um 1600", "--web-um"),
        ("--thickness-mm 2", "--thickness-mm"),
        ("--distance-m 0.1", "--distance-m"),
        ("--magnification 0", "--magnification"),
        ("--magnification 3 --distance-m 1", "--magnification"),
        ("--set beam.energy_keV=900", "beam.energy_keV"),
        ("-o layout.jpg", "--output"),
    ],
)
def test_mistakes_are_told_in_one_line_that_names_the_key(arguments: str, key: str) -> None:
    error = run(*arguments.split()).exception
    assert isinstance(error, InputError)
    assert error.key == key
    assert "\n" not in str(error)
