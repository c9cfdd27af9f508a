"""What a network is said to hold, counted by hand."""

import network_texts as texts
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.networks.reading import read_network
from weakbeam.run.network_statistics import network_drawing, network_statistics


@pytest.fixture
def network(tmp_path):
    (tmp_path / "a.data").write_text(texts.paradis())
    return read_network(str(tmp_path / "a.data"))


def test_lengths_density_and_burgers_vectors(network):
    lengths = np.array([np.linalg.norm(texts.step(i, j)) for i, j, _ in texts.ARMS])
    found = network_statistics(network)
    assert (found.nodes, found.segments, found.unit) == (10, 11, "b")
    assert found.line_length == pytest.approx(lengths.sum())
    assert found.density_per_m2 is None
    assert found.junctions == {2: 8, 3: 2}
    assert found.imbalance < 1e-9
    shares = {name.split(",")[0]: share for name, (_, share) in found.burgers.items()}
    assert shares["[1 0 1]"] == pytest.approx(lengths[[3, 5, 6]].sum() / lengths.sum())
    assert set(shares) == {"[1 0 1]", "[1 1 0]", "[0 1 -1]"}
    measured = network_statistics(network, 0.25)
    volume = np.prod(np.diag(texts.CELL)) * 0.25e-3**3
    assert measured.density_per_m2 == pytest.approx(1e12 * lengths.sum() * 0.25e-3 / volume)
    assert not any("burgers_length" in text for text in measured.lacks)
    assert any("burgers_length_nm" in line for line in found.lines())
    # The line along x with b = [1 0 1] is at 45 degrees.
    assert sum(found.characters.values()) == pytest.approx(1.0)


def test_it_is_drawn_with_a_colour_for_each_burgers_vector(network):
    drawing = network_drawing(network)
    assert drawing.picture()[1:4] == b"PNG"
    figure = drawing.figure()
    assert len(figure.legends[0].get_texts()) == 3


def test_files_in_µm_have_their_own_unit(tmp_path):
    (tmp_path / "a.csv").write_text(texts.table())
    table = read_network(str(tmp_path / "a.csv"))
    assert network_statistics(table).unit == "µm"
    with pytest.raises(InputError, match="has lengths of its own"):
        network_statistics(table, 0.25)
