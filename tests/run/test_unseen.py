"""What is said of lattices that no setting of a scan shows, and of grids that end in the image."""

import network_texts as texts
import numpy as np
import pytest

from weakbeam.assemble import assemble, assemble_all
from weakbeam.experiment import Experiment, Grid, Network, Uniform
from weakbeam.run.record import record
from weakbeam.run.simulate import simulate
from weakbeam.run.unseen import unseen, unseen_notes

SETTINGS = [
    "camera.pixels=[8, 12]",
    "camera.pixel_nm=100",
    "beam.height_fwhm_um=0.4",
    "output.figures=false",
]


def experiment(*defects, settings=("scan.phi.value_mrad=0.0",)):
    return Experiment(defects=defects).with_settings([*SETTINGS, *settings])


def turned(*mrad):
    return Uniform(rotation_mrad=mrad)


@pytest.mark.parametrize(
    ("settings", "lit", "dark"),
    [
        # φ turns about y and χ about x; about z, the diffraction vector, nothing is to be seen.
        (["scan.phi.value_mrad=0.0"], turned(0.0, 0.05, 50.0), turned(0.0, 2.0, 0.0)),
        (["scan.phi.values_mrad=[-3.0, 3.0]"], turned(0.0, 2.9, 0.0), turned(0.0, 5.0, 0.0)),
        (["scan.chi.values_mrad=[0.0, 9.0]"], turned(0.5, 0.0, 0.0), turned(30.0, 0.0, 0.0)),
    ],
)
def test_lattices_beyond_the_scan_are_told(settings, lit, dark):
    for table, share in ((lit, 0.0), (dark, 1.0)):
        one = experiment(table, settings=settings)
        assert unseen(assemble(one), 0.0).beyond == share
        brightest = simulate(one).images.values.max()
        assert (brightest < 1e-9) == bool(share)
    (note,) = unseen_notes(assemble_all(one))
    assert note.startswith("all of the rays pass a lattice that is turned")


def test_the_side_of_a_scan_counts():
    settings = ["scan.phi.values_mrad=[2.5, 3.0]"]
    shares = [
        unseen(assemble(experiment(turned(0.0, angle, 0.0), settings=settings)), 0.0).beyond
        for angle in (2.5, -2.5)
    ]
    bright = [
        simulate(experiment(turned(0.0, angle, 0.0), settings=settings)).images.values.max()
        for angle in (2.5, -2.5)
    ]
    assert [share == 0.0 for share in shares] == [light > 1e-9 for light in bright]
    assert sorted(shares) == [0.0, 1.0]


def test_grids_that_end_in_the_image_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", beta=np.zeros((3, 3, 3, 3, 3)), spacing_um=(8.0, 0.2, 2.0))
    grid = Grid(file="a.npz", outside="dark")
    result = record(experiment(grid), "run")
    outside, masked = result.notes
    assert outside == "50 % of the rays pass outside of a grid, where nothing diffracts"
    assert masked.endswith("or a grid dark; they do not diffract")
    found = unseen(assemble(experiment(grid)), 0.0)
    assert (found.dark, found.outside, found.beyond) == (0.5, 0.5, 0.0)
    # Raised by more than the grid is high.
    assert unseen(assemble(experiment(grid)), 5.0).outside == 1.0


@pytest.mark.parametrize(("turn_deg", "told"), [(1.0, False), (5.0, True)])
def test_boundaries_of_grains_are_told_unless_a_mask_takes_one(
    tmp_path, monkeypatch, turn_deg, told
):
    monkeypatch.chdir(tmp_path)
    # Two halves: of 8 · 6 · 4 voxels 4 · 6 pairs lie across their boundary.
    angle = np.radians(turn_deg) * (np.arange(8) >= 4)
    c, s, zero, one = np.cos(angle), np.sin(angle), 0.0 * angle, 1.0 + 0.0 * angle
    rows = np.array([[c, -s, zero], [s, c, zero], [zero, zero, one]]).transpose(2, 0, 1)
    shape = (8, 6, 4)
    turned = np.broadcast_to(rows[:, None, None], (*shape, 3, 3))
    grain = np.broadcast_to((np.arange(8) >= 4)[:, None, None], shape).astype(int)
    np.savez("a.npz", orientation=turned, grain=grain, spacing_um=1.0)
    keys = {"file": "a.npz", "axes": "crystal", "origin_um": "centre", "reference": (1, 0, 0, 0)}
    notes = record(experiment(Grid(**keys)), "run").notes
    pairs = 7 * 6 * 4 + 8 * 5 * 4 + 8 * 6 * 3
    said = [note for note in notes if "boundaries of grains" in note]
    assert len(said) == told
    if told:
        share = f"{100.0 * 24 / pairs:.2g} % of the neighbouring voxels"
        assert "more than 2 deg between" in said[0]
        assert share in said[0]
    masked = Grid(**keys, mask="grain", grain=1)
    assert not [note for note in record(experiment(masked), "other").notes if "grains" in note]


@pytest.mark.parametrize(("length_nm", "images", "told"), [(0.3, 1, 1), (0.3, 0, 0), (30.0, 1, 0)])
def test_a_network_that_repeats_within_a_pixel_is_told(tmp_path, length_nm, images, told):
    path = tmp_path / "network.data"
    path.write_text(texts.paradis())
    network = Network(file=str(path), burgers_length_nm=length_nm, images=images, partial=True)
    notes = [note for note in unseen_notes(assemble_all(experiment(network))) if "repeats" in note]
    assert len(notes) == told
    if told:
        # A box of 40 × 30 × 20 b.
        assert notes[0].startswith("defects[0] repeats every 0.012 × 0.009 × 0.006 µm, a pixel is")
        assert "0.1 µm wide and the beam 0.4 µm high" in notes[0]


def test_lines_alone_are_not_asked():
    assert unseen_notes(assemble_all(Experiment().with_settings(SETTINGS))) == []
