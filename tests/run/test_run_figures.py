"""The figures of a run: which there are, what they tell, and that none of them fails."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from matplotlib.text import Text

from weakbeam import simulate
from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Engine
from weakbeam.plot.files import save_all
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.figures import draw_file
from weakbeam.run.frames import predicted_centers
from weakbeam.run.record import record
from weakbeam.run.scan_data import frame_to_show
from weakbeam.run.simulate import center_of_mass, draw_run

SMALL = Experiment().with_settings(
    ["camera.pixels=[9, 12]", "camera.pixel_nm=300", "output.figures=false"]
)
ROCKING = SMALL.with_settings(["scan.phi.half_range_mrad=0.6", "scan.phi.steps=31"])

ODD_SCANS = {
    "one pixel": ["camera.pixels=[1, 1]", "scan.phi.values_mrad=[0, 0.1]"],
    "one row": ["camera.pixels=[1, 12]"],
    "one column": ["camera.pixels=[12, 1]", "scan.chi.values_mrad=[0, 0.1]"],
    "no defect": ["defects=[]", "scan.phi.values_mrad=[0, 0.1]"],
    "dark": ["scan.phi.values_mrad=[99, 100]"],
    "dark counts": ["scan.phi.values_mrad=[99, 100]", "camera.model=pco_edge"],
    "equal positions": ["scan.phi.values_mrad=[0.1, 0.1]"],
    "tiny range": ["scan.phi.half_range_mrad=1e-9", "scan.phi.steps=3"],
    "layers": ["scan.z.values_um=[0, 1]"],
    "four motors": [
        "scan.z.values_um=[0, 1]",
        "scan.two_theta.values_mrad=[0, 0.1]",
        "scan.chi.values_mrad=[0, 0.1]",
        "scan.phi.values_mrad=[0, 0.1]",
    ],
    "no cuts": ["objective.aperture_mrad=inf", "beam.divergence_vertical_clip_mrad=inf"],
    "no core": ["crystal.core_radius_nm=0", "camera.pixels=[11, 11]"],
    "high energy": ["beam.energy_keV=200"],
}


@pytest.fixture(scope="module")
def rocking():
    """A rocking scan in memory."""
    return simulate(ROCKING)


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("settings", ODD_SCANS.values(), ids=list(ODD_SCANS))
def test_any_scan_can_be_drawn(tmp_path, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = draw_run(simulate(SMALL.with_settings(settings)))
        save_all(figures, tmp_path)
    assert {"image", "rocking", "acceptance"} <= set(figures)


def test_figures_of_the_file_are_those_of_the_run(tmp_path, rocking):
    result = record(ROCKING, tmp_path)
    from_file, from_run = draw_file(result.file), draw_run(rocking)
    assert from_file.keys() == from_run.keys() == {"image", "rocking", "acceptance", "maps"}
    for name, figure in from_file.items():
        assert texts(figure) == texts(from_run[name])
    np.testing.assert_array_equal(
        from_file["image"].axes[0].images[0].get_array(),
        from_run["image"].axes[0].images[0].get_array(),
    )


def test_the_frame_that_is_shown_has_its_number(rocking):
    setup = assemble(ROCKING)
    number = frame_to_show(Acquisition(setup, setup.scans[0]))
    figures = draw_run(rocking)
    assert f"frame {number} of 0 to 30" in texts(figures["image"])
    assert f"frame {number}: " in texts(figures["rocking"])
    alone = draw_run(simulate(SMALL))
    assert "frame" not in texts(alone["image"])
    assert "this image" in texts(alone["rocking"])


def test_frame_on_the_flank_is_shown():
    setup = assemble(ROCKING)
    scan = setup.scans[0]
    acquisition = Acquisition(setup, scan)
    phi = scan.positions["phi"][frame_to_show(acquisition)]
    assert 0.13e-3 < phi < 0.17e-3
    done = np.zeros(scan.frames, bool)
    done[3] = True
    assert frame_to_show(acquisition, done) == 3


def test_an_image_says_what_it_shows(rocking):
    said = texts(draw_run(rocking)["image"])
    assert "Al (−1 1 −1), 17 keV, beam 0.15 µm high" in said
    assert "φ = 0.16, χ = 0, Δ2θ = 0 mrad, frame 19 of 0 to 30" in said


def test_the_perfect_crystal_is_scanned_as_the_motors_are():
    """In a scan of the strain φ follows the arm: at the Bragg angle the curve has its peak."""
    strain = ["scan.strain.half_range_mrad=1", "scan.strain.steps=41"]
    figure = draw_run(simulate(SMALL.with_settings(["defects=[]", *strain])))["rocking"]
    line, points = figure.axes[0].lines[:2]
    assert line.get_label() == "perfect crystal"
    assert line.get_ydata().max() == pytest.approx(1.0, abs=1e-3)
    curve = np.interp(points.get_xdata(), line.get_xdata(), line.get_ydata())
    np.testing.assert_allclose(points.get_ydata(), curve, atol=2e-3)
    assert 0.1 < curve.mean() < 0.9


def test_options_of_the_image_are_those_of_its_figure(tmp_path):
    path = record(ROCKING, tmp_path).file
    options = {"limits": (0.1, 0.3), "scale": "log", "lit_only": True}
    drawn = draw_file(path, 0, options)["image"].axes[0].images[0]
    assert drawn.get_clim() == (0.1, 0.3)
    assert drawn.norm(0.2) == pytest.approx(np.log(2.0) / np.log(3.0))
    assert drawn.get_array().size < 9 * 12


def test_a_weak_beam_image_is_not_saturated():
    """The bar ends at most of what the image reaches, though a few pixels of many are lit."""
    weak = ["camera.pixels=[85, 101]", "camera.pixel_nm=80", "scan.phi.value_mrad=0.2"]
    run = simulate(Experiment().with_settings(weak))
    image = draw_run(run)["image"].axes[0].images[0]
    highest = float(run.images.values.max())
    assert 0.7 * highest < image.norm.vmax <= highest
    assert np.percentile(run.images.values, 99.0) < 0.1 * highest


def test_no_frame_no_figure(tmp_path):
    def interrupt(amount):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(ROCKING, tmp_path, progress=interrupt)
    with pytest.raises(InputError, match="no frames yet"):
        draw_file(tmp_path / "weakbeam.h5")


def test_part_of_a_scan_is_drawn_without_maps(tmp_path, monkeypatch):
    monkeypatch.setattr("weakbeam.imaging.engine.BATCH_BYTES", 9 * 12 * 4 * 4)
    left = [12.0]

    def interrupt(amount):
        left[0] -= amount
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(ROCKING, tmp_path, progress=interrupt, workers=1)
    assert set(draw_file(tmp_path / "weakbeam.h5")) == {"image", "rocking", "acceptance"}


def test_prediction_follows_the_maps_in_a_scan_off_centre():
    experiment = SMALL.with_settings(
        ["camera.pixels=[30, 40]", "scan.phi.half_range_mrad=0.4", "scan.phi.steps=41"]
    ).with_settings(["scan.phi.center_mrad=0.1"])
    setup = assemble(experiment)
    engine: Engine = setup.engine()
    predicted = predicted_centers(Acquisition(setup, setup.scans[0]), engine.mean_q()[0])["phi"]
    found = center_of_mass(simulate(experiment)).phi
    far = np.hypot(*np.meshgrid(np.arange(30) - 14.5, np.arange(40) - 19.5, indexing="ij")) > 8
    np.testing.assert_allclose(found[far], predicted[far], atol=3e-7)
    assert np.ptp(found[far]) > 3e-6


def test_labels_name_the_offset_of_an_uneven_scan(rocking):
    uneven = SMALL.with_settings(["scan.phi.values_mrad=[0.1, -0.2, 0.15, 0]"])
    assert "φ − 0.0" in texts(draw_run(simulate(uneven))["maps"])
    assert "−" not in draw_run(rocking)["maps"].axes[0].get_title()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saved_files_are_reproducible_and_nothing_is_logged(tmp_path, caplog, rocking, suffix):
    # One of curves and one of images; fonts take long to write.
    figures, again = (
        {name: drawn[name] for name in ("rocking", "maps")}
        for drawn in (draw_run(rocking), draw_run(simulate(ROCKING)))
    )
    with caplog.at_level(logging.WARNING):
        a = save_all(figures, tmp_path / "a", suffix)
        b = save_all(again, tmp_path / "b", suffix)
    assert [path.read_bytes() for path in a] == [path.read_bytes() for path in b]
    assert caplog.records == []
