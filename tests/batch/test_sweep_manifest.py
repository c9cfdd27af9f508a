"""From a manifest to tasks: expansion, identities, mistakes in one line."""

from __future__ import annotations

import itertools
import time
import tomllib

import numpy as np
import pytest
from small_sweeps import CHI, ENERGY, SMALL, small_sweep

from weakbeam.batch.draws import latin_hypercube, sobol
from weakbeam.batch.manifest import parse_sweep, read_sweep
from weakbeam.batch.shard import task_id
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

COUNTING = {"camera": {"model": "pco_edge"}}


def settings(sweep):
    return [dict(task.settings) for task in sweep.tasks()]


class TestExpansion:
    def test_every_combination_the_first_axis_slowest(self):
        sweep = small_sweep(ENERGY, CHI)
        expected = [
            {ENERGY[0]: energy, CHI[0]: chi} for energy, chi in itertools.product(ENERGY[1], CHI[1])
        ]
        assert settings(sweep) == expected
        assert sweep.count == 10
        assert dict(sweep.task(7).settings) == expected[7]
        assert [task.number for task in sweep.tasks(3, 6)] == [3, 4, 5]

    def test_ranges_hold_both_ends(self):
        axis = {"key": "scan.chi.value_mrad", "start": -0.1, "stop": 0.3, "steps": 5}
        values = [s["scan.chi.value_mrad"] for s in settings(parse_sweep({"axes": [axis]}))]
        np.testing.assert_allclose(values, np.linspace(-0.1, 0.3, 5), atol=1e-15)
        assert (values[0], values[-1]) == (-0.1, 0.3)

    def test_seeds_count_from_0(self):
        axes = [{"key": "camera.seed", "seeds": 3}]
        sweep = parse_sweep({"axes": axes, "experiment": COUNTING})
        assert settings(sweep) == [{"camera.seed": n} for n in range(3)]

    def test_keys_in_step(self):
        axis = {
            "keys": ["defects[0].burgers", "defects[0].line"],
            "values": [[[1, 0, -1], [1, -2, 1]], [[1, 0, -1], [1, 0, -1]]],
        }
        sweep = parse_sweep({"axes": [axis]})
        assert sweep.count == 2
        lines = [task.experiment(sweep.base).defects[0].line for task in sweep.tasks()]
        assert lines == [(1.0, -2.0, 1.0), (1.0, 0.0, -1.0)]

    def test_a_draw_goes_with_every_combination(self):
        draw = {"count": 4, "ranges": [{"key": "beam.energy_keV", "low": 16, "high": 18}]}
        sweep = small_sweep(CHI, draw=draw)
        assert sweep.count == 20
        energies = [s["beam.energy_keV"] for s in settings(sweep)]
        assert energies[:4] == energies[4:8]
        assert sorted(int((e - 16) / 0.5) for e in energies[:4]) == [0, 1, 2, 3]
        assert all(sweep.task(n).settings == task.settings for n, task in enumerate(sweep.tasks()))

    def test_whole_numbers_and_logarithms(self):
        ranges = [
            {"key": "camera.pixels[0]", "low": 3, "high": 5, "whole": True},
            {"key": "beam.bandwidth_rms", "low": 1e-6, "high": 1e-2, "scale": "log"},
        ]
        found = settings(parse_sweep({"draw": {"count": 300, "ranges": ranges}}))
        rows = [s["camera.pixels[0]"] for s in found]
        assert {type(n) for n in rows} == {int}
        assert all(90 <= rows.count(n) <= 110 for n in (3, 4, 5))
        logs = np.log10([s["beam.bandwidth_rms"] for s in found])
        np.testing.assert_allclose(np.histogram(logs, 4, (-6, -2))[0], 75, atol=2)

    def test_ten_million_tasks_are_not_listed(self):
        axes = [{"key": "camera.seed", "seeds": 10_000_000}]
        start = time.perf_counter()
        camera = SMALL["camera"] | COUNTING["camera"]
        sweep = parse_sweep({"axes": axes, "experiment": SMALL | {"camera": camera}})
        assert dict(sweep.task(9_999_999).settings) == {"camera.seed": 9_999_999}
        assert sweep.shards == 10_000
        assert time.perf_counter() - start < 1.0

    def test_files_share_the_tasks(self):
        sweep = small_sweep(ENERGY, CHI, per_shard=3)
        numbers = [n for shard in range(sweep.shards) for n in sweep.shard(shard)]
        assert numbers == list(range(10))
        assert sweep.shards == 4


