"""A form has every key of the tables, with the words of the reference page."""

import json

import pytest

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.mistakes import known_keys
from weakbeam.experiment.panel import panel, unit_of, values_of, without_key


def by_path(fields, prefix=""):
    for field in fields:
        path = f"{prefix}{field['key']}"
        yield path, field
        index = "[0]" if field["holds"] in ("tables", "kinds") else ""
        for inner in (field.get("fields", []), *(k["fields"] for k in field.get("kinds", []))):
            yield from by_path(inner, f"{path}{index}.")


FORM = dict(by_path(panel()))


def test_every_key_is_on_the_form_and_no_other():
    kinds = {key for key in known_keys(Experiment) if key.endswith(".kind")}
    assert set(FORM) | kinds == set(known_keys(Experiment)) | kinds


def test_numbers_have_their_range_unit_and_default():
    energy = FORM["beam.energy_keV"]
    assert (energy["holds"], energy["low"], energy["high"]) == ("number", 1, 1000)
    assert (energy["unit"], energy["default"], energy["optional"]) == ("keV", 17.0, False)
    assert FORM["camera.binning"]["holds"] == "integer"
    assert FORM["scan.phi.half_range_mrad"]["optional"]
    assert FORM["scan.phi.half_range_mrad"]["unit"] == "mrad"


def test_what_else_a_key_may_hold():
    assert FORM["objective.vignetting"]["holds"] == "flag"
    assert FORM["beam.profile"]["choices"] == ["gaussian", "box", "tabulated"]
    assert FORM["crystal.cif"]["holds"] == "text"
    assert FORM["crystal.mount"]["holds"] == "value"
    # "auto" or a number is no choice of words.
    assert FORM["camera.depth_samples"]["holds"] == "value"
    assert FORM["objective.stop"]["holds"] == "kind"
    assert {kind["kind"] for kind in FORM["defects"]["kinds"]} >= {"dislocation", "loop", "grid"}
    assert FORM["objective.lens"]["fields"]


def test_the_form_is_plain():
    assert json.loads(json.dumps(panel(), allow_nan=False)) == panel()
    values = values_of(Experiment(beam={"divergence_vertical_clip_mrad": float("inf")}))
    assert values["beam"]["divergence_vertical_clip_mrad"] == "inf"
    json.dumps(values, allow_nan=False)


@pytest.mark.parametrize(
    ("key", "unit"),
    [("energy_keV", "keV"), ("position_um", "µm"), ("theta_max_deg", "°"), ("burgers_nm", "nm"),
     ("lines_per_um2", "1/µm²"), ("counts_per_s", "1/s"), ("distance_m", "m"), ("steps", "")],
)  # fmt: skip
def test_units_stand_in_the_names(key, unit):
    assert unit_of(key) == unit


def test_a_key_that_is_taken_back_was_never_given():
    changed = Experiment(beam={"energy_keV": 19.0, "height_fwhm_um": 0.3})
    back = without_key(changed, ("beam", "energy_keV"))
    assert back == Experiment(beam={"height_fwhm_um": 0.3})
    assert "energy_keV" not in back.beam.model_fields_set
    listed = Experiment().with_settings(["defects[0].position_um=[1, 2, 3]"])
    assert without_key(listed, ("defects", 0, "position_um")).defects[0].position_um == (0, 0, 0)
    for path in (("beam", "nonsense"), ("defects", 3), ("beam", 0), ("camera", "pixels")):
        with pytest.raises(InputError, match="is not given"):
            without_key(changed, path)
    with pytest.raises(InputError, match=r"defects\[0\].line: missing"):
        without_key(listed, ("defects", 0, "line"))
