"""Cameras that are moved are found from what reflections tell, with their errors."""

from types import SimpleNamespace

import numpy as np
import pytest

from weakbeam.measured.distortion_notes import registration_remarks
from weakbeam.measured.feature_shifts import feature_shifts
from weakbeam.measured.registration import register
from weakbeam.measured.sheet import CameraView, Correction, Sheet, sampled

PITCH = 0.1
G = np.array([[-1, -1, 3], [1, 1, 3], [-1, 1, 3], [1, -1, 3]]) / np.sqrt(11.0)


LINES = (
    ((0.2, 0.1), (0.3, 0.2, 0.93), (2e-4, -2e-4, 1e-4)),
    ((-1.0, 0.8), (-0.5, 0.3, 0.81), (-1e-4, -2e-4, 2e-4)),
    ((0.9, -1.1), (0.1, -0.6, 0.79), (2e-4, 2e-4, 2e-4)),
)
"""Place, direction and Burgers vector of inclined lines."""


def field(places):
    """H of some lines with blunt cores, (..., 3, 3)."""
    total = np.zeros((*places.shape[:-1], 3, 3))
    for at, line, burgers in LINES:
        t = np.array(line) / np.linalg.norm(line)
        beside = places - np.array(at)
        r = np.concatenate([beside, np.zeros((*places.shape[:-1], 1))], axis=-1)
        across = r - (r @ t)[..., None] * t
        turn = np.cross(t, r) / (2.0 * np.pi * ((across**2).sum(-1) + 0.25))[..., None]
        total += np.array(burgers)[:, None] * turn[..., None, :]
    return total


