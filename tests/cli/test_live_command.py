"""``weakbeam live``: what it refuses before a server starts, and that it starts and ends."""

import signal
import subprocess
import sys
import urllib.request

import pytest


def test_other_machines_are_let_in_only_on_purpose(weakbeam):
    result = weakbeam("live", "--host", "0.0.0.0", "--no-browser")
    assert result.status == 2
    assert "--host = '0.0.0.0'" in result.err
    assert "--yes" in result.err
    assert "unencrypted" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such.toml"], "no-such.toml"),
        (["--set", "beam.energy_keV=-1"], "beam.energy_keV"),
        (["a.toml", "-c", "b.toml"], "differ"),
        (["--set", "camera.pixels=[90000, 90000]"], "camera.pixels"),
    ],
)
def test_mistakes_end_in_a_line(weakbeam, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = weakbeam("live", "--no-browser", *arguments)
    assert result.status == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_without_the_extra_it_tells_how_to_get_it(weakbeam, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    result = weakbeam("live", "--no-browser", "--set", "camera.pixels=[8, 10]")
    assert result.status == 2
    assert "pip install 'weakbeam[live]'" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_serves_the_page_until_ctrl_c(tmp_path):
    pytest.importorskip("websockets")
    command = [sys.executable, "-m", "weakbeam", "live", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--set", "camera.pixels=[8, 10]"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=20) as page:
            assert b"weakbeam live" in page.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert said == "weakbeam: the microscope is closed\n"
    assert process.returncode == 0
