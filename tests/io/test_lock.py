"""One run at a time in a folder, also after runs that died."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import threading

import pytest

from weakbeam.errors import InputError
from weakbeam.io.lock import Holder, held, holder_of, is_running

HOLDER = """
import sys
from pathlib import Path
from weakbeam.io.lock import held
with held(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds a lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "a.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def refused(path) -> str:
    with pytest.raises(InputError, match="is in use by") as error, held(path):
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_lock_is_there_while_it_is_held_and_gone_afterwards(tmp_path):
    path = tmp_path / "a.lock"
    with held(path):
        assert [item.name for item in tmp_path.iterdir()] == ["a.lock"]
        assert holder_of(path) == Holder.here()
        refused(path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), held(path):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_living_process_is_refused_by_its_number(tmp_path, other):
    path = tmp_path / "a.lock"
    assert f"process {other.pid} on" in refused(path)
    assert path.exists()
    other.stdin.close()
    other.wait()
    with held(path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, other):
    path = tmp_path / "a.lock"
    other.kill()
    other.wait()
    assert path.exists()
    assert holder_of(path) is None
    with held(path):
        assert holder_of(path) == Holder.here()
    assert not path.exists()


def test_a_process_that_got_the_number_of_a_dead_one_holds_nothing(tmp_path):
    me = Holder.here()
    if not me.started:
        pytest.skip("nothing tells processes of one number apart here")
    path = tmp_path / "a.lock"
    path.write_text(json.dumps({"host": me.host, "pid": me.pid, "started": "another boot 17"}))
    with held(path):
        assert holder_of(path) == me


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"host": 1}',
        '{"host": "beamline", "pid": 1, "started": ""}',
        json.dumps({"host": platform.node(), "pid": -1, "started": ""}),
        "\xff",
    ],
)
def test_locks_of_other_computers_and_unknown_ones_stay(tmp_path, text):
    path = tmp_path / "a.lock"
    path.write_bytes(text.encode("latin-1"))
    assert f"delete {path}" in refused(path)
    assert path.read_bytes() == text.encode("latin-1")


def test_one_of_many_threads_gets_it(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text(json.dumps({"host": platform.node(), "pid": 2**22 + 1, "started": ""}))
    inside, most, outcomes = 0, 0, []
    start = threading.Barrier(8)
    counting = threading.Lock()

    def attempt():
        nonlocal inside, most
        start.wait()
        for _ in range(20):
            try:
                with held(path):
                    with counting:
                        inside += 1
                        most = max(most, inside)
                    with counting:
                        inside -= 1
                outcomes.append("held")
            except InputError:
                outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 160
    assert "held" in outcomes
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_processes_that_run_and_that_do_not():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
        process.kill()
        process.wait()
    assert not is_running(process.pid)
    assert not is_running(2**80)
