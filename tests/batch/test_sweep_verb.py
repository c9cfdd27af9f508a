"""The verb ``sweep`` in Python."""

import numpy as np
import pytest

import weakbeam as wb

SMALL = wb.Experiment().replace(camera={"pixels": (6, 10)}, output={"figures": False})
AXES = {"scan.phi.value_mrad": [-0.15, 0.15], "beam.height_fwhm_um": [0.1, 0.2]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return wb.sweep(SMALL, tmp_path_factory.mktemp("sweep") / "angles", axes=AXES, workers=1)


def test_every_combination_has_its_images(table):
    assert [row["number"] for row in table] == [0, 1, 2, 3]
    assert table.column("scan.phi.value_mrad") == [-0.15, -0.15, 0.15, 0.15]
    assert table.column("beam.height_fwhm_um") == [0.1, 0.2, 0.1, 0.2]
    for row in table:
        alone = SMALL.replace(
            scan={"phi": {"value_mrad": row["scan.phi.value_mrad"]}},
            beam={"height_fwhm_um": row["beam.height_fwhm_um"]},
        )
        expected = wb.simulate(alone).images
        np.testing.assert_array_equal(table.images(row["number"]), expected)


def test_a_sweep_is_gone_on_with_and_a_manifest_gives_the_same(table, tmp_path):
    again = wb.sweep(SMALL, table.folder, axes=AXES, workers=1, resume=True)
    assert list(again) == list(table)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(
        '[[axes]]\nkey = "scan.phi.value_mrad"\nvalues = [-0.15, 0.15]\n'
        '[[axes]]\nkey = "beam.height_fwhm_um"\nvalues = [0.1, 0.2]\n'
        "[experiment.camera]\npixels = [6, 10]\n[experiment.output]\nfigures = false\n"
    )
    other = wb.sweep(manifest, tmp_path / "sweep", workers=1)
    np.testing.assert_array_equal(other.images(2), table.images(2))


def test_what_cannot_be_is_a_row_with_its_reason(tmp_path):
    reflections = {"reflection.hkl": [(-1, 1, -1), (-19, 19, -19)]}
    table = wb.sweep(SMALL, tmp_path / "sweep", axes=reflections, workers=1)
    assert table.column("status") == ["done", "failed"]
    assert table[1]["reason"]
    with pytest.raises(wb.InputError, match="has no images: failed"):
        table.images(1)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (None, "axes: missing"),
        ({}, "axes: missing"),
        ({"beam.height": [1]}, "beam.height"),
        ({"beam.energy_keV": ["blue"]}, "beam.energy_keV"),
    ],
)
def test_mistakes_leave_no_folder(tmp_path, axes, said):
    with pytest.raises(wb.InputError, match=said):
        wb.sweep(SMALL, tmp_path / "sweep", axes=axes)
    assert not (tmp_path / "sweep").exists()


def test_a_folder_that_holds_a_sweep_is_left_alone(table):
    with pytest.raises(wb.InputError):
        wb.sweep(SMALL, table.folder, axes=AXES)
