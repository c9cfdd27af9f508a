"""The verb `identify`: files, runs and arrays go in, a table of candidates comes out."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.identify.library.library import make_library

EXPERIMENT = wb.Experiment(
    camera={"pixels": (32, 64), "model": "pco_edge"},
    scan={"phi": wb.Axis(values_mrad=(-0.15, 0.15))},
    identify={"planes": [(1, 1, 1)], "character_step_deg": 90},
    output={"figures": False},
)
TRUE = wb.Dislocation(plane=(1, 1, 1), burgers=(1, -1, 0), character_deg=0)
SEEN = EXPERIMENT.replace(defects=[TRUE])
QUICK = {"refine": 0, "max_shift": 3}


@pytest.fixture(scope="module")
def library():
    return make_library(EXPERIMENT)


@pytest.fixture(scope="module")
def run():
    return wb.simulate(SEEN)


def name_of(found):
    assert found.decided
    return found[0]["burgers"], found[0]["character_deg"]


def test_a_run_tells_where_its_motors_stood(library, run):
    found = wb.identify(run, library, **QUICK)
    assert name_of(found) == ((1, -1, 0), 0.0)
    assert [c.phi for c in found.match.conditions] == [-0.15e-3, 0.15e-3]
    assert found.verdict.startswith(found[0]["type"])
    assert np.diff(found.column("below")).min() >= 0.0
    assert sum(found.column("probability")) == pytest.approx(1.0, abs=1e-6)
    assert abs(found[0]["row_px"]) < 0.2


def test_one_image_of_a_run_is_an_image(library, run):
    found = wb.identify(
        run.images[1:], library, **QUICK, dark=115.0, noise=(2.14, 17.4), exact=True
    )
    assert len(found.match.conditions) == 1
    assert found[0]["burgers"] == (1, -1, 0)


def test_files_arrays_and_experiments_do_as_well(library, run, tmp_path):
    file = wb.record(SEEN, tmp_path / "run").file
    by_file = wb.identify(file, library, **QUICK)
    by_experiment = wb.identify(run, EXPERIMENT, **QUICK)
    told = {"dark": 115.0, "noise": (2.14, 17.4), "exact": True}
    by_arrays = wb.identify(
        list(run.images.values), library, phi_mrad=[-0.15, 0.15], **told, **QUICK
    )
    assert name_of(by_file) == name_of(by_experiment) == ((1, -1, 0), 0.0)
    assert by_arrays[0]["type"] == by_file[0]["type"]
    assert by_file[0] == by_experiment[0]


def test_it_shows_itself(library, run):
    found = wb.identify(run, library, **QUICK)
    assert repr(found).startswith(f"<{found.verdict}: ")
    assert found[0]["type"] in found._repr_html_()
    assert list(found.plot()) == ["match", "ranking"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"turn": True, "refine": 0}, "turn: needs"),
        ({"exact": True, "orientations": True}, "exact: cannot go with"),
        ({"nuisances": {"blurr": 1}}, r"nuisance\.blurr"),
        ({"phi_mrad": [0.1, 0.2, 0.3]}, r"phi_mrad = \[0.1, 0.2, 0.3\]: must be given once"),
        ({"noise": (1.0, -1.0)}, "noise"),
    ],
)
def test_mistakes_name_the_argument(library, run, keys, message):
    with pytest.raises(wb.InputError, match=message):
        wb.identify(run, library, **keys)


def test_what_is_no_image_is_refused(library):
    with pytest.raises(wb.InputError, match="images: float64 of shape"):
        wb.identify(np.zeros(5), library)
