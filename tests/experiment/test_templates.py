import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from weakbeam.assemble import assemble_all
from weakbeam.batch.scripts import SCRIPTS
from weakbeam.cli.init import init
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.reference import experiment_reference
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.run.simulate import simulate

CAMERA = {
    "camera_pixel_um": "camera.camera_pixel_um = 6.5",
    "magnification": "camera.magnification = 173.0",
}
PROFILE = {
    "profile_um": "beam.profile_um = [-0.5, 0, 1]",
    "profile_intensity": "beam.profile_intensity = [0, 1, 0]",
}
DEFECTS = f"# {Experiment.model_fields['defects'].description}"
REFERENCE = Path(__file__).parents[2] / "docs/reference/experiment.md"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
class TestText:
    def test_gives_the_experiment_back(self, template):
        assert Experiment.from_toml_text(template.text) == template.experiment

    def test_explains_every_section_and_key(self, template):
        lines = template.text.splitlines()
        for number, line in enumerate(lines):
            if " = " in line and line != DEFECTS:
                assert "  # " in line or lines[number - 1].startswith("# "), line
            if line.startswith("[") and "." not in line.partition("]")[0]:
                assert lines[number - 1].startswith("# "), line
        sections = {line[2:] for line in lines if line.startswith("# ")}
        for name, field in Experiment.model_fields.items():
            if getattr(template.experiment, name) is not None:
                assert field.description in sections

    def test_fits_a_screen(self, template):
        lines = template.text.splitlines()
        assert max(map(len, lines)) <= 100
        # A description of candidates comes on top of the experiment.
        assert len(lines) <= (110 if template.experiment.identify is None else 126)
        assert all(line == line.rstrip() for line in lines)
        assert template.text.endswith("\n")

    def test_names_keys_that_are_there(self, template):
        for key in template.keys:
            value = tomllib.loads(template.text)
            for part in key.replace("[0]", ".0").split("."):
                value = value[int(part) if part == "0" else part]

    def test_optional_keys_shown_are_valid_when_uncommented(self, template):
        shown = [
            line[2:].partition("  # ")[0]
            for line in template.text.splitlines()
            if line.startswith("# ") and " = " in line and line != DEFECTS
        ]
        assert "poisson_ratio = 0.334" in {line.strip() for line in shown}
        assert any(line.startswith("stop = { kind = ") for line in shown)
        for line in shown:
            key = line.partition(" = ")[0].strip()
            table, beside = next(
                (name, beside)
                for name, fields, beside in (
                    ("crystal", ["poisson_ratio", "core_radius_nm", "mount"], []),
                    ("beam", ["spectrum"], []),
                    ("beam", PROFILE, [*PROFILE.values(), "beam.profile = 'tabulated'"]),
                    ("objective", ["lens", "stop"], []),
                    ("camera", CAMERA, [*CAMERA.values()]),
                    ("defects[0]", ["angle_deg", "plane", "stacking_direction"], []),
                    ("defects[0]", ["slip_families"], []),
                    ("defects[0]", ["size_um"], ["defects[0].region = 'box'"]),
                    ("acceptance", ["file"], ["acceptance.method = 'kernel'"]),
                    ("identify", ["planes", "burgers", "characters_deg", "noise"], []),
                )
                if key in fields
            )
            template.experiment.with_settings([*beside, f"{table}.{line.strip()}"])


def test_templates_are_what_their_names_say():
    frames = {name: t.experiment.scan.frames for name, t in TEMPLATES.items()}
    assert frames == {
        "default": 1,
        "weak-beam": 1,
        "rocking": 61,
        "mosaicity": 3721,
        "strain": 61,
        "reflections": 1,
        "wall": 1,
        "random": 1,
        "boundary": 61,
        "library": 2,
        "training": 1,
    }
    assert TEMPLATES["default"].experiment == Experiment()
    assert TEMPLATES["weak-beam"].experiment.scan.phi.positions == (0.15,)
    assert len(assemble_all(TEMPLATES["reflections"].experiment)) == 4
    kinds = [TEMPLATES[name].experiment.defects[0].kind for name in ("wall", "random", "boundary")]
    assert kinds == ["wall", "random", "boundary"]
    assert TEMPLATES["strain"].experiment.scan.strain.positions[-1] == 1.0
    assert all(name == t.name for name, t in TEMPLATES.items())


