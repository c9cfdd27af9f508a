"""Arrays that know their axes, and what notebooks show."""

import copy
import pickle
from html.parser import HTMLParser

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.run.labelled import LabelledArray


def array(*lengths, start=0.0):
    dims = ("phi", "chi", "x", "y")[-len(lengths) :] if len(lengths) > 1 else ("phi",)
    coords = {dim: start + 1e-4 * np.arange(n) for dim, n in zip(dims, lengths, strict=True)}
    values = np.arange(np.prod(lengths), dtype=float).reshape(lengths)
    units = {"phi": "rad", "x": "um", "y": "um", "values": "counts"}
    return LabelledArray(values, dims, coords, units, {"values": "intensity"})


@pytest.fixture(scope="module")
def run():
    scan = {"phi": wb.AngleAxis(half_range_mrad=0.3, steps=5)}
    return wb.simulate(wb.Experiment().replace(camera={"pixels": (8, 12)}, scan=scan))


@pytest.mark.parametrize(
    "key",
    [
        2,
        -1,
        slice(1, 4),
        (..., 3),
        (slice(None), 2),
        (1, ..., slice(0, 2)),
        (slice(None, None, -1),),
    ],
)
def test_parts_are_those_of_the_values_and_keep_their_axes(key):
    whole = array(5, 4, 6)
    part = whole[key]
    np.testing.assert_array_equal(part.values, whole.values[key])
    for dim in part.dims:
        assert set(part.coords[dim]) <= set(whole.coords[dim])
    assert part.units == whole.units


def test_parts_by_position():
    whole = array(5, 4, 6)
    dim = whole.dims[0]
    assert whole.nearest(**{dim: 2.1e-4}).values[0, 0] == whole.values[2, 0, 0]
    inside = whole.within(x=(0.9e-4, 2.1e-4))
    np.testing.assert_array_equal(inside.values, whole.values[:, 1:3])
    np.testing.assert_array_equal(inside.coords["x"], [1e-4, 2e-4])
    with pytest.raises(KeyError, match="z: the axes are"):
        whole.within(z=(0, 1))
    with pytest.raises(ValueError, match="no position lies from 5 to 6"):
        whole.within(x=(5, 6))


@pytest.mark.parametrize("key", [1.5, None, [0, 1], np.array([True] * 5)])
def test_other_indices_are_refused(key):
    with pytest.raises(TypeError, match="whole numbers"):
        array(5, 4)[key]
    with pytest.raises(IndexError):
        array(5, 4)[0, 0, 0]


def test_arithmetic_keeps_the_axes():
    a = array(3, 4)
    for result, expected in (
        (2.0 * a - a / 4.0, 2.0 * a.values - a.values / 4.0),
        (a - a, np.zeros((3, 4))),
        (a - a.values.mean(), a.values - a.values.mean()),
        (a.values + a, 2.0 * a.values),
        (np.sqrt(a), np.sqrt(a.values)),
        (a > 3, a.values > 3),
        (-a, -a.values),
    ):
        assert isinstance(result, LabelledArray)
        assert result.dims == a.dims
        np.testing.assert_array_equal(result.values, expected)
    assert (a - a).units["values"] == "counts"
    assert "values" not in (a * a).units


def test_arrays_at_other_places_do_not_add():
    with pytest.raises(wb.InputError, match="other positions along this axis"):
        array(3, 4) - array(3, 4, start=5e-5)
    with pytest.raises(wb.InputError, match="must be those of the other array"):
        array(3, 4) - array(4, 4)
    with pytest.raises(ValueError, match="do not have this shape"):
        array(3, 4) + np.zeros((2, 3, 4))


def test_copies_and_pickles(run):
    for again in (copy.copy(run), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        np.testing.assert_array_equal(again.images, run.images)
        assert again.experiment == run.experiment


def test_what_is_shown_is_short():
    assert repr(wb.Experiment()) == "Experiment()"
    changed = wb.Experiment().replace(beam={"energy_keV": 19.0})
    assert repr(changed) == "Experiment(beam=Beam(energy_keV=19.0))"
    assert changed.differences == {"beam.energy_keV": 19.0}
    assert repr(wb.Experiment.from_toml_text(wb.Experiment().to_toml())) == "Experiment()"
    assert "phi: 5 (0 … 0.4 mrad)" in repr(array(5))


class _Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_pages_show_pictures_axes_and_differences(run):
    for shown, pictures in (
        (run, 1),
        (run.images[0], 1),
        (run.images[:, 3, 4], 1),
        (run.plot(), 2),
    ):
        page = _Balanced()
        text = shown._repr_html_()
        page.feed(text)
        assert page.open == []
        assert page.seen.count("img") >= pictures
    assert "camera.pixels" in run._repr_html_()
    assert "<b>image</b>" in run.plot()._repr_html_()
    assert run.images[0].plot()._repr_png_().startswith(b"\x89PNG")


def test_a_difference_is_drawn_on_both_sides_of_zero(run):
    figure = (run.images[4] - run.images[0]).plot(title="difference")
    (image,) = figure.axes[0].images
    assert image.norm.vmin == pytest.approx(-image.norm.vmax)
    with pytest.raises(wb.InputError, match="allowed are limits, scale, title"):
        run.images.plot(colour="red")
    with pytest.raises(wb.InputError, match="choose a part"):
        run.images[..., 0].plot()


def test_xarray_has_units_and_names(run):
    xarray = pytest.importorskip("xarray")
    data = run.to_xarray()
    assert isinstance(data, xarray.DataArray)
    assert data.dims == ("phi", "x", "y")
    assert data.coords["phi"].attrs["units"] == "rad"
    assert "beam" in data.coords["x"].attrs["long_name"]
    assert "experiment" in run.to_dataset().attrs


def test_a_package_that_lacks_is_named(run, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(wb.InputError, match="to_xarray: needs the package xarray"):
        run.to_xarray()
