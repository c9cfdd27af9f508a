"""The distortion from scans that share no code with the package: an independent world."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import several_reflections as world_of
from bliss_files import write_bliss
from click.testing import CliRunner
from several_reflections import BURGERS, FOUR_113, World, about_z, scan_of

from weakbeam.analysis.curve_information import curve_information, expected_covariance
from weakbeam.cli.program import weakbeam as program
from weakbeam.diffraction.lattice_change import setting_q
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.measured.distortion import distortion
from weakbeam.measured.distortion_result import Distortion
from weakbeam.measured.reflection_files import reflection_scans
from weakbeam.measured.reflection_map import reduce_reflection
from weakbeam.measured.sheet import MEAN_REDUCTION

LINE = world_of.straight_line(BURGERS * np.array([1, -1, 0]) / np.sqrt(2.0), [1, 1, -2])
SMALL = World(LINE, pixels=26, pixel=0.2, arm=(0.75e-3, 5), wide=(1.8e-3, 7), heights=1)


def written(
    world: World, folder: Path, reflections: tuple[tuple[tuple[int, int, int], int], ...] = FOUR_113
) -> list[Path]:
    """The four scans as files of a beamline."""
    paths = []
    for hkl, solution in reflections:
        scan = scan_of(world, hkl, solution)
        motors = {
            "phi": np.degrees(scan.phi),
            "chi": np.degrees(scan.chi),
            "obpitch": np.degrees(2.0 * scan.theta + scan.arm),
        }
        path = folder / ("_".join(map(str, hkl)) + ".h5")
        paths.append(write_bliss(path, "fscan obpitch chi phi", motors, scan.frames))
    return paths


def written_layers(world: World, folder: Path, lifts: tuple[float, ...]) -> list[Path]:
    """The four scans at several heights of the sample: an entry each, and once a single scan."""
    paths = []
    for number, (hkl, solution) in enumerate(FOUR_113):
        path = folder / ("_".join(map(str, hkl)) + ".h5")
        scans = [scan_of(replace(world, lift=lift), hkl, solution) for lift in lifts]
        # Where the stage stands when the reflection is found is another place for each.
        heights = [1.2 + 0.1 * number + 1e-3 * lift for lift in lifts]
        motors = [
            {
                "phi": np.degrees(scan.phi),
                "chi": np.degrees(scan.chi),
                "obpitch": np.degrees(2.0 * scan.theta + scan.arm),
            }
            for scan in scans
        ]
        if number == 0:
            every = {name: np.concatenate([m[name] for m in motors]) for name in motors[0]}
            every["samz"] = np.repeat(heights, len(scans[0].phi))
            frames = np.concatenate([scan.frames for scan in scans])
            write_bliss(path, "fscan obpitch chi phi", every, frames)
        else:
            for entry, (scan, moved, height) in enumerate(
                zip(scans, motors, heights, strict=True), 1
            ):
                write_bliss(path, "fscan obpitch chi phi", moved, scan.frames, entry=f"{entry}.1")
                with h5py.File(path, "a") as file:
                    file[f"{entry}.1/instrument/positioners/samz"] = height
        paths.append(path)
    return paths


def told(world: World) -> Experiment:
    """What the package is told."""
    return Experiment.from_toml_text(world_of.experiment_text(world), "four.toml")


def measured(world: World, folder: Path, **options: object) -> Distortion:
    """What the package makes of the four scans."""
    return distortion(written(world, folder), told(world), reference="bragg", **options)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Scans of an edge dislocation, at a tenth of the published pixels."""
    return written(SMALL, tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def found(four: list[Path]) -> Distortion:
    """What the package makes of them."""
    return distortion(four, told(SMALL), reference="bragg")


def compared(
    result: Distortion,
    field: world_of.Field,
    least: float,
    cores: tuple[tuple[float, float], ...] = ((0.0, 0.0),),
    height: float = 0.0,
) -> tuple[np.ndarray, ...]:
    """Errors of β at places of a height farther from cores than `least`, and the stated ones."""
    # The first reflection's sample is the crystal's cube axes in both worlds.
    places = result.sheet.places.reshape(-1, 2)
    points = np.column_stack([places, np.full(len(places), height)]) @ result.sheet.axes
    truth = field(points).reshape(*result.shape, 3, 3)
    truth = result.sheet.axes @ truth @ result.sheet.axes.T
    beta = result.beta
    near = np.min([np.hypot(*(places - np.array(core)).T) for core in cores], axis=0)
    far = (near > least).reshape(result.shape) & np.isfinite(beta).all(axis=(2, 3))
    return (beta - truth)[far], result.beta_error[far], result.chi2[far]


def test_a_dislocation_is_found_with_its_errors(found: Distortion) -> None:
    # Judged at places farther than 1 µm from the line.
    result = found
    away, stated, chi2 = compared(result, LINE, 1.0)
    assert len(away) > 100
    assert np.abs(away).mean() < 1e-6
    assert 0.8 < ((away / stated) ** 2).mean() < 1.2
    assert 0.8 < np.nanmean(chi2) < 1.2
    circuit = result.circuit([(-1.6, -1.6), (1.6, -1.6), (1.6, 1.6), (-1.6, 1.6)])
    # The line runs down: about the normal the vector is the other one.
    true = -BURGERS * np.array([1, -1, 0]) / np.sqrt(2.0)
    assert np.abs(circuit.burgers - true).max() < 0.02 * BURGERS
    assert (np.abs(circuit.burgers - true) < 4.0 * circuit.error).all()
    assert np.allclose(circuit.lattice, [-0.5, 0.5, 0.0])
    assert not any("CONTRADICT" in note for note in result.notes)
    beside = result.circuit([(0.6, 0.6), (1.6, 0.6), (1.6, 1.6), (0.6, 1.6)])
    assert np.abs(beside.burgers).max() < 0.03 * BURGERS
    assert not beside.lattice.any()


def test_plans_tell_the_errors_beforehand(four: list[Path], found: Distortion) -> None:
    stated = compared(found, LINE, 1.5)[1]
    directions, information = [], []
    for scan in reflection_scans(four, told(SMALL)):
        setup = scan.setup
        shifts = setting_q(setup.geometry, scan.offsets)
        variance = world_of.READ_NOISE**2 + 1.0 / 12.0
        told_ = curve_information(setup.acceptance, shifts, world_of.PEAK, 1.0, variance)
        turn = setup.geometry.imaging_from_sample @ setup.sample_from_crystal
        directions.append(setup.crystal.cell.plane_normal(setup.hkl))
        information.append(turn.T @ told_ @ turn)
    covariance = expected_covariance(directions, information)
    assert covariance is not None
    expected = np.sqrt(MEAN_REDUCTION * np.trace(covariance) / 9.0)
    assert np.sqrt(np.mean(stated**2)) == pytest.approx(expected, rel=0.2)


def test_exchanged_files_are_told(four: list[Path]) -> None:
    swapped = [four[1], four[0], *four[2:]]
    notes = distortion(swapped, told(SMALL), reference="bragg").notes
    assert notes[0].startswith("THE REFLECTIONS CONTRADICT EACH OTHER")
    assert notes[1].startswith("EXCHANGE THE SCANS of (-1 -1 3) and (1 1 3)")


def test_a_wrong_hkl_is_told(four: list[Path]) -> None:
    # The reflection across from the one that was taken, at the other of its two ω.
    wrong = (((-1, 1, 3), 2), *FOUR_113[1:])
    experiment = Experiment.from_toml_text(world_of.experiment_text(SMALL, wrong), "wrong.toml")
    notes = distortion(four, experiment).notes
    assert any("REFLECTIONS CONTRADICT EACH OTHER" in note for note in notes)


@pytest.mark.parametrize(
    ("moved", "how"),
    [
        ((0.74, 0.0), "shift"),
        pytest.param((0.0, -0.74), "shift", marks=pytest.mark.slow),
        pytest.param((0.3, -0.14), "full", marks=pytest.mark.slow),
    ],
)
def test_a_camera_that_is_moved_is_found_by_a_single_line(
    four: list[Path], tmp_path: Path, moved: tuple[float, float], how: str
) -> None:
    # What redundant reflections tell of a straight line leaves most of the shifts open.
    world = replace(SMALL, cameras={(-1, 1, 3): (*moved, 0.0, 1.0)})
    (path,) = written(world, tmp_path, FOUR_113[2:3])
    paths = [*four[:2], path, four[3]]
    result = distortion(paths, told(world), reference="bragg", registration=how)
    away, stated, _ = compared(result, LINE, 1.0)
    assert np.abs(away).mean() < 1e-6
    assert 0.7 < ((away / stated) ** 2).mean() < 1.2
    looks = [note.split(":")[0] for note in result.notes if "off its geometry" in note]
    assert looks == ["(-1 1 3)"]


def test_all_of_the_cameras_is_fitted_by_the_command(four: list[Path], tmp_path: Path) -> None:
    (tmp_path / "four.toml").write_text(world_of.experiment_text(SMALL))
    arguments = ["distortion", *four, "-c", tmp_path / "four.toml", "-o", tmp_path / "out"]
    arguments += ["--register", "full", "--reference", "bragg"]
    done = CliRunner().invoke(program, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    # All of them are in place.
    assert "off its geometry" not in done.stderr
    assert "is turned by" not in done.stderr
    with h5py.File(tmp_path / "out" / "distortion.h5") as file:
        errors = file["1.1/process/camera_shift_error_um"][()]
    assert errors.shape == (4, 2)
    assert (errors < 0.2 * SMALL.pixel).all()


def test_bad_pixels_do_not_lie(four: list[Path], found: Distortion, tmp_path: Path) -> None:
    path = tmp_path / four[0].name
    shutil.copy(four[0], path)
    random = np.random.default_rng(2)
    with h5py.File(path, "a") as file:
        image = file["1.1/instrument/pco_ff/image"]
        frames = image[()].astype(np.float64)
        count, brightest = len(frames), frames[:, 16, 12].argmax()
        frames[:, 10, 9] += random.poisson(20_000, count)  # hot
        frames[:, 10, 13] = 0.0  # dead
        frames[:, 10, 17] += random.normal(0.0, 400.0, count)  # noisy
        frames[:, 13, 9] = 3000.0  # stuck
        frames[:, 13, 17] += 3000.0 * (random.random(count) < 0.02)  # now and then on
        frames[:, 16, 9] = np.minimum(frames[:, 16, 9], 0.3 * frames[:, 16, 9].max())  # full
        frames[brightest, 15:18, 11:14] = 65_535.0  # a cosmic
        image[...] = np.clip(frames, 0, 65_535).astype(np.uint16)
    experiment = told(SMALL)
    clean, bad = (
        reduce_reflection(reflection_scans([first, *four[1:]], experiment)[0])
        for first in (four[0], path)
    )
    assert not bad.lit[10, 13]
    assert not bad.lit[13, 9]
    assert bad.lit.sum() == clean.lit.sum() - 2
    assert bad.noise.gain == pytest.approx(1.0, abs=0.1)
    apart = bad.q - clean.q
    squared = np.einsum("rci,rcij,rcj->rc", apart, bad.information, apart)
    assert np.nanmax(squared) < 9.0
    result = distortion([path, *four[1:]], experiment, reference="bragg")
    away, stated, _ = compared(result, LINE, 1.0)
    assert np.abs(away).mean() < 1e-6
    assert 0.8 < ((away / stated) ** 2).mean() < 1.2


def test_positions_are_those_of_the_file(tmp_path: Path) -> None:
    world = replace(SMALL, pixels=12, pixel=0.3, jitter=4e-6, seed=3)
    away, stated, _ = compared(measured(world, tmp_path), LINE, 1.0)
    assert len(away) > 20
    assert 0.8 < ((away / stated) ** 2).mean() < 1.25
    assert np.abs(away).mean() < 1e-6


def test_stress_is_that_of_a_cubic_crystal(found: Distortion) -> None:
    # C11, C12 and C44 of aluminium (GPa) in the axes of the cube, without any tensor.
    c11, c12, c44 = 108.2, 61.3, 28.5
    crystal = found.in_frame("crystal")
    strain = crystal.strain
    expected = np.empty_like(strain)
    trace = np.einsum("...ii->...", strain)
    for i in range(3):
        for j in range(3):
            normal = c12 * trace + (c11 - c12) * strain[..., i, i]
            expected[..., i, j] = 1e3 * (normal if i == j else 2.0 * c44 * strain[..., i, j])
    stress = crystal.stress
    assert stress is not None
    known = np.isfinite(stress).all(axis=(2, 3))
    assert known.any()
    assert np.allclose(stress[known], expected[known], rtol=1e-9, atol=1e-9)


def test_only_differences_without_zeros(four: list[Path], found: Distortion) -> None:
    # The mean of the places is not zero, but differences between places are the same.
    mean = distortion(four, told(SMALL))
    change = mean.beta - found.beta
    known = np.isfinite(change).all(axis=(2, 3))
    away = np.abs(change[known] - np.median(change[known], axis=0))
    # Near the core, cameras that disagree count less, by a little more or less.
    assert np.median(away) < 2e-8
    assert away.max() < 1e-6
    assert any("only differences" in note for note in mean.notes)


def test_layers_give_the_whole_nye_tensor(tmp_path: Path) -> None:
    # A lattice bent alike everywhere: β grows linearly along x, y and z.
    slopes = 1e-5 * np.random.default_rng(5).normal(size=(3, 3, 3))
    bent = World(lambda points: np.einsum("ijk,nk->nij", slopes, points), pixels=10, pixel=0.4)
    world = replace(bent, wide=(1.8e-3, 7), arm=(0.75e-3, 4), heights=1)
    middle = distortion(written_layers(world, tmp_path, (0.9, 0.0, -0.6)), told(world))
    assert [round(layer.z, 6) for layer in middle.layers] == [-0.8, 0.1, 0.7]
    alpha = middle.nye
    known = np.isfinite(alpha).all(axis=(2, 3))
    assert known.sum() > 15
    expected = np.zeros((3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        expected[:, i] = slopes[:, k, j] - slopes[:, j, k]
    axes = middle.sheet.axes
    assert np.abs(alpha[known].mean(axis=0) - axes @ expected @ axes.T).max() < 1.2e-6
    # What counts as undistorted is the same lattice in all layers.
    places = [np.nanmean(layer.beta, axis=(0, 1)) for layer in middle.layers]
    change = axes @ slopes[..., 2] @ axes.T
    assert np.abs((places[2] - places[0]) / 1.5 - change).max() < 6e-7
    assert np.isnan(middle.layers[0].nye[..., :2]).all()
    assert np.isfinite(middle.layers[0].nye[..., 2]).any()


@pytest.mark.slow
def test_a_dislocation_is_followed_through_three_layers(tmp_path: Path) -> None:
    # The line is inclined: it crosses each layer at a place of its own.
    paths = written_layers(SMALL, tmp_path, (0.8, 0.0, -0.8))
    result = distortion(paths, told(SMALL), reference="bragg")
    assert [round(layer.z, 6) for layer in result.layers] == [-0.8, 0.0, 0.8]
    true = -BURGERS * np.array([1, -1, 0]) / np.sqrt(2.0)
    for layer in result.layers:
        core = tuple((layer.sheet.axes @ [-0.5 * layer.z, -0.5 * layer.z, layer.z])[:2])
        away, stated, _ = compared(layer, LINE, 1.0, (core,), layer.z)
        assert len(away) > 100
        assert np.abs(away).mean() < 1e-6
        assert 0.8 < ((away / stated) ** 2).mean() < 1.2
        x, y = core
        corners = [(x - 1.5, y - 1.5), (x + 1.5, y - 1.5), (x + 1.5, y + 1.5), (x - 1.5, y + 1.5)]
        circuit = layer.circuit(corners)
        assert np.abs(circuit.burgers - true).max() < 0.02 * BURGERS


def test_other_layers_are_refused(tmp_path: Path) -> None:
    world = World(lambda points: np.zeros((len(points), 3, 3)), pixels=2, heights=1)
    world = replace(world, wide=(1.8e-3, 3), arm=(0.75e-3, 3), fine=(0.35e-3, 5))
    paths = written_layers(world, tmp_path, (0.5, 0.0))
    with h5py.File(paths[2], "a") as file:
        file["2.1/instrument/positioners/samz"][()] += 0.3e-3
    with pytest.raises(InputError, match=r"\(-1 1 3\) at the heights .* must show the same layers"):
        distortion(paths, told(world))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["edge", "sixty", "loop"])
def test_published_case_scaled(tmp_path: Path, kind: str) -> None:
    # 60 × 60 pixels, of twice the published size, and a third of its frames.
    b = BURGERS * np.array([1, -1, 0]) / np.sqrt(2.0)
    place = (0.0, 0.0)
    if kind == "edge":
        field = world_of.straight_line(b, [1, 1, -2])
    elif kind == "sixty":
        field = world_of.straight_line(b, [1, 0, -1])
    else:
        field = world_of.loop(b, [1, 1, 1], 0.8, (*place, 0.0))
    world = World(field, pixels=60, pixel=0.1, wide=(2.3e-3, 21), heights=5, seed=7)
    result = measured(world, tmp_path)
    # A loop on (1 1 1) crosses the sheet where it runs along [1 -1 0].
    crossing = 0.8 / np.sqrt(2.0)
    cores = ((crossing, -crossing), (-crossing, crossing)) if kind == "loop" else ((0.0, 0.0),)
    away, stated, _ = compared(result, field, 0.5, cores)
    assert np.abs(away).mean() < 1e-6
    assert 0.8 < ((away / stated) ** 2).mean() < 1.2
    if kind != "loop":
        circuit = result.circuit([(-1.5, -1.5), (1.5, -1.5), (1.5, 1.5), (-1.5, 1.5)])
        assert np.abs(circuit.burgers + b).max() < 0.02 * BURGERS


@pytest.mark.slow
def test_bent_lattice_of_another_orientation(tmp_path: Path) -> None:
    # A uniform rotation and strain, exactly known; far beyond what is linear in it.
    random = np.random.default_rng(3)
    turn = about_z(4e-4)
    uniform = turn @ (np.eye(3) + 1e-4 * random.normal(size=(3, 3))) - np.eye(3)
    world = World(
        lambda points: np.broadcast_to(uniform, (len(points), 3, 3)),
        pixels=6,
        noise=True,
        fine=(1.2e-3, 141),
    )
    result = measured(world, tmp_path)
    known = np.isfinite(result.beta).all(axis=(2, 3))
    assert np.abs(np.nanmean(result.beta[known], axis=0) - uniform).max() < 5e-7
