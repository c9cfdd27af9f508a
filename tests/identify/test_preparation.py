"""Frames become an observation, and what does not belong to the library is refused."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise
from weakbeam.identify.library.library import make_library
from weakbeam.identify.preparation import ImageOptions, prepare
from weakbeam.io.images import ImageStack
from weakbeam.io.saved_turn import SavedTurn

BASE = Experiment().with_settings(
    [
        "camera.pixels=[16, 40]",
        "scan.phi.values_mrad=[-0.15, 0.15]",
        "identify.planes=[[1, 1, 1]]",
        "identify.character_step_deg=90",
    ]
)
COUNTED = BASE.with_settings(["camera.model=pco_edge"])


@pytest.fixture(scope="module")
def library():
    return make_library(BASE, 1)


@pytest.fixture(scope="module")
def simulated():
    """Both images as the file of a run gives them."""
    offsets = tuple({"phi": phi, "chi": 0.0, "two_theta": 0.0, "z": 0.0} for phi in (-15e-5, 15e-5))
    frames = simulate(COUNTED).images.values
    return ImageStack("run.h5", frames, offsets, 0.04, 17.0, (-1, 1, -1), COUNTED.to_toml())


def plain(frames, **changes):
    return replace(ImageStack("x.npy", np.asarray(frames), ({},) * len(frames)), **changes)


def light(count=1, shape=(16, 40), seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    spot = 400.0 * np.exp(-0.01 * ((y - 8) ** 2 + (x - 20) ** 2))
    return 100.0 + spot + rng.normal(0.0, 5.0, (count, *shape))


def test_frames_that_the_camera_turned_are_turned_back(library):
    seen = light()
    turned = np.rot90(seen[:, :, ::-1], -1, (1, 2))
    stack = plain(turned, saved=SavedTurn(columns=True, turns=1))
    options = ImageOptions(phi=[15e-5], dark=100.0, noise=Noise(1.0, 25.0))
    found = prepare([stack], library, options)
    assert np.array_equal(found.observation.images[0], seen[0] - 100.0)
    (note,) = (n for n in found.notes if "undone" in n)
    assert "flipped left to right and turned by 90 degrees" in note


def test_simulated_counts_are_understood(library, simulated):
    found = prepare([simulated], library)
    assert found.conditions == (0, 1)
    assert found.sources == ("run.h5", "run.h5")
    ideal = simulate(BASE).images.values
    signal = 1000.0 * ideal
    noise = found.observation.noise
    assert noise.gain == pytest.approx(2.14)
    residual = (found.observation.images - signal) / np.sqrt(noise.variance(signal))
    assert residual[found.observation.good].std() == pytest.approx(1.0, abs=0.05)
    assert abs(residual.mean()) < 0.1


def test_ideal_images_get_a_little_noise(library, simulated):
    ideal = simulate(BASE).images.values
    stack = replace(simulated, frames=ideal, configuration=BASE.to_toml())
    found = prepare([stack], library)
    np.testing.assert_allclose(found.observation.images, ideal)
    assert (found.observation.noise.gain, found.observation.noise.floor) == (
        0.0,
        pytest.approx(1e-4),
    )


def test_frames_that_the_library_has_no_condition_for_are_left_out(library, simulated):
    offsets = tuple({"phi": phi} for phi in (-3e-4, 1.5e-4, 3e-4))
    stack = replace(simulated, frames=simulated.frames[[0, 1, 0]], offsets=offsets)
    found = prepare([stack], library)
    assert found.conditions == (1,)
    assert "1 of 3 frames are used" in found.notes[0]


def test_images_that_tell_nothing_take_the_conditions_in_order(library):
    assert prepare([plain(light(2))], library).conditions == (0, 1)
    options = ImageOptions(phi=[1.5e-4])
    assert prepare([plain(light(1))], library, options).conditions == (1,)
    with pytest.raises(InputError, match=r"must be given: .* 2 conditions"):
        prepare([plain(light(1))], library)


def test_noise_is_estimated_and_may_be_stated(library):
    found = prepare([plain(light(2))], library)
    assert found.observation.noise.variance(0.0) == pytest.approx(25.0, rel=0.3)
    stated = ImageOptions(noise=Noise(1.0, 30.0), dark=100.0)
    found = prepare([plain(light(2))], library, stated)
    assert found.observation.noise == Noise(1.0, 30.0)
    assert np.median(found.observation.images) == pytest.approx(np.median(light(2)) - 100.0)


def test_bad_pixels_are_told(library):
    frames = light(2)
    frames[0, 3, 4], frames[1, 5, 6] = np.nan, 2000.0
    found = prepare([plain(frames)], library, ImageOptions(hot=8.0, pixel_um=0.04))
    assert found.notes == ("2 pixels do not count: hot, saturated or no finite numbers",)
    counts = light(2).astype(np.uint16)
    counts[0, 2, 2] = 65535
    assert (~prepare([plain(counts)], library).observation.good).sum() == 1


def test_other_pixels_are_resampled_and_said(library):
    found = prepare([plain(light(2, (32, 80)))], library, ImageOptions(pixel_um=0.02))
    assert found.observation.shape == (16, 40)
    assert found.notes[-1] == (
        "pixels of 20 nm are resampled to the library's 40 nm: 16 x 40 pixels"
    )
    message = "x.npy.*resampled to the library's 40 nm: 15 x 39 pixels, fewer than .* 16 x 40"
    with pytest.raises(InputError, match=message):
        prepare([plain(light(2))], library, ImageOptions(pixel_um=0.039))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_kev": 19.0}, "was taken at 19 keV, the library is for 17 keV"),
        ({"hkl": (2, 0, 0)}, r"reflection \[2, 0, 0\], the library is for \[-1, 1, -1\]"),
        ({"offsets": ({"phi": 3e-4},) * 2}, "phi = 0.3 mrad, the library has -0.15, 0.15 mrad"),
        ({"frames": np.full((2, 16, 40), np.nan)}, "no pixel that is a finite number"),
        ({"frames": np.full((2, 16, 40), 65535, np.uint16)}, "saturated everywhere"),
        ({"frames": np.full((2, 16, 40), 300, np.uint16)}, "is even"),
    ],
)
def test_what_does_not_belong_to_the_library(library, simulated, change, message):
    configuration = None if "frames" in change else simulated.configuration
    options = ImageOptions(noise=Noise(1.0, 20.0))
    with pytest.raises(InputError, match=message):
        prepare([replace(simulated, configuration=configuration, **change)], library, options)


def test_images_of_another_instrument_are_told(library, simulated):
    other = COUNTED.with_settings(["beam.height_fwhm_um=0.4", "beam.bandwidth_rms=7e-5"])
    notes = prepare([replace(simulated, configuration=other.to_toml())], library).notes
    assert notes == (
        "run.h5 was simulated with beam.bandwidth_rms = 7e-05, the library with 6e-05",
        "run.h5 was simulated with beam.height_fwhm_um = 0.4, the library with 0.15",
    )
    assert prepare([simulated], library).notes == ()
    camera = COUNTED.with_settings(["camera.plane=normal", "reflection.x_axis=[0,1,1]"])
    notes = prepare([replace(simulated, configuration=camera.to_toml())], library).notes
    assert notes == (
        "run.h5 was simulated with camera.plane = normal, the library with vertical",
        "run.h5 was simulated with reflection.x_axis = (0, 1, 1), the library with none",
    )


def test_entries_that_are_left_out_are_told(library, simulated):
    stack = replace(simulated, entry="1.1", other_entries=("2.1", "3.1"))
    (note,) = prepare([stack], library).notes
    assert note == "run.h5: only the entry 1.1 is used; the file also has FILE::2.1 to FILE::3.1"
    (note,) = prepare([replace(stack, other_entries=("2.1",))], library).notes
    assert note.endswith("the file also has FILE::2.1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ImageOptions(dark=np.nan), "dark = nan: must be finite"),
        (ImageOptions(phi=[np.nan]), "phi = .nan.: must be finite"),
        (ImageOptions(pixel_um=1e6), "times as many along each axis"),
    ],
)
def test_numbers_out_of_range_are_refused(library, simulated, options, message):
    with pytest.raises(InputError, match=message):
        prepare([simulated], library, options)


def test_dark_images_are_refused(library, simulated):
    rng = np.random.default_rng(0)
    dark = rng.normal(100.0, 3.0, (2, 16, 40))
    with pytest.raises(InputError, match="is dark: nothing in it rises above the noise"):
        prepare([plain(dark)], library, ImageOptions(dark=100.0, noise=Noise(2.0, 9.0)))


def test_images_must_be_alike(library):
    with pytest.raises(InputError, match="16 x 40 and 20 x 40 pixels"):
        prepare([plain(light(1)), plain(light(1, (20, 40)))], library)
    with pytest.raises(InputError, match="several sizes"):
        prepare([plain(light(1)), plain(light(1), pixel_um=0.1)], library)
    with pytest.raises(InputError, match="once for each of 2 images"):
        prepare([plain(light(2))], library, ImageOptions(phi=[0.0] * 3))
    with pytest.raises(InputError, match="dark: has"):
        prepare([plain(light(2))], library, ImageOptions(dark=np.zeros((3, 3))))
