"""Files for dfxm-identify become libraries and training sets."""

import tomllib

import numpy as np
import pytest

from weakbeam.compat.conversion import convert
from weakbeam.errors import InputError


def conversion(text, **options):
    return convert(tomllib.loads(text), **options)


def identify(text, **options):
    return conversion(text, **options).experiment.identify


def test_a_file_for_dfxm_forward_has_no_table():
    assert identify("[scan.phi]\nvalue = 1e-4\n") is None
    assert identify("[scan.phi]\nvalue = 1e-4\n", identify=True).mode == "single"


def test_the_default_is_every_type_in_steps_of_ten_degrees():
    found = identify('mode = "single"')
    assert (found.mode, found.character_step_deg, found.planes) == ("single", 10.0, None)
    assert found.noise
    assert identify('mode = "single"\n[detector]\nmodel = "ideal"\n').noise is None


def test_one_plane_some_burgers_vectors_some_angles():
    found = identify(
        "[crystal]\nslip_plane_normal = [1, -1, 1]\nsweep_all_slip_planes = false\n"
        "b_vector_indices = [0, 5]\n"
        "angle_start_deg = 30\nangle_stop_deg = 60\nangle_step_deg = 15\n"
    )
    assert found.planes == ((1, -1, 1),)
    assert found.burgers == ((1, 1, 0), (0, -1, -1))
    assert found.characters_deg == (30.0, 45.0, 60.0)
    assert np.array(found.burgers) @ found.planes[0] == pytest.approx(0)


def test_numbered_burgers_vectors_of_all_planes():
    found = conversion('mode = "single"\n[crystal]\nb_vector_indices = [0]\n')
    vectors = found.experiment.identify.burgers
    assert set(vectors) == {(-1, 1, 0), (1, 1, 0), (1, -1, 0), (-1, -1, 0)}
    assert any("b_vector_indices" in line for line in found.notes.changes)


def test_training_sets():
    found = conversion(
        'mode = "multi"\n[multi]\nn_samples = 12\npos_std_um = 5.0\n'
        "render_per_dislocation = true\n[detector]\nrng_seed = 3\n"
    )
    table = found.experiment.identify
    assert (table.images, table.dislocations, table.labels, table.seed) == (12, 2, True, 3)
    assert found.experiment.camera.seed == 3
    assert any("multi.pos_std_um: ignored" in line for line in found.notes.ignored)


def test_heights_and_scans_in_degrees():
    found = conversion(
        'mode = "z-scan"\n[zscan]\nz_offsets_um = [-2.0, 0, 2]\ninclude_secondary = true\n'
        "[scan.phi]\nrange = 0.034377467707849395\nsteps = 21\n"
    )
    assert found.experiment.scan.z.positions == (-2.0, 0.0, 2.0)
    assert found.experiment.scan.phi.half_range_mrad == pytest.approx(0.6)
    assert any(line.startswith("scan.phi") and "degrees" in line for line in found.notes.changes)
    assert any("include_secondary" in line for line in found.notes.ignored)


def test_one_height_is_no_scan():
    found = conversion('mode = "z-scan"\n[zscan]\nz_offsets_um = [1.5]\n').experiment
    assert found.identify.mode == "single"
    assert found.scan.z.positions == (1.5,)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('mode = "x"', "mode"),
        ('mode = "z-scan"', "zscan.z_offsets_um"),
        ('mode = "z-scan"\n[zscan]\nz_offsets_um = ["a"]', "zscan.z_offsets_um"),
        ('mode = "multi"\n[multi]\nn_samples = 0', "multi.n_samples"),
        ("[crystal]\nangle_step_deg = 0", "crystal.angle_step_deg"),
        ("[crystal]\nb_vector_indices = [6]", "crystal.b_vector_indices"),
        ("[crystal]\nb_vector_indices = []", "crystal.b_vector_indices"),
        (
            "[crystal]\nsweep_all_slip_planes = false\nslip_plane_normal = [1, 0, 0]\n"
            "b_vector_indices = [0]",
            "crystal.b_vector_indices",
        ),
    ],
)
def test_mistakes(text, key):
    with pytest.raises(InputError) as raised:
        conversion(text)
    assert raised.value.key == key
