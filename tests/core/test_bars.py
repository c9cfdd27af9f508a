"""Bars of progress in notebooks."""

import re

import pytest

import weakbeam as wb
from weakbeam.core.bars import Bar, teller

SMALL = wb.Experiment().replace(
    camera={"pixels": (12, 20)},
    scan={"phi": wb.Axis(half_range_mrad=0.3, steps=11)},
    output={"figures": False},
)


@pytest.fixture
def at_once(monkeypatch):
    """Bars that are drawn from the first moment on."""
    import tqdm.auto

    made = []

    class Now(tqdm.auto.tqdm):
        def __init__(self, **options):
            super().__init__(**(options | {"delay": 0.0, "mininterval": 0.0}))
            made.append(self)

    monkeypatch.setattr("tqdm.auto.tqdm", Now)
    return made


def test_a_bar_counts_to_the_end_and_closes(at_once, capsys):
    bar = Bar(3.0, "frames")
    for amount in (1.0, 0.5, 1.5 + 1e-9):
        bar(amount)
    assert at_once[0].disable  # as tqdm says that a bar is closed
    assert re.search(r"100% .* 3 of 3 frames", capsys.readouterr().err)


def test_only_true_shows_a_bar(at_once):
    def tell(amount):
        return None

    assert teller(None, 1.0) is teller(False, 1.0) is None
    assert teller(tell, 1.0) is tell
    assert isinstance(teller(True, 1.0), Bar)


@pytest.mark.parametrize("verb", ["simulate", "record", "map_scan", "compare", "identify"])
def test_verbs_count_to_the_end_of_their_bars(verb, at_once, tmp_path):
    run = wb.simulate(SMALL)
    if verb != "simulate":
        file = wb.record(SMALL, tmp_path / "run").file
    calls = {
        "simulate": lambda: wb.simulate(SMALL, progress=True),
        "record": lambda: wb.record(SMALL, tmp_path / "again", progress=True),
        "map_scan": lambda: wb.map_scan(wb.read_scan(file), progress=True),
        "compare": lambda: wb.compare([file, file], progress=True),
        "identify": lambda: wb.identify(
            run,
            SMALL.replace(identify={"planes": [(1, 1, 1)], "character_step_deg": 90}),
            max_shift=2,
            refine=0,
            progress=True,
        ),
    }
    calls[verb]()
    assert len(at_once) == 1
    assert at_once[0].n == pytest.approx(at_once[0].total)
    assert at_once[0].disable