def seen(moved, noise=5e-8, size=30, rays=0.0):
    """The sheet, and changes with their information, of cameras that look `moved` µm beside.

    Each pixel shows the mean along its own ray, over `rays` µm (rms) of the sheet.
    """
    random = np.random.default_rng(4)
    views, changes, information = [], [], []
    for number, g in enumerate(G):
        angle = 0.1 + 0.5 * np.pi * number
        steps = PITCH * np.array(
            [[1.7 * np.cos(angle), 1.7 * np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        origin = -0.5 * (size - 1) * steps.sum(axis=0)
        view = CameraView(origin, steps, (size, size))
        index = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
        places = origin + index @ steps
        way = rays * np.array([np.cos(angle), np.sin(angle)])
        means = [
            share * field(places + np.array(moved[number]) + node * way)
            for node, share in zip((-1.7320508, 0.0, 1.7320508), (1 / 6, 2 / 3, 1 / 6), strict=True)
        ]
        h = sum(means) @ g
        views.append(view)
        changes.append(h + noise * random.normal(size=h.shape))
        information.append(np.broadcast_to(np.eye(3) / noise**2, (size, size, 3, 3)))
    axis = PITCH * np.arange(-15, 16)
    return Sheet(np.eye(3), axis, axis, tuple(views)), changes, information


def test_shift_of_one_camera_is_found():
    # Of 3.7 pixels, within a tenth of one, against the other cameras.
    shift = 3.7 * PITCH * np.array([0.8, -0.6])
    sheet, changes, information = seen([(0, 0), (0, 0), shift, (0, 0)])
    found = register(sheet, G, changes, information)
    moved = np.array([[one.x, one.y] for one in found.corrections])
    relative = moved[2] - moved[[0, 1, 3]].mean(axis=0)
    assert found.fitted
    # What is seen at r by geometry is at r + shift.
    assert np.abs(relative - shift).max() < 0.1 * PITCH
    assert np.ptp(moved[[0, 1, 3]], axis=0).max() < 0.2 * PITCH
    assert (found.errors[:, :2] < 0.2 * PITCH).all()


def test_cameras_in_place_stay_there():
    sheet, changes, information = seen([(0, 0)] * 4)
    found = register(sheet, G, changes, information)
    moved = np.array([[one.x, one.y] for one in found.corrections])
    assert np.abs(moved).max() < 0.2 * PITCH
    assert (np.abs(moved) < 5.0 * found.errors[:, :2]).all()


def test_means_along_rays_are_no_shift():
    # Beside a line they differ between cameras that look from other sides.
    sheet, changes, information = seen([(0, 0)] * 4, rays=0.25)
    found = register(sheet, G, changes, information)
    moved = np.array([[one.x, one.y] for one in found.corrections])
    assert (np.abs(moved) < 6.0 * found.errors[:, :2]).all()


def test_turned_and_magnified_camera_is_found():
    sheet, changes, information = seen([(0, 0)] * 4)
    true = Correction(0.05, -0.12, 8e-3, 0.015)
    view = sheet.views[2]
    index = np.stack(np.meshgrid(np.arange(30), np.arange(30), indexing="ij"), axis=-1)
    noise = 5e-8 * np.random.default_rng(7).normal(size=(30, 30, 3))
    changes[2] = field(true.put_on(view.origin + index @ view.steps)) @ G[2] + noise
    found = register(sheet, G, changes, information, 4)
    numbers = [[c.x, c.y, c.rotation, c.magnification] for c in found.corrections]
    relative = numbers[2] - np.mean([numbers[k] for k in (0, 1, 3)], axis=0)
    assert np.abs(relative[:2] - [0.05, -0.12]).max() < 0.1 * PITCH
    assert relative[2] == pytest.approx(8e-3, abs=2e-3)
    assert relative[3] == pytest.approx(0.015, abs=2e-3)
    assert (found.errors < [0.2 * PITCH, 0.2 * PITCH, 5e-3, 5e-3]).all()


def test_three_reflections_tell_no_shift():
    sheet, changes, information = seen([(0, 0)] * 4)
    few = Sheet(sheet.axes, sheet.x, sheet.y, sheet.views[:3])
    assert not register(few, G[:3], changes[:3], information[:3]).fitted


def test_values_between_pixels_and_their_information():
    sheet, _, information = seen([(0, 0)] * 4, size=12)
    view = sheet.views[0]
    index = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij"), axis=-1)
    # Quadratic maps come out exactly; noise falls as the weights' squares.
    places = view.origin + index @ view.steps
    values = np.stack([places[..., 0] ** 2, places[..., 0] * places[..., 1], places[..., 1]], -1)
    at = view.origin + np.array([[5.5, 6.5], [4.0, 4.25]]) @ view.steps
    value, told = sampled(view, at, Correction(), values, information[0])
    assert value == pytest.approx(np.stack([at[:, 0] ** 2, at[:, 0] * at[:, 1], at[:, 1]], -1))
    random = np.random.default_rng(0)
    noise = random.normal(size=(12, 12, 400))
    spread, _ = sampled(view, at, Correction(), noise)
    expected = told[:, 0, 0] / information[0][0, 0, 0, 0]
    assert 1.0 / spread.var(axis=1) == pytest.approx(expected, rel=0.2)
    outside, _ = sampled(view, view.origin[None] - 0.1, Correction(), values)
    assert np.isnan(outside).all()
    moved, _ = sampled(view, at + 0.3, Correction(0.3, 0.3), values)
    assert moved == pytest.approx(value)
    turned = Correction(0.1, -0.2, 0.03, 0.02)
    assert turned.taken_off(turned.put_on(at)) == pytest.approx(at)


def test_shifts_that_nothing_tells_are_unsure_and_that_is_said():
    sheet, _, information = seen([(0, 0)] * 4)
    changes = [np.zeros((30, 30, 3)) for _ in range(4)]
    for view, g, change in zip(sheet.views, G, changes, strict=True):
        index = np.stack(np.meshgrid(np.arange(30), np.arange(30), indexing="ij"), axis=-1)
        x, y = np.moveaxis(view.origin + index @ view.steps, -1, 0)
        # Bent alike everywhere: nothing stands out.
        h = 1e-4 * np.stack([x, -y, np.zeros_like(x)], axis=-1)
        change += np.einsum("...j,j->...", h, g)[..., None] * np.array([1.0, 0.0, 0.0])
    found = register(sheet, G, changes, information)
    names = [SimpleNamespace(name=f"({k})") for k in range(4)]
    said = registration_remarks(found, sheet, names, "shift")
    assert np.max(found.errors[:, :2]) > PITCH
    assert "errors of the distortion hold for cameras that look where geometry has them" in said[0]


@pytest.mark.parametrize("shape", [(1, 9), (2, 2), (5, 3)])
def test_few_places_show_nothing_in_common(shape):
    alike = np.random.default_rng(1).random((4, *shape, 3))
    axes = [PITCH * np.arange(count) for count in shape]
    view = CameraView(np.zeros(2), PITCH * np.eye(2)[::-1], shape)
    assert feature_shifts(Sheet(np.eye(3), axes[1], axes[0], (view,) * 4), list(alike)) is None
