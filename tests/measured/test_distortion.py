"""The distortion from scans of the package's own engine, against the field that was put in."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.measured.distortion import distortion
from weakbeam.run.record import record

COMMON = """
preset = "id06-oblique"
[crystal]
material = "Al"
[output]
figures = false
[camera]
pixels = [{pixels}, {pixels}]
pixel_nm = {pitch}
model = "pco_edge"
photons_per_s = 20000.0
"""
PAIRS = (([-1, -1, 3], [1, 1, 3], "phi", "chi"), ([-1, 1, 3], [1, -1, 3], "chi", "phi"))
LINE = """
[[defects]]
plane = [1, 1, 1]
burgers = [1, -1, 0]
character_deg = {character}
position_um = [0.05, 0.03, 0.0]
"""
LOOP = """
[[defects]]
kind = "loop"
burgers = [1, -1, 0]
plane = [1, 1, 1]
radius_um = 1.2
position_um = [0.0, 0.0, 0.3]
"""


def experiments(defects, pixels, pitch, rock, roll, arm):
    """An experiment for each pair of reflections, which rock with φ and with χ."""
    texts = []
    for first, second, rocking, rolling in PAIRS:
        text = COMMON.format(pixels=pixels, pitch=pitch) + defects
        for hkl, solution in ((first, 1), (second, 2)):
            text += f'[[reflections]]\nhkl = {hkl}\ngeometry = "oblique"\nsolution = {solution}\n'
        for motor, half, steps in (
            (rocking, 0.3, rock),
            (rolling, 1.8, roll),
            ("two_theta", 0.75, arm),
        ):
            text += f"[scan.{motor}]\nhalf_range_mrad = {half}\nsteps = {steps}\n"
        texts.append(Experiment.from_toml_text(text, "pair.toml"))
    return texts


def recorded(pairs, folder):
    """The files of the pairs."""
    for number, experiment in enumerate(pairs):
        record(experiment, folder / str(number))
    return [folder / str(number) / "weakbeam.h5" for number in range(len(pairs))]


def truth(result, experiment):
    """β of the experiment's defects at the places, in the axes of the grid."""
    places = result.sheet.places.reshape(-1, 2)
    points = np.column_stack([places, np.zeros(len(places))]) @ result.sheet.axes
    gradient = np.zeros((9, len(points)))
    assemble(experiment).field_at().add_to(gradient, np.ascontiguousarray(points.T))
    beta = result.sheet.axes @ gradient.T.reshape(-1, 3, 3) @ result.sheet.axes.T
    return beta.reshape(*result.shape, 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defects", "least"),
    [(LINE.format(character=0.0), 1.0), (LINE.format(character=30.0), 1.0), (LOOP, 2.2)],
    ids=["edge", "sixty", "loop"],
)
def test_what_was_put_in_comes_out(tmp_path, defects, least):
    pairs = experiments(defects, 40, 150.0, 35, 9, 6)
    result = distortion(recorded(pairs, tmp_path))
    places = np.hypot(*result.sheet.places.reshape(-1, 2).T).reshape(result.shape)
    far = np.isfinite(result.beta).all(axis=(2, 3)) & (places > least)
    away = (result.beta - truth(result, pairs[0]))[far]
    assert np.abs(away).mean() < 1e-6
    assert 0.8 < ((away / result.beta_error[far]) ** 2).mean() < 1.2
    assert not any("CONTRADICT" in note or "off its geometry" in note for note in result.notes)
    circuit = result.circuit([(-2, -2), (2, -2), (2, 2), (-2, 2)])
    if "loop" in defects:
        assert not circuit.lattice.any()
    else:
        assert np.allclose(np.abs(circuit.lattice), [0.5, 0.5, 0.0])
        known = np.array([1.0, -1.0, 0.0]) * result.shortest_burgers / np.sqrt(2.0)
        assert np.abs(circuit.crystal - known).max() < 0.02 * result.shortest_burgers


def test_motors_that_do_not_rock_are_told(tmp_path):
    # φ has the fine steps, and these reflections rock with χ.
    pairs = experiments("", 4, 500.0, 9, 5, 3)
    text = (
        pairs[1].to_toml().replace("[scan.chi]", "[scan.tmp]").replace("[scan.phi]", "[scan.chi]")
    )
    swapped = Experiment.from_toml_text(text.replace("[scan.tmp]", "[scan.phi]"), "swapped.toml")
    experiment = swapped.with_settings(["camera.model=ideal", "scan.chi.half_range_mrad=1.8"])
    result = distortion(recorded([experiment], tmp_path))
    assert any("chi are" in note and "light falls between" in note for note in result.notes)
    assert any("without noise" in note for note in result.notes)
    assert np.isnan(result.beta_error).all()


def test_sheets_that_are_not_parallel_are_refused(tmp_path):
    text = COMMON.format(pixels=4, pitch=500.0).replace('"id06-oblique"', '"id06"')
    text += "[scan.phi]\nhalf_range_mrad = 0.3\nsteps = 9\n"
    for hkl in ([-1, 1, -1], [2, 0, 0]):
        text += f"[[reflections]]\nhkl = {hkl}\n"
    with pytest.raises(InputError, match="share a line, not a map"):
        distortion(recorded([Experiment.from_toml_text(text, "two.toml")], tmp_path))
