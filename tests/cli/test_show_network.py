"""``weakbeam show`` of networks."""

import json

import network_texts as texts
import pytest


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.data"
    path.write_text(texts.paradis())
    return path


def test_a_network_is_counted_and_drawn(weakbeam, network, tmp_path):
    done = weakbeam("show", network, "-o", tmp_path / "out")
    assert done.status == 0
    assert "Σb = 0 at every node" in done.out
    assert "lacks      the length of the Burgers vector" in done.out
    assert (tmp_path / "out/network.png").read_bytes()[1:4] == b"PNG"
    done = weakbeam("show", network, "-o", tmp_path / "out", "--json", "--burgers-length", "0.25")
    assert json.loads(done.out)["segments"] == 11


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--montage"], "is a network; it has no frames"),
        (["--burgers-length", "1e9"], "--burgers-length = 1000000000.0: must be from"),
    ],
)
def test_what_makes_no_sense_is_refused(weakbeam, network, tmp_path, arguments, said):
    done = weakbeam("show", network, "-o", tmp_path / "out", *arguments)
    assert done.status != 0
    assert said in done.err
    assert done.err.count("\n") == 1
