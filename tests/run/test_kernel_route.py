"""The whole route with a tabulated acceptance: bootstrap, forward, what is refused, resume."""

import hashlib
import math

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.cli.bootstrap import bootstrap
from weakbeam.cli.forward import forward
from weakbeam.errors import InputError
from weakbeam.io.kernel_file import read_kernel
from weakbeam.io.reading import frames_done, read_frames
from weakbeam.run.record import record

RAYS, BINS = 10_000_000, (100, 40, 40)

SMALL = """
[beam]
height_fwhm_um = 0.6
[camera]
pixels = [24, 60]
pixel_nm = 160.0
[output]
figures = false
[scan.phi]
values_mrad = [0.0, 0.1, 0.14]
"""


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and result.exit_code:
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with an experiment and the kernel that was traced for it."""
    path = tmp_path_factory.mktemp("kernel-route")
    (path / "experiment.toml").write_text(SMALL)
    run(
        bootstrap, "-q", "-c", path / "experiment.toml", "-o", path / "kernel.h5",
        "--rays", RAYS, "--bins", *BINS,
    )  # fmt: skip
    return path


def by_kernel(path, *settings):
    """Make the experiment take its acceptance from the kernel at `path`."""
    keys = ["acceptance.method=kernel", f"acceptance.file={path}", *settings]
    return wb.Experiment.from_toml_text(SMALL).with_settings(keys)


def tolerance(kernel, images):
    """Return what counting and interpolation may change relative intensities by, and 1 σ of it.

    A voxel holds N = rays · volume · p counts, so that p is known to 1/√N of itself; interpolation
    and the sum over a pixel's ray average over several voxels, which makes it less. The mean over
    a voxel (h²/24) and the chord between two centres (up to h²/8) lie below p where it is curved
    downwards, by h²/6 |p''| for each axis; of a Gaussian, |p''| is p/σ² at most.
    """
    at_peak = kernel.rays * kernel.voxel_volume * kernel.peak
    noise = np.sqrt(images / at_peak)
    roll, two_theta = (kernel.steps[1:] / np.sqrt(np.diag(kernel.covariance())[1:])) ** 2 / 6.0
    return images * (roll + two_theta), noise


def test_forward_with_a_kernel_agrees_with_the_closed_form(folder, tmp_path):
    kernel = folder / "kernel.h5"
    exact = wb.simulate(wb.Experiment.from_toml_text(SMALL)).images.values
    run(
        forward, "-q", "-c", folder / "experiment.toml", "-o", tmp_path / "run",
        "--set", "acceptance.method=kernel", "--set", f"acceptance.file={kernel}",
    )  # fmt: skip
    frames = read_frames(tmp_path / "run/weakbeam.h5", "1.1", range(3))
    bias, noise = tolerance(read_kernel(kernel), exact)
    assert frames.shape == exact.shape
    assert noise[0].max() < 0.05
    assert (np.abs(frames - exact) < bias + 3.5 * noise).all()
    # Far inside the bounds, for the counts of many voxels average out.
    assert abs(float(np.mean(frames[2] - exact[2]))) < 0.01
    with h5py.File(tmp_path / "run/weakbeam.h5") as file:
        inputs = file["1.1/simulation/inputs"]
        assert [str(name) for name in inputs["file"].asstr()[()]] == [str(kernel)]
        digest = hashlib.sha256(kernel.read_bytes()).hexdigest()
        assert list(inputs["sha256"].asstr()[()]) == [digest]


def test_ray_tracing_in_memory_equals_the_kernel_of_the_same_seed(folder):
    settings = ["acceptance.method=ray-trace", f"acceptance.rays={RAYS}"]
    settings.append(f"acceptance.bins={list(BINS)}")
    traced = wb.Experiment.from_toml_text(SMALL).with_settings(settings)
    images = wb.simulate(traced).images.values
    tabulated = wb.simulate(by_kernel(folder / "kernel.h5")).images.values
    np.testing.assert_array_equal(images, tabulated)
    other = wb.simulate(traced.with_settings(["acceptance.seed=1"])).images.values
    assert 0 < np.abs(other - images).max() < 0.15


def test_intensities_under_a_stop_are_those_of_the_open_instrument(tmp_path):
    stop = "objective.stop={kind='central_stop', size_um=40}"
    (tmp_path / "experiment.toml").write_text(SMALL)
    kernel = tmp_path / "kernel.h5"
    run(
        bootstrap, "-q", "-c", tmp_path / "experiment.toml", "-o", kernel,
        "--rays", 4_000_000, "--bins", 80, 40, 40, "--set", stop,
    )  # fmt: skip
    exact = wb.simulate(wb.Experiment.from_toml_text(SMALL).with_settings([stop])).images.values
    tabulated = wb.simulate(by_kernel(kernel, stop)).images.values
    # Dark at the peak, bright on the flank; voxels blur the edge of the stop.
    assert np.median(exact[0]) < 1e-3
    assert np.median(tabulated[0]) < 0.02
    assert np.median(tabulated[2]) == pytest.approx(np.median(exact[2]), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["beam.energy_keV=17.5"], "beam.energy_keV"),
        (["reflection.hkl=[-2, 2, -2]"], "reflection.hkl"),
        (["objective.acceptance_fwhm_mrad=0.7"], "objective.acceptance_fwhm_mrad"),
        (["beam.bandwidth_rms=1e-4"], "beam.bandwidth_rms"),
        (["objective.stop={kind='wire', diameter_um=50}"], "objective.stop"),
        (["camera.phi_blur_mrad=0.01"], "motion of q during the exposure"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_kernel_that_does_not_belong_is_refused(folder, tmp_path, settings, key):
    arguments = [part for setting in settings for part in ("--set", setting)]
    arguments += ["--set", "acceptance.method=kernel"]
    arguments += ["--set", f"acceptance.file={folder / 'kernel.h5'}"]
    with pytest.raises(InputError) as caught:
        run(forward, "-c", folder / "experiment.toml", "-o", tmp_path / "run", *arguments)
    assert caught.value.key == "acceptance.file"
    assert f"{key} is " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_the_kernel_does_not_depend_on_may_change(folder):
    settings = ["beam.height_fwhm_um=0.1", "defects=[]", "scan.phi.value_mrad=0.05"]
    images = wb.simulate(by_kernel(folder / "kernel.h5", *settings)).images.values
    assert np.ptp(images) == 0.0


def test_a_kernel_that_is_missing_or_damaged_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"^acceptance\.file = .*no such file"):
        assemble(by_kernel(tmp_path / "absent.h5"))
    (tmp_path / "half.h5").write_bytes((folder / "kernel.h5").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"^acceptance\.file = .*damaged"):
        assemble(by_kernel(tmp_path / "half.h5"))


def test_resume_needs_the_same_kernel(folder, tmp_path):
    kernel = tmp_path / "kernel.h5"
    kernel.write_bytes((folder / "kernel.h5").read_bytes())
    experiment = by_kernel(kernel)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(experiment, tmp_path / "run", progress=interrupt)
    assert not frames_done(tmp_path / "run/weakbeam.h5")["1.1"].all()
    run(
        bootstrap, "-q", "-c", folder / "experiment.toml", "-o", kernel, "--overwrite",
        "--rays", 100_000, "--bins", 10, 10, 10, "--seed", 5,
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        record(experiment, tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)
    kernel.write_bytes((folder / "kernel.h5").read_bytes())
    record(experiment, tmp_path / "run", resume=True)
    frames = read_frames(tmp_path / "run/weakbeam.h5", "1.1", range(3))
    np.testing.assert_array_equal(frames, wb.simulate(experiment).images.values)


@pytest.mark.parametrize(
    "settings",
    [
        ["objective.stop={kind='knife_edge'}"],
        ["acceptance.method=ray-trace"],
        ["acceptance.method=kernel", "acceptance.file=kernel.h5"],
    ],
    ids=["stop", "ray-trace", "kernel"],
)
def test_vignetting_goes_with_the_plain_closed_form_only(settings):
    experiment = wb.Experiment().with_settings(["objective.vignetting=true", *settings])
    with pytest.raises(InputError) as caught:
        assemble(experiment)
    assert caught.value.key == "objective.vignetting"
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.14])
def test_image_of_a_hundred_million_rays_agrees_within_its_counting_noise(phi):
    experiment = wb.Experiment.from_toml_text(SMALL).with_settings([f"scan.phi.value_mrad={phi}"])
    exact = wb.simulate(experiment).images.values
    method = ["acceptance.method=ray-trace", "acceptance.rays=100000000"]
    traced = experiment.with_settings([*method, "acceptance.bins=[400, 200, 200]"])
    setup = assemble(traced)
    bias, noise = tolerance(setup.traced().kernel, exact)
    images = wb.simulate(traced).images.values
    away = (images - exact) / (bias + noise)
    assert noise.max() < 0.2
    assert np.abs(away).max() < 4.0
    assert math.sqrt(np.mean(away**2)) < 1.3
