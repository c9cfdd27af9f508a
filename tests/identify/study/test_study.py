import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner

from weakbeam.cli.program import weakbeam
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise
from weakbeam.identify.library.candidates import candidates_of
from weakbeam.identify.search.correlation import normalised_correlation
from weakbeam.identify.study.report import decide, figures_of, report_of, table_of
from weakbeam.identify.study.separation import confusion_probability, expected_gap
from weakbeam.identify.study.similarity import RELATIONS, correlation_matrix
from weakbeam.identify.study.study import condition_names, extra_images, run_study

SETTINGS = [
    "camera.pixels=[24,32]",
    "camera.pixel_nm=80.0",
    "beam.height_fwhm_um=0.2",
    "scan.phi.half_range_mrad=0.15",
    "scan.phi.steps=3",
    "identify.planes=[[1,-1,1],[1,1,1]]",
    "identify.burgers=[[1,1,0],[0,1,1],[1,0,-1]]",
    "identify.character_step_deg=30",
]


@pytest.fixture(scope="module")
def study():
    experiment = Experiment().with_settings([*SETTINGS, "camera.model=pco_edge"])
    return run_study(experiment, max_shift=8, levels=(0.01, 1.0), workers=1)


def test_gap_is_half_of_chi_squared_after_scale_and_background():
    random = np.random.default_rng(2)
    signal, noise = random.uniform(10.0, 100.0, (2, 5, 6)), Noise(0.0, 4.0)
    model = random.uniform(0.0, 1.0, (2, 5, 6))
    columns = [model.ravel(), np.repeat([1.0, 0.0], 30), np.repeat([0.0, 1.0], 30)]
    residual = np.linalg.lstsq(np.stack(columns, 1), signal.ravel(), rcond=None)
    scale = float(residual[0][0])
    if scale < 0.0:
        model, scale = -model, -scale
    expected = 0.5 * float(residual[1][0]) / 4.0
    assert expected_gap(signal, model, noise) == pytest.approx(expected)
    assert expected_gap(3.0 * model + 7.0, model, noise) == pytest.approx(0.0, abs=1e-9)


def test_gap_leaves_out_what_the_model_does_not_reach():
    signal = np.arange(12.0).reshape(1, 3, 4)
    model = signal**2
    cut = np.where(np.arange(4) < 2, model, np.nan)
    noise = Noise(1.0, 1.0)
    assert expected_gap(signal, cut, noise) == expected_gap(signal[..., :2], model[..., :2], noise)


def test_confusions_are_those_of_drawn_noise():
    random = np.random.default_rng(3)
    gap = 2.0
    ratio = gap + np.sqrt(2.0 * gap) * random.normal(size=200_000)
    assert confusion_probability(gap) == pytest.approx((ratio < 0).mean(), abs=0.003)


def test_correlations_are_those_of_single_pairs():
    random = np.random.default_rng(4)
    images = random.uniform(size=(5, 12, 16)).astype(np.float32)
    matrix = correlation_matrix(images, 4)
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    expected = normalised_correlation(images[1], images[3], 4).max()
    assert matrix[1, 3] == pytest.approx(float(expected), rel=1e-5)


def test_screw_part_along_a_line_in_the_reflecting_plane_is_not_seen(study):
    # Both lie along [1 0 -1]; their Burgers vectors differ by a multiple of it.
    names = {one.number: one.name for one in candidates_of(study.experiment, 1).types}
    pairs = [
        {study.types[k].name, *(names[n] for n in twins)} for k, twins in enumerate(study.twins)
    ]
    assert {"(1 -1 1) [1 1 0] 210 deg", "(1 -1 1) [0 1 1] 150 deg"} in pairs


def test_types_that_remain_differ(study):
    assert (study.gaps[-1, -1] > 1e-3).all()
    first, second = study.pairs
    assert study.correlations[first, second].max() < 1.0
    assert (study.relations[first, second] >= 0).all()
    assert sum(pairs for _, pairs in study.above().values()) == len(first)


def test_more_light_and_more_images_never_make_it_harder(study):
    assert (np.diff(study.gaps, axis=0) > 0).all()
    assert (study.confusions[1] <= study.confusions[0] + 1e-12).all()
    # The best scale may serve each further image less, but the sum only grows.
    assert (np.diff(study.gaps, axis=1) > -1e-9 * study.gaps[:, 1:]).all()


def test_further_images_only_add(study):
    choice = decide(study, None, [0], 8)
    gaps = [gap for _, gap in choice.images]
    assert len(gaps) == 2
    assert gaps == sorted(gaps, reverse=True)
    assert min(gaps) >= choice.gap
    assert choice.base == ("phi -0.15 mrad",)


def test_report_table_and_figures(study):
    choice = decide(study, None, [0], 8)
    report = json.loads(json.dumps(report_of(study, choice)))
    assert report["types"] == len(study.types)
    assert set(report["above"]) == set(RELATIONS)
    rows = list(csv.DictReader(io.StringIO(table_of(study))))
    assert len(rows) == len(study.types)
    assert 0.0 <= float(rows[0]["confused_at_1"]) <= 1.0
    drawings = figures_of(study, choice)
    assert set(drawings) == {"correlations", "histogram", "exposure", "extra-image"}
    for drawing in drawings.values():
        assert drawing.figure().axes


