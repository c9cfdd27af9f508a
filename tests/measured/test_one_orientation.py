"""A marked pixel lies at its place in the sample in every picture that any command draws.

Its place is taken from the rays of the camera, not from the axes of the file.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.io.foreign import read_scan
from weakbeam.measured.figures import measured_figures, view_of
from weakbeam.measured.maps import map_scan
from weakbeam.measured.pictures import frame_pictures, montage_picture
from weakbeam.plot.contact_sheet import contact_sheet_figure
from weakbeam.plot.defects import defects_figure
from weakbeam.plot.image import image_figure
from weakbeam.plot.maps import com_figure
from weakbeam.plot.match import match_figure
from weakbeam.plot.montage import montage_figure
from weakbeam.plot.mosaicity import mosaicity_figure
from weakbeam.plot.movie import Curve, movie_figure
from weakbeam.plot.panels import Panel, panels_figure
from weakbeam.plot.side_by_side import Row, Side, pictures_figure
from weakbeam.plot.view import View
from weakbeam.run.figures import draw_file, image_view
from weakbeam.run.record import record
from weakbeam.run.view import view_of as rays_of

MOUNT = "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]"


def oblique(*hkl):
    return [MOUNT, f"reflection={{hkl={list(hkl)}, geometry='oblique'}}"]


GEOMETRIES = {
    "symmetric": [],
    "to the left": oblique(-1, 1, 3),
    "to the right": oblique(1, 1, 3),
    "downwards": oblique(1, -1, -3),
    "straight down": [
        MOUNT,
        "reflection={hkl=[0,0,-4], geometry='goniometer', mu_deg=21.112596433, omega_deg=0}",
    ],
}
READOUTS = {"plain": [], "binned and cut": ["camera.binning=2", "camera.region=[1, 2, 5, 4]"]}


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES)
def geometry(request):
    return request.param


@pytest.fixture(params=["vertical", "normal"])
def plane(request):
    return request.param


@pytest.fixture(params=READOUTS.values(), ids=READOUTS)
def readout(request):
    return request.param


@pytest.fixture(params=[0, 90, 180, 270])
def rotation(request):
    return request.param


def setup_of(geometry, plane, readout, rotation):
    pixels = "camera.pixels=[14, 20]"
    turned = f"camera.rotation_deg={rotation}"
    settings = [pixels, turned, f"camera.plane={plane}", *geometry, *readout]
    return assemble(Experiment().with_settings(settings))


@pytest.fixture
def setup(geometry, plane, readout, rotation):
    return setup_of(geometry, plane, readout, rotation)


READINGS = [
    pytest.param(plane, READOUTS[name], turns * 90, id=f"{plane}-{name}-{turns * 90}", marks=marks)
    for number, plane in enumerate(["vertical", "normal"])
    for other, name in enumerate(READOUTS)
    for turns in range(4)
    # Each value of one with each of any other one; all of them together in the slow suite.
    for marks in [pytest.mark.slow if (number + other + turns + turns // 2) % 2 else ()]
]


def expected(setup, pixel, plane="vertical"):
    """Where a picture must show a stored pixel: coordinates to the right and upwards."""
    lab = setup.geometry.lab_from_sample @ rays_of(setup, setup, 0.0).point(pixel)
    k = setup.geometry.k_out_lab
    if not setup.grids[0].on_camera:
        return lab[[1, 0]]
    if plane == "vertical":
        # Whoever looks from downstream sees y to the right and z upwards.
        return np.array([lab[1] - lab[0] * k[1] / k[0], -lab[0] * k[2] / k[0]])
    _, roll, two_theta = setup.geometry.lab_from_imaging.T
    return np.array([lab @ roll, lab @ two_theta])


def place_of_the_mark(axes):
    """Where a picture shows the pixel that is unlike the others."""
    image = axes.images[0]
    values = np.asarray(np.ma.filled(image.get_array(), 0.0), dtype=float)
    if values.ndim == 3:
        values = np.abs(values - values[0, 0]).sum(axis=-1)
    assert image.origin == "upper"
    row, column = np.unravel_index(np.argmax(np.abs(values - np.median(values))), values.shape)
    left, right, bottom, top = image.get_extent()
    np.testing.assert_allclose([*axes.get_xlim(), *axes.get_ylim()], [left, right, bottom, top])
    rows, columns = values.shape
    across = left + (column + 0.5) * (right - left) / columns
    return np.array([across, top + (row + 0.5) * (bottom - top) / rows])


def marked(shape, pixel):
    frame = np.zeros(shape)
    frame[pixel] = 1.0
    return frame


def pictures(frame, view):
    """The panels of every figure of images, by name."""
    curve = Curve([0.0], [1.0], "φ")
    norm = image_figure(frame, view).axes[0].images[0].norm
    low, high = np.full(3, -9.0), np.full(3, 9.0)
    flat = np.eye(2, 4)
    lines = ([[0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], low, high)
    over = {"image": frame, "view": view, "picture_from_lab": flat}
    figures = {
        "image": (image_figure(frame, view), [0]),
        "maps": (com_figure({"φ": (frame, frame)}, view), [0, 1]),
        "montage": (montage_figure([frame, frame], ["a", "b"], view), [0, 1]),
        "movie": (movie_figure(frame, view, curve, 0, norm), [0]),
        "panels": (panels_figure([Panel("", frame, "")], view), [0]),
        "mosaicity": (mosaicity_figure(frame, 2.0 * frame, view), [0]),
        "match": (match_figure([frame], [frame], [frame], [""], [view]), [0, 1, 3]),
        "defects": (defects_figure(*lines, **over), [0]),
        "side by side": (
            pictures_figure([Row("", [Side("", frame, view)] * 2, against=Side("", frame, view))]),
            [0, 1, 3],
        ),
        "contact sheet": (contact_sheet_figure([frame], [[frame > 0.5]], [], view), [0]),
    }
    return {f"{n}, {k}": fig.axes[k] for n, (fig, panels) in figures.items() for k in panels}


@pytest.mark.parametrize(("plane", "readout", "rotation"), READINGS)
def test_every_figure_shows_a_pixel_where_its_ray_comes_from(geometry, plane, readout, rotation):
    setup = setup_of(geometry, plane, readout, rotation)
    view = image_view(setup)
    assert view.shape == setup.detector.shape
    pixel = (1, 3)
    frame = marked(view.shape, pixel)
    place = expected(setup, pixel, plane)
    np.testing.assert_allclose(view.places(pixel), place, atol=1e-9)
    for name, axes in pictures(frame, view).items():
        np.testing.assert_allclose(place_of_the_mark(axes), place, atol=1e-9, err_msg=name)
        assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_no_picture_is_a_mirror_image(setup):
    """Right, up and towards the eye are right-handed, the eye being where the beam goes."""
    view, rays = image_view(setup), rays_of(setup, setup, 0.0)
    origin, down, right = view.places([[0, 0], [1, 0], [0, 1]])
    across = np.column_stack([down - origin, right - origin])
    left, right_end, bottom, top = view.extent
    across[1] *= np.sign(top - bottom)
    assert right_end > left
    lab = setup.geometry.lab_from_sample
    page = lab @ np.column_stack([rays.row_step, rays.column_step]) @ np.linalg.inv(across)
    # The layer is seen from above in a vertical scattering plane, wherever the beam goes.
    eye = setup.geometry.k_out_lab if setup.grids[0].on_camera else np.array([0.0, 0.0, 1.0])
    assert np.cross(page[:, 0], page[:, 1]) @ eye > 0.0
    assert ("← " in view.labels[1]) == (bottom > top)


SCAN = ["scan.phi.values_mrad=[0, 0.1, 0.2]", "scan.chi.values_mrad=[0, 0.2]"]


@pytest.mark.parametrize("where", ["symmetric", "to the right"])
def test_commands_show_a_pixel_of_a_file_where_its_ray_comes_from(tmp_path, rotation, where):
    turned = f"camera.rotation_deg={rotation}"
    camera = ["camera.pixels=[6, 9]", "camera.oversampling=point", turned]
    settings = [*camera, "output.figures=false"]
    experiment = Experiment().with_settings([*settings, *SCAN, *GEOMETRIES[where]])
    path = record(experiment, tmp_path).file
    setup, scan = assemble(experiment), read_scan(path)
    pixel = (1, 3)
    with h5py.File(path, "r+") as file:
        stack = file[scan.stack]
        frames = np.full(stack.shape, 1e-3, np.float32)
        frames[:, 1, 3] = np.linspace(1.0, 2.0, len(frames))
        stack[...] = frames
    assert view_of(scan).shape == scan.shape
    figures = frame_pictures(scan, [0]) | {"montage": montage_picture(scan)}
    figures |= {"image of the file": draw_file(path)["image"]}
    figures |= {"intensity": measured_figures(map_scan(scan))["intensity"]}
    for name, figure in figures.items():
        place = place_of_the_mark(figure.axes[0])
        np.testing.assert_allclose(place, expected(setup, pixel), atol=1e-6, err_msg=name)


def test_pixels_of_an_unknown_orientation_are_as_the_camera_read_them():
    view = View.of_pixels((5, 7))
    for name, axes in pictures(marked((5, 7), (1, 3)), view).items():
        np.testing.assert_allclose(place_of_the_mark(axes), [3.0, 1.0], err_msg=name)
        if name.startswith("image"):
            assert "of the camera" in axes.get_xlabel()
            assert axes.get_ylim()[0] > axes.get_ylim()[1]
