"""The script of an experiment makes it again."""

import pytest

import weakbeam as wb
from weakbeam.experiment.python_text import PUBLIC, python_text
from weakbeam.experiment.templates import TEMPLATES


def made_by(text):
    names = {}
    exec(text.replace("run = wb.simulate(experiment)\n", ""), names)
    return names["experiment"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_made_again(name):
    experiment = TEMPLATES[name].experiment
    text = python_text(experiment)
    assert made_by(text) == experiment
    assert max(map(len, text.splitlines())) <= 100


def test_what_is_no_public_table_is_a_mapping():
    experiment = wb.Experiment(
        beam={"divergence_vertical_clip_mrad": float("inf"), "spectrum": ({"rms": 1e-4},)},
        objective={"stop": {"kind": "wire", "diameter_um": 50}},
        crystal={"material": None, "cif": 'it\'s "here"\\x.cif', "poisson_ratio": 0.3},
    )
    text = python_text(experiment)
    assert made_by(text) == experiment
    assert '{"kind": "wire", "diameter_um": 50.0}' in text
    assert made_by(python_text(wb.Experiment())) == wb.Experiment()


def test_the_public_tables_are_those_of_the_face():
    assert set(wb.__all__) >= PUBLIC