def test_images_are_named_by_what_changes():
    experiment = Experiment().with_settings([*SETTINGS, "scan.z.values_um=[-0.5, 0.0]"])
    assert list(condition_names(candidates_of(experiment)))[:4] == [
        "phi -0.15 mrad, z -0.5 um",
        "phi 0 mrad, z -0.5 um",
        "phi +0.15 mrad, z -0.5 um",
        "phi -0.15 mrad, z 0 um",
    ]


def test_mistakes_are_told(study):
    with pytest.raises(InputError, match="is no type of the study"):
        decide(study, (0, 999), [0], 8)
    with pytest.raises(InputError, match="the scan has 3 images"):
        decide(study, None, [7], 8)
    lonely = Experiment().with_settings(
        [*SETTINGS[:5], "identify.characters_deg=[0]", "identify.burgers=[[1,1,0]]"]
    )
    lonely = lonely.with_settings(["identify.planes=[[1,-1,1]]"])
    with pytest.raises(InputError, match="a study compares types that can be seen; there is one"):
        run_study(lonely, 4)
    # On the peak b and -b of a screw look the same.
    screws = ["identify.characters_deg=[90,270]", "identify.burgers=[[0,1,-1]]"]
    alike = Experiment().with_settings([*SETTINGS[:3], *screws, "identify.planes=[[1,1,1]]"])
    with pytest.raises(InputError, match="the images of all 2 are the same"):
        run_study(alike, 4)


def test_on_the_peak_the_sign_is_not_told():
    settings = [*SETTINGS[:3], "identify.planes=[[1,-1,1]]", "identify.burgers=[[1,1,0]]"]
    settings += ["identify.character_step_deg=30", "camera.model=pco_edge"]
    study = run_study(Experiment().with_settings(settings), 6, levels=(1.0,), workers=1)
    opposite = study.relations == RELATIONS.index("opposite signs")
    assert np.count_nonzero(opposite) == 10
    assert study.correlations[opposite].min() > 0.999
    # Dislocations are dark there; the correlation sees them all the same.
    assert (study.relations[np.arange(10), study.nearest[:, 0]] == 1).all()
    assert study.gaps[0, 0, :, 0].max() < 0.1
    pair = [study.types[k] for k in np.argwhere(opposite)[0]]
    (_, gap), *_ = extra_images(candidates_of(study.experiment), *pair, max_shift=6)
    assert gap < 0.1


def test_images_too_small_for_the_shift_are_told(study):
    with pytest.raises(InputError, match="max_shift = 13: is more than half of images of 24 x 32"):
        run_study(study.experiment, 13)
    with pytest.raises(InputError, match="max_shift = 13"):
        decide(study, None, [0], 13)
    small = study.experiment.with_settings(["camera.pixels=[11,32]"])
    with pytest.raises(InputError, match="a study needs at least 12 on each side"):
        run_study(small, 2)


@pytest.mark.parametrize(("pixels", "shift"), [("[12,14]", 6), ("[24,32]", 12)])
def test_largest_shift_of_small_images_is_possible(pixels, shift):
    settings = [*SETTINGS, f"camera.pixels={pixels}", "identify.character_step_deg=90"]
    found = run_study(Experiment().with_settings(settings), shift, levels=(1.0,), workers=1)
    assert np.isfinite(found.gaps).all()


def test_command(tmp_path):
    few = [f"--set={setting}" for setting in [*SETTINGS[:5], "identify.burgers=[[1,1,0]]"]]
    out = tmp_path / "study"
    arguments = ["identify", "study", *few, "--set=identify.character_step_deg=90"]
    arguments += ["-o", str(out), "--max-shift", "6", "--workers", "1"]
    result = CliRunner().invoke(weakbeam, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "told apart" in result.output
    assert 'that of "pco_edge" is taken' in result.output
    assert (out / "correlations.png").stat().st_size > 1000
    assert json.loads((out / "study.json").read_text())["extra"]["images"]
    again = CliRunner().invoke(weakbeam, arguments)
    assert "`overwrite` replaces it" in str(again.exception)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--base", "7"], "--base = 7: the scan has 3 images"),
        (["--between", "0", "999"], "--between = 999: is no type of the study"),
        (["--max-shift", "13"], "--max-shift = 13: is more than half of images of 24 x 32"),
    ],
)
def test_command_tells_mistakes_before_images_are_compared(tmp_path, monkeypatch, flags, message):
    def compared(*_):
        raise AssertionError("the images were compared")

    monkeypatch.setattr("weakbeam.identify.study.study._images", compared)
    few = [f"--set={setting}" for setting in [*SETTINGS[:5], "identify.burgers=[[1,1,0]]"]]
    arguments = ["identify", "study", *few, "--max-shift", "6", *flags, "-o", str(tmp_path / "s")]
    result = CliRunner().invoke(weakbeam, arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "s").exists()


def test_noise_of_averages_makes_no_types():
    """Edges that are each other's half turn look the same at the peak, however sampled."""
    settings = ["camera.pixels=[18, 26]", "camera.model=pco_edge", "scan.phi.value_mrad=0"]
    settings += ["identify.characters_deg=[90, 270]"]
    averaged, points = (
        run_study(Experiment().with_settings([*settings, way]), 3, levels=(1.0,), workers=1)
        for way in ("camera.oversampling=auto", "camera.oversampling=point")
    )
    assert averaged.types == points.types
    assert averaged.twins == points.twins
    assert any(points.twins)
