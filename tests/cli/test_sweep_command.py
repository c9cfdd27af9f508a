"""``weakbeam sweep``, called as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weakbeam.batch.events import Finished, Found, Lost, Ticked
from weakbeam.batch.manifest import read_sweep
from weakbeam.batch.scripts import SCRIPTS
from weakbeam.batch.shard import compute_shard
from weakbeam.cli import sweep_table
from weakbeam.cli.sweep_table import LiveTable

MANIFEST = """
[[axes]]
key = "scan.chi.value_mrad"
values = [0, 0.1, 0.2]
[[axes]]
key = "beam.energy_keV"
values = [17, 3]
[experiment.camera]
pixels = [6, 8]
"""


class Here:
    """Computes in this process."""

    def __init__(self, folder, digest, *rest):
        self.folder, self.digest = folder, digest

    def __call__(self, shards):
        for shard in shards:
            tasks, failures = compute_shard(self.folder, self.digest, shard)
            yield Ticked(tasks)
            yield Finished(shard, tasks, failures)


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.setattr("weakbeam.batch.run.LocalExecutor", Here)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.toml"
    path.write_text(MANIFEST)
    return path


def test_run_status_and_resume(weakbeam, manifest):
    result = weakbeam("sweep", "m.toml", "-o", "run")
    assert result.status == 1
    lines = result.out.splitlines()
    assert lines[0].startswith("run: 3 of 6 tasks done, 3 failed; ")
    assert [Path(line).name for line in lines[1:]] == ["tasks.csv", "sweep.h5"]
    assert result.err.count("scatters backwards at 3 keV") == 3
    assert result.err.startswith("weakbeam: task 1: reflection.hkl")
    assert result.err.splitlines()[-1] == (
        f"weakbeam: 3 of 6 tasks failed; {Path('run', 'tasks.csv')} tells why"
    )

    status = weakbeam("sweep", "status", "run")
    assert status.status == 0
    found = dict(line.split(maxsplit=1) for line in status.out.splitlines()[:5])
    assert found == {
        "tasks": "6",
        "done": "3",
        "failed": "3",
        "missing": "0",
        "files": "6 of 6 complete",
    }
    assert "3 x  reflection.hkl" in status.out

    again = weakbeam("sweep", "m.toml", "-o", "run")
    assert again.status == 2
    assert "holds a sweep; --resume goes on with it" in again.err
    assert weakbeam("sweep", "run", "m.toml", "-o", "run", "--resume", "-q").out == ""


def test_missing_and_damaged_files_are_told(weakbeam, manifest):
    weakbeam("sweep", "m.toml", "-o", "run", "-q")
    first = sorted(Path("run/shards").glob("*.h5"))[0]
    first.unlink()
    status = weakbeam("sweep", "status", "run")
    assert status.status == 1
    assert status.err == (
        f"weakbeam: damaged or missing: {first.name}; --resume computes them again\n"
    )
    assert "missing  1" in status.out
    weakbeam("sweep", "m.toml", "-o", "run", "--resume", "-q")
    assert weakbeam("sweep", "status", "run", "--check").status == 0
    first.write_bytes(bytes(first.stat().st_size))
    status = weakbeam("sweep", "status", "run", "--check")
    assert "missing  1" in status.out
    assert "files    5 of 6 complete" in status.out
    assert f"{first.name}; remove them, and --resume computes them again" in status.err
    first.unlink()
    weakbeam("sweep", "m.toml", "-o", "run", "--resume", "-q")
    assert weakbeam("sweep", "status", "run", "--check").status == 0


def test_parts(weakbeam, manifest):
    # Each answers for its own tasks: those of the first are all possible, of the second none.
    assert weakbeam("sweep", "m.toml", "-o", "run", "-q", "--part", "1/2").status == 0
    assert "missing  3" in weakbeam("sweep", "status", "run").out
    result = weakbeam("sweep", "m.toml", "-o", "run", "-q", "--part", "2/2")
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith("weakbeam: 3 of 3 tasks failed; ")
    assert "missing  0" in weakbeam("sweep", "status", "run").out


def test_dry_run_writes_nothing(weakbeam, manifest):
    result = weakbeam("sweep", "m.toml", "--dry-run")
    assert "# tasks    6" in result.out
    assert "# task 5: scan.chi.value_mrad = 0.2, beam.energy_keV = 3" in result.out
    assert [path.name for path in Path().iterdir()] == ["m.toml"]


def test_values_of_a_range_are_shown_rounded(weakbeam, manifest):
    key = "[[axes]]\nkey = 'scan.chi.value_mrad'\n"
    Path("third.toml").write_text(f"{key}values = [{0.1 * 3}, 0.2]\n")
    shown = weakbeam("sweep", "third.toml", "--dry-run").out.splitlines()[-2]
    assert shown == "# task 0: scan.chi.value_mrad = 0.3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.toml"], "no.toml: cannot be read: No such file or directory"),
        (["m.toml", "--part", "3/2"], "--part = '3/2': must be K/N with K from 1 to N, such as"),
        (["many.toml"], "many.toml: describes 10000000 tasks; --yes starts so many"),
        (["bad.toml"], "axes[0].kee = 'camera.seed': unknown key; did you mean axes[0].key?"),
        (["status", "nowhere"], "nowhere: holds no sweep"),
        (["m.toml", "-o", "m.toml"], "--output = 'm.toml': is a file; it must be a folder"),
        (["m.toml", "--executor", "pbs"], "Invalid value for '--executor'"),
    ],
)
def test_mistakes(weakbeam, manifest, arguments, message):
    seeds = "[[axes]]\nkey = 'camera.seed'\nseeds = 10000000\n"
    Path("many.toml").write_text(seeds + "[experiment.camera]\nmodel = 'pco_edge'\n")
    Path("bad.toml").write_text(seeds.replace("key", "kee"))
    result = weakbeam("sweep", *arguments)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1


def test_lost_files_end_with_status_1(weakbeam, manifest, monkeypatch):
    class Loses(Here):
        def __call__(self, shards):
            yield Lost(next(shards), "its process was ended by SIGKILL")
            yield from super().__call__(shards)

    monkeypatch.setattr("weakbeam.batch.run.LocalExecutor", Loses)
    result = weakbeam("sweep", "m.toml", "-o", "run", "-q")
    assert result.status == 1
    assert "1 files could not be computed (its process was ended by SIGKILL); --resume" in (
        result.err
    )


def test_ctrl_c_ends_with_a_line_below_the_table(weakbeam, manifest, monkeypatch):
    class Interrupted(Here):
        def __call__(self, shards):
            yield Ticked(1)
            raise KeyboardInterrupt

    monkeypatch.setattr("weakbeam.batch.run.LocalExecutor", Interrupted)
    monkeypatch.setattr(LiveTable, "_is_terminal", property(lambda self: True))
    result = weakbeam("sweep", "m.toml", "-o", "run")
    assert result.status == 130
    assert result.err.endswith("\nweakbeam: interrupted; --resume goes on with the sweep\n")
    assert result.err.count("tasks") == 1


def test_the_table_in_a_log_and_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sweep_table, "LINE_EVERY_SECONDS", 0.0)
    table = LiveTable(10, 3)
    for event in (Found(4), Ticked(2), Finished(0, 2, 1), Lost(3, "gone")):
        table(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].split() == ["tasks", "failed", "lost", "files", "images/s", "time", "left"]
    assert lines[-1].split()[:3] == ["6/10", "1", "1"]
    monkeypatch.setattr(LiveTable, "_is_terminal", property(lambda self: True))
    table = LiveTable(10, 3)
    table(Ticked(10))
    table.close()
    said = capsys.readouterr().err
    assert said.count("\r") >= 1
    assert said.endswith("\n")


def test_the_template_is_a_sweep(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(SCRIPTS["sweep"].text)
    assert read_sweep(path).count == 40
    # What is commented out can be used as it is.
    lines = [
        line[2:] if line.startswith("# ") and " = " in line.partition("  #")[0] else line
        for line in SCRIPTS["sweep"].text.splitlines()
        if not line.startswith(("# base", "# key", "# seeds", "# scale"))
    ]
    path.write_text("\n".join(lines))
    assert read_sweep(path).manifest.executor.queue == "long"
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("name", "number"), [("slurm", "SLURM_ARRAY_TASK_ID"), ("lsf", "LSB_JOBINDEX")]
)
def test_batch_scripts_make_a_sweep(weakbeam, manifest, name, number):
    script = SCRIPTS[name].text.replace("PARTS=8", "PARTS=2").replace("sweep.toml", "m.toml")
    Path("job.sh").write_text(script)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    jobs = [
        subprocess.Popen(["bash", "job.sh"], env=os.environ | {"PATH": programs, number: str(k)})
        for k in (1, 2)
    ]
    # The second has all tasks that are not possible.
    assert [job.wait(120) for job in jobs] == [0, 1]
    assert "missing  0" in weakbeam("sweep", "status", "sweep").out