class TestDraws:
    def test_latin_hypercube_has_one_point_in_each_part(self):
        points = latin_hypercube(3, 20, 5)
        assert points.shape == (20, 3)
        for column in points.T:
            assert sorted((20 * column).astype(int)) == list(range(20))

    def test_sobol_points_stay_when_more_are_drawn(self):
        many = sobol(2, 0, 64, 1)
        np.testing.assert_array_equal(sobol(2, 10, 20, 1), many[10:20])
        assert not np.allclose(sobol(2, 0, 64, 2), many)
        assert ((many >= 0) & (many < 1)).all()
        # 64 points of two coordinates: four in each of 4 x 4 squares, but for the shift.
        counts, *_ = np.histogram2d(*many.T, bins=4, range=[[0, 1], [0, 1]])
        assert counts.max() <= 9

    def test_the_same_everywhere(self):
        assert sobol(2, 1, 2, 7)[0].tolist() == pytest.approx(
            [0.12509546660466686, 0.39721380096957537]
        )


class TestIdentity:
    def test_is_of_the_experiment_not_of_its_place(self):
        def ids(sweep):
            return {task_id(task.experiment(sweep.base)) for task in sweep.tasks()}

        few = ids(small_sweep(ENERGY, CHI))
        assert len(few) == 10
        assert few == ids(small_sweep(CHI, ENERGY))
        assert few < ids(small_sweep(ENERGY, ("scan.chi.value_mrad", [*CHI[1], 0.5])))
        assert few < ids(small_sweep(ENERGY, CHI, ("scan.two_theta.value_mrad", [0.0, 0.1])))

    def test_changes_with_the_bytes_of_a_file_that_is_named(self, tmp_path):
        cif = tmp_path / "a.cif"
        cif.write_text("one")
        experiment = Experiment().with_settings(
            [f'crystal.cif="{cif}"', "crystal.poisson_ratio=0.3"]
        )
        first = task_id(experiment)
        assert task_id(experiment) == first != experiment.digest
        cif.write_text("another")
        assert task_id(experiment) != first

    def test_sweeps_read_back_are_equal(self):
        draw = {"count": 3, "ranges": [{"key": "beam.energy_keV", "low": 16, "high": 18}]}
        sweep = small_sweep(CHI, draw=draw, executor={"queue": "long", "directives": ["-x"]})
        again = parse_sweep(tomllib.loads(sweep.to_toml()))
        assert again.digest == sweep.digest
        assert settings(again) == settings(sweep)
        assert again.manifest.executor == sweep.manifest.executor

    def test_where_it_is_computed_does_not_matter(self):
        elsewhere = small_sweep(CHI, executor={"kind": "slurm", "workers": 9})
        assert elsewhere.digest == small_sweep(CHI).digest
        assert small_sweep(CHI, per_shard=3).digest != small_sweep(CHI).digest


def test_base_stands_beside_the_manifest(tmp_path):
    (tmp_path / "base.toml").write_text("[beam]\nenergy_keV = 18\n")
    manifest = tmp_path / "sweep.toml"
    manifest.write_text('base = "base.toml"\n[[axes]]\nkey = "scan.chi.value_mrad"\nvalues = [0]\n')
    assert read_sweep(manifest).base.beam.energy_keV == 18


