"""Files that are damaged in every way: each command ends with a status and a line."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import h5py
import pytest
from bliss_files import angles, frames, write_bliss
from damage import DAMAGES

from weakbeam.experiment import Experiment
from weakbeam.identify.library.writing import generate_images
from weakbeam.run.record import record

KEYS = [
    "camera.pixels=[6, 8]",
    "camera.oversampling=point",
    "scan.phi.half_range_mrad=0.3",
    "scan.phi.steps=4",
]
SMALL = Experiment().with_settings([*KEYS, "output.figures=false", "output.field=true"])
FEW = ["camera.pixels=[6, 8]", "camera.oversampling=point", "scan.phi.value_mrad=0.1"]
STORED = "--set=defects=[{{kind='stored',file='{f}'}}]"
TINY = "--set=camera.pixels=[4, 4]"

RUN = [
    ["show", "{f}", "-o", "new"],
    ["maps", "{f}", "-o", "new", "--format", "none"],
    ["rerun", "{f}"],
    ["rerun", "{f}", "-q"],
    ["forward", "-c", "{d}/experiment.toml", "-o", "{d}", "--resume"],
    ["show", "{f}", "--compare", "-o", "new"],
    ["show", "{f}", "--montage", "--pixel", "1,1", "-o", "new"],
    ["forward", "-o", "new", "--set=output.figures=false", TINY, STORED],
    ["identify", "match", "{f}#2", "-l", "library", "-o", "new", "--max-shift", "1"],
]
KERNEL = ["--set=acceptance.method=kernel", "--set=acceptance.file={f}"]
BLISS = [[part.replace("{f}", "bliss/weakbeam.h5") for part in command] for command in RUN[:5]]
OF_LIBRARY = ["identify", "match", "run/weakbeam.h5#2", "-l", "{f}", "-o", "new"]
MEASURED = [
    ["maps", "esrf.h5", "-o", "new", "--format", "none"],
    ["maps", "esrf.h5", "--list"],
    ["show", "esrf.h5", "-o", "new", "--frame", "1"],
]
COMMANDS = {
    "run/weakbeam.h5": RUN,
    "bliss/weakbeam.h5": RUN[:5],
    "bliss/scan0001/pco_ff_0000.h5": [
        [part.replace("{d}", "bliss") for part in command] for command in BLISS
    ],
    "run/weakbeam_truth.h5": [["show", "{f}", "-o", "new"], ["rerun", "{f}"]],
    "maps/maps.h5": [
        ["show", "{f}", "-o", "new"],
        ["maps", "run/weakbeam.h5", "-o", "maps", "--overwrite", "--format", "none"],
    ],
    "kernel.h5": [
        ["show", "{f}", "-o", "new"],
        ["forward", "-o", "new", "--set=output.figures=false", TINY, *KERNEL],
        ["rerun", "{f}"],
    ],
    "library/library.h5": [OF_LIBRARY, ["rerun", "{f}"], ["show", "{f}", "-o", "new"]],
    "training/training.h5": [OF_LIBRARY, ["rerun", "{f}"]],
    "shard.h5": [["rerun", "{f}"], ["show", "{f}", "-o", "new"]],
    "many/sweep.h5": [["sweep", "status", "many"], ["rerun", "{f}"]],
    "esrf.h5": MEASURED,
    "scan0001/a.h5": MEASURED,
}
REMARKS = r"weakbeam: .*(ended with|aborted scan|stands still|has the detectors|darkest frame)"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound file of each kind."""
    from weakbeam.cli.main import main

    folder = tmp_path_factory.mktemp("sound")
    record(SMALL, folder / "run")
    record(SMALL.with_settings(["output.layout=bliss"]), folder / "bliss")
    library = Experiment().with_settings([*FEW, "identify.character_step_deg=90"])
    generate_images(library, folder / "library")
    several = ["identify.mode=multi", "identify.images=2"]
    generate_images(library.with_settings(several), folder / "training")
    chi, phi = angles()
    sources = [folder / "scan0001" / "a.h5", folder / "scan0001" / "b.h5"]
    title = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.1"
    write_bliss(folder / "esrf.h5", title, {"chi": chi, "phi": phi}, frames(35), sources=sources)
    manifest = (
        '[[axes]]\nkey="beam.energy_keV"\nvalues=[17, 18]\n[experiment.camera]\npixels=[4, 6]\n'
    )
    (folder / "many.toml").write_text(manifest)
    few = ["--rays", "1000", "--bins", "4", "4", "4", "-q"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in (
            ["maps", "run/weakbeam.h5", "-o", "maps", "--format", "none"],
            ["bootstrap", "-o", "kernel.h5", *few],
            ["sweep", "run", "many.toml", "-o", "many", "--workers", "1", "-q"],
        ):
            with pytest.raises(SystemExit) as ended:
                main(line)
            assert not ended.value.code
    shutil.copy(next((folder / "many" / "shards").glob("*.h5")), folder / "shard.h5")
    return folder


def told(weakbeam, sound, tmp_path, file, damage, seed):
    """What a command says of a damaged file, which chance chooses."""
    chance = random.Random(f"{seed} {file} {damage}")
    place = tmp_path / f"{seed}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound, place)
    try:
        DAMAGES[damage](place / file, chance)
    except (OSError, RuntimeError, ValueError, TypeError, LookupError):
        return  # The damage itself found nothing to spoil.
    command = chance.choice(COMMANDS[file])
    arguments = [part.format(f=file, d=Path(file).parent) for part in command]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        result = weakbeam(*arguments)
    case = (seed, file, damage, arguments, result)
    assert result.status in (0, 1, 2), case
    assert "Traceback" not in result.err, case
    lines = [line for line in result.err.splitlines() if not re.match(f"note: |{REMARKS}", line)]
    if result.status:
        assert len(lines) == 1, case
        assert lines[0].startswith("weakbeam: "), case


@pytest.mark.parametrize("file", COMMANDS)
def test_a_command_ends_in_a_line(weakbeam, sound, tmp_path, file):
    chance = random.Random(file)
    for damage in chance.sample(sorted(DAMAGES), 5):
        told(weakbeam, sound, tmp_path, file, damage, 1)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", COMMANDS)
def test_commands_end_in_a_line(weakbeam, sound, tmp_path, file, damage):
    for seed in range(10, 40):
        told(weakbeam, sound, tmp_path, file, damage, seed)


def test_a_stored_experiment_names_its_files_before_they_are_read(weakbeam, sound, tmp_path):
    from weakbeam.experiment.presets import preset_text

    camera = tmp_path / "camera.toml"
    camera.write_text(preset_text("camera_pco_edge"), encoding="utf-8")
    keys = ["camera.model='file'", f"camera.file='{camera}'"]
    file = record(SMALL.with_settings(keys), tmp_path / "run").file
    # As a stranger may have it: the name of any file, outside of the folder of the run.
    with h5py.File(file, "r+") as opened:
        text = opened["1.1/simulation/configuration/data"]
        text[()] = text.asstr()[()].replace("inputs/camera.toml", str(camera))
    camera.unlink()
    for line in (["show", file, "-o", tmp_path / "new"], ["rerun", file]):
        result = weakbeam(*line)
        first, *_, last = result.err.splitlines()
        assert first == f"weakbeam: {file} holds an experiment that reads the file {camera} " + (
            "(camera.file)"
        )
        assert result.status == 2
        assert str(camera) in last


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("1.1/library/types/burgers", "burgers"),
        ("1.1/library/members", "is a training set"),
        ("1.1/library/conditions/perfect_intensity", "perfect_intensity"),
    ],
)
def test_a_library_without_one_of_its_tables(weakbeam, sound, tmp_path, monkeypatch, place, told):
    monkeypatch.chdir(sound)
    file = tmp_path / "library.h5"
    shutil.copy(sound / "library" / "library.h5", file)
    with h5py.File(file, "r+") as opened:
        del opened[place]
    result = weakbeam("identify", "match", "run/weakbeam.h5#2", "-l", file, "-o", tmp_path / "new")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"weakbeam: --library = '{file}': ")
    assert told in line
