"""Tables whose rows are read by name: reflections and what the lens does."""

import math

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.run.records import Records


def test_rows_and_columns():
    table = Records("rows", [{"a": 1, "b": (1, 2)}, {"a": 2.5, "c": None}])
    assert len(table) == 2
    assert table.columns == ("a", "b", "c")
    assert table.column("b") == [(1, 2), None]
    assert [row["a"] for row in table] == [1, 2.5]
    assert table[1:].column("a") == [2.5]
    assert repr(table) == "<rows: 2 rows of a, b, c>"
    assert "<td>1 2</td>" in table._repr_html_()
    with pytest.raises(KeyError, match="the columns are a, b, c"):
        table.column("d")


def test_reflections_of_aluminium_obey_bragg():
    table = wb.find_reflections(wb.Experiment(), theta_max_deg=21)
    wavelength = 12.39841984 / 17.0
    for row in table:
        assert len({index % 2 for index in row["hkl"]}) == 1
        spacing = 4.0495 / math.hypot(*row["hkl"])
        assert row["d_angstrom"] == pytest.approx(spacing, rel=1e-3)
        angle = math.degrees(math.asin(wavelength / (2.0 * row["d_angstrom"])))
        assert row["theta_deg"] == pytest.approx(angle, abs=1e-4)
        assert angle <= 21.0
    families = {tuple(sorted(map(abs, row["hkl"]))) for row in table}
    assert families == {(1, 1, 1), (0, 0, 2), (0, 2, 2), (1, 1, 3), (2, 2, 2)}


def test_extinction_of_the_dislocation_is_listed():
    """g·b by hand, for every reflection."""
    burgers = np.array([1, 1, 0]) / 2.0
    defect = wb.Dislocation(plane=(1, -1, 1), burgers=(1, 1, 0), character_deg=40)
    table = wb.find_reflections(wb.Experiment(defects=[defect]), sort="visibility")
    for row in table:
        assert row["g_dot_b_0"] == pytest.approx(np.dot(row["hkl"], burgers), abs=1e-9)
    seen = table.column("visibility_0")
    assert seen == sorted(seen, reverse=True)


def test_limits_hold_and_mistakes_name_the_argument():
    experiment = wb.Experiment().replace(beam={"energy_keV": 19.1})
    table = wb.find_reflections(
        experiment, geometry="oblique", theta_max_deg=16, eta_range_deg=(20, 21)
    )
    assert len(table)
    for row in table:
        etas = [row["eta_1_deg"], row["eta_2_deg"]]
        assert all(20 <= eta <= 21 for eta in etas if eta is not None)
    for wrong, key in (
        ({"theta_max_deg": 60}, "theta_max_deg"),
        ({"geometry": "bent"}, "geometry"),
        ({"sort": "colour"}, "sort"),
        ({"eta_range_deg": (0, 5)}, "eta_range_deg"),
        ({"geometry": "oblique", "chi_deg": 3}, "chi_deg"),
        ({"geometry": "oblique", "omega_range_deg": (5, 0)}, "omega_range_deg"),
    ):
        with pytest.raises(wb.InputError) as error:
            wb.find_reflections(experiment, **wrong)
        assert error.value.key == key


def test_a_lens_focuses_where_the_thin_lens_says():
    """1/d1 + 1/d2 = 1/f for a stack that is short against its focal length."""
    table = wb.optics(wb.Experiment(), lenslets=10, radius_um=500.0, pitch_mm=0.01, distance_m=90.0)
    f = 500e-6 / (2 * 10 * table["decrement"])
    assert table["focal_length_m"] == pytest.approx(f, rel=1e-3)
    assert 1 / table["distance_m"] + 1 / table["image_distance_m"] == pytest.approx(1 / f, rel=1e-3)
    assert {row["group"] for row in table} == {"lens", "image", "what passes", "sharpness"}
    with pytest.raises(KeyError, match="focal_length_m"):
        table["focus"]
    with pytest.raises(wb.InputError) as error:
        wb.optics(wb.Experiment(), lenslets=-3)
    assert error.value.key == "lenslets"


def test_pandas_has_the_same_rows():
    pandas = pytest.importorskip("pandas")
    table = wb.find_reflections(wb.Experiment(), theta_max_deg=10)
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["hkl"].tolist() == table.column("hkl")