AXIS = "[[axes]]\nkey = 'beam.energy_keV'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "axes: missing; a sweep has [[axes]], or [draw]"),
        ("[[axis]]\nkey = 'a'", "axis = [{'key': 'a'}]: unknown key; did you mean axes?"),
        (AXIS + "value = [1]", "axes[0].value = [1]: unknown key; did you mean axes[0].values?"),
        (AXIS + "values = []", "axes[0].values = []: must be a list of values, at least one"),
        (AXIS, "axes[0].values: missing; give one of values; start, stop and steps; seeds"),
        (AXIS + "start = 1", "axes[0].stop: missing; a range is start, stop and steps"),
        (AXIS + "seeds = 2\nvalues = [1]", "axes[0].seeds = 2: give one of values; start"),
        (AXIS + "seeds = 0", "axes[0].seeds = 0: must be an integer from 1 to 1000000000"),
        (AXIS + "values = [17, -1]", "beam.energy_keV = -1: must be a number from 1 to 1000"),
        ("[[axes]]\nvalues = [1]", "axes[0].key: missing; give key, or keys"),
        (
            "[[axes]]\nkey = 'beam.enrgy_keV'\nvalues = [1]",
            "beam.enrgy_keV = 1: unknown key; did you mean beam.energy_keV?",
        ),
        ("[[axes]]\nkey = 'a b'\nvalues = [1]", "axes[0].key = 'a b': must be a key of the"),
        (
            "[[axes]]\nkeys = ['beam.energy_keV', 'camera.seed']\nvalues = [[1, 2], [3]]",
            "axes[0].values[1] = [3]: must be a list of 2 values",
        ),
        (
            AXIS + "values = [17]\n" + AXIS + "values = [18]",
            "axes[1] = 'beam.energy_keV': varies already in axes[0]",
        ),
        (
            "[[axes]]\nkey = 'identify.character_step_deg'\nvalues = [10, 30]",
            "axes[0]: identify.character_step_deg changes no image; weakbeam identify",
        ),
        (
            AXIS + "values = [17]\n[[axes]]\nkey = 'output.figures'\nvalues = [true, false]",
            "axes[1]: output.figures changes no image; set it once",
        ),
        (
            "[draw]\ncount = 2\nranges = [{key = 'identify.images', low = 1, high = 2}]",
            "draw: identify.images changes no image",
        ),
        (
            "[[axes]]\nkey = 'acceptance.rays'\nvalues = [10000, 20000]",
            'acceptance.rays: changes no image; needs acceptance.method = "ray-trace"',
        ),
        (
            "[[axes]]\nkey = 'camera.seed'\nseeds = 3",
            'camera.seed: changes no image; needs camera.model = "pco_edge", or another',
        ),
        ("[draw]\ncount = 3", "draw.ranges: missing; must be a list of tables"),
        (
            "[draw]\ncount = 3\nranges = [{key = 'camera.seed', low = 2, high = 1}]",
            "draw.ranges[0].high = 1: must be greater than low = 2",
        ),
        (
            AXIS + "values = [17]\n[output]\nformat = 'tiff'",
            'output.format = \'tiff\': must be "hdf5", "webdataset" or "zarr"',
        ),
        (
            AXIS + "values = [17]\n[experiment.beem]\nx = 3",
            "experiment.beem: unknown key; did you mean beam?",
        ),
        (
            "base = 'a.toml'\n" + AXIS + "values = [17]\n[experiment]\n",
            "base = 'a.toml': give either base or [experiment]",
        ),
        ("base = 'no.toml'\n" + AXIS + "values = [17]", "no.toml: cannot be read: No such file"),
        (
            AXIS + "values = [17]\n[experiment.output]\nfield = true",
            "output.field = True: is not for sweeps",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        parse_sweep(tomllib.loads(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_ends_of_ranges_are_checked():
    energies = {"key": "beam.energy_keV", "start": 17, "stop": -3, "steps": 5}
    with pytest.raises(InputError, match=r"^beam\.energy_keV = -3\.0: must be a number from 1"):
        parse_sweep({"axes": [energies]})
    pixels = {"key": "camera.pixel_nm", "low": -10, "high": 40}
    with pytest.raises(InputError, match=r"^camera\.pixel_nm = -10\.0: must be"):
        parse_sweep({"draw": {"count": 4, "ranges": [pixels]}})


def test_seeds_may_vary_where_the_camera_is_one_of_several():
    models = {"key": "camera.model", "values": ["ideal", "pco_edge"]}
    assert parse_sweep({"axes": [{"key": "camera.seed", "seeds": 2}, models]}).count == 4


def test_rays_may_vary_where_they_are_traced():
    axes = [{"key": "acceptance.rays", "values": [1000, 2000]}]
    traced = {"acceptance": {"method": "ray-trace"}}
    assert parse_sweep({"axes": axes, "experiment": traced}).count == 2
    methods = {"key": "acceptance.method", "values": ["closed-form", "ray-trace"]}
    assert parse_sweep({"axes": [*axes, methods]}).count == 4