def test_reference_page_is_up_to_date():
    expected = experiment_reference()
    assert REFERENCE.read_text(encoding="utf-8") == expected, (
        "run python -m weakbeam.experiment.reference > docs/reference/experiment.md"
    )


def test_reference_page_says_of_every_key_what_is_allowed():
    rows = [line.split(" | ") for line in experiment_reference().splitlines()]
    keys = [row for row in rows if len(row) >= 4 and row[0].startswith("| `")]
    assert len(keys) > 100
    assert not [row[0] for row in keys if row[2].strip() in ("", "or")]


class TestInit:
    def test_writes_all_templates(self, tmp_path):
        dest = tmp_path / "new" / "folder"
        result = CliRunner().invoke(init, ["--dest", str(dest)])
        assert result.exit_code == 0, result.output
        assert {p.stem for p in dest.iterdir()} == set(TEMPLATES)
        assert result.output.count("wrote ") == len(TEMPLATES)
        for name, template in TEMPLATES.items():
            assert Experiment.from_toml(dest / f"{name}.toml") == template.experiment

    def test_writes_named_templates_here_by_default(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(init, ["--template", "rocking", "--template", "strain"])
        assert result.exit_code == 0
        assert {p.name for p in tmp_path.iterdir()} == {"rocking.toml", "strain.toml"}

    def test_never_overwrites_unless_told(self, tmp_path):
        mine = tmp_path / "strain.toml"
        mine.write_text("mine")
        result = CliRunner().invoke(init, ["--dest", str(tmp_path)])
        assert isinstance(result.exception, InputError)
        told = "exists: use --overwrite or another --dest"
        assert str(result.exception) == f"--dest = {str(mine)!r}: {told}"
        assert mine.read_text() == "mine"
        assert list(tmp_path.iterdir()) == [mine]
        # What is no experiment stays even so.
        forced = CliRunner().invoke(init, ["--dest", str(tmp_path), "--force"])
        assert "is not a template" in str(forced.exception)
        assert mine.read_text() == "mine"
        mine.write_text("[camera]\nseed = 5\n")
        forced = CliRunner().invoke(init, ["--dest", str(tmp_path), "--force"])
        assert forced.exit_code == 0
        assert mine.read_text() == TEMPLATES["strain"].text

    @pytest.mark.parametrize("force", [[], ["--force"]])
    def test_mistakes_are_told_before_anything_is_written(self, tmp_path, force):
        blocker = tmp_path / "file"
        blocker.write_text("")
        (tmp_path / "folder" / "strain.toml").mkdir(parents=True)
        for arguments, message in (
            (["--template", "nope"], "--template = 'nope': must be one of default, weak-beam,"),
            (["--dest", str(blocker)], "must be a folder"),
            (["--dest", str(blocker / "below")], "which is no folder"),
            (["--dest", str(tmp_path / "folder")], "is a folder; give a file"),
            (["--dest", "/proc/none"], "/proc/none"),
        ):
            result = CliRunner().invoke(init, arguments + force)
            assert isinstance(result.exception, InputError), arguments
            assert message in str(result.exception)
            assert len(str(result.exception).splitlines()) == 1
        assert {p.name for p in tmp_path.iterdir()} == {"file", "folder"}
        assert [p.name for p in (tmp_path / "folder").iterdir()] == ["strain.toml"]

    def test_lists(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(init, ["--list"])
        assert [line.split()[0] for line in result.output.splitlines()] == [*TEMPLATES, *SCRIPTS]
        assert not list(tmp_path.iterdir())

    def test_help_has_an_example(self):
        assert "  weakbeam init --dest" in CliRunner().invoke(init, ["--help"]).output


def test_two_of_the_four_reflections_are_in_the_weak_beam():
    experiment = TEMPLATES["reflections"].experiment.with_settings(
        ["camera.pixels=[9, 9]", "camera.pixel_nm=900"]
    )
    images = simulate(experiment, workers=1).images.values
    background = np.median(images.reshape(4, -1), axis=1)
    assert sorted(background > 0.5) == [False, False, True, True]
    assert sorted(background)[1] < 0.05
