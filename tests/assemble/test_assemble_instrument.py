import math
import subprocess
import sys
import textwrap

import pytest
from scipy.special import erf

from weakbeam.assemble import assemble
from weakbeam.assemble.instrument import (
    acceptance_of,
    accepted_angles,
    back_focal_scale,
    lens_of,
    profile_of,
    stops_of,
    vignetting_of,
)
from weakbeam.errors import InputError
from weakbeam.experiment import (
    Beam,
    CentralStop,
    Experiment,
    KnifeEdge,
    Lens,
    Objective,
    RoundAperture,
    SquareAperture,
    Wire,
)
from weakbeam.instrument import stops

ID06 = Lens(lenslets=88, radius_um=50, pitch_mm=1.6, distance_m=0.274)
THETA = 0.15661
FWHM = 2.354820045


def with_stop(stop, **objective):
    return Experiment(objective=Objective(stop=stop, **objective))


class TestLens:
    def test_there_is_none_unless_given(self):
        assert lens_of(Experiment()) is None
        assert accepted_angles(Experiment()) == (0.731, 1.0323)

    def test_units(self):
        table = Lens(
            lenslets=70,
            radius_um=60,
            pitch_mm=2,
            material="Al",
            web_um=25,
            thickness_mm=1.5,
            magnification=4,
        )
        lens = lens_of(Experiment(beam=Beam(energy_keV=25), objective=Objective(lens=table)))
        assert (lens.lenslets, lens.radius, lens.pitch, lens.web) == (70, 60.0, 2000.0, 25.0)
        assert (lens.thickness, lens.energy) == (1500.0, 25.0)
        assert lens.magnification == pytest.approx(4)
        assert lens_of(with_stop(None, lens=ID06)).distance == pytest.approx(0.274e6)

    def test_its_angles_are_those_of_the_lens_unless_given(self):
        # docs/explanation/physics.md, B2 (with the attenuation of the tables); half_angle is less
        # than D / 2 d1 = 1.0323 mrad.
        fwhm, aperture = accepted_angles(with_stop(None, lens=ID06))
        assert fwhm == pytest.approx(0.571, abs=1e-3)
        assert aperture == pytest.approx(0.857, abs=1e-3)
        assert accepted_angles(with_stop(None, lens=ID06, aperture_mrad=1)) == (fwhm, 1.0)
        p = acceptance_of(with_stop(None, lens=ID06), THETA)
        assert p.optics.lens == pytest.approx(fwhm * 1e-3 / FWHM)
        assert p.optics.aperture == pytest.approx(aperture * 1e-3)

    @pytest.mark.parametrize(
        ("changed", "energy", "key"),
        [
            ({"lenslets": 500}, 17, "objective.lens.lenslets"),
            ({"material": "Li"}, 17, "objective.lens.material"),
            ({"web_um": 1600}, 17, "objective.lens.web_um"),
            ({"thickness_mm": 1.7}, 17, "objective.lens.thickness_mm"),
            ({"distance_m": 0.15}, 17, "objective.lens.distance_m"),
            ({}, 900, "beam.energy_keV"),
        ],
    )
    def test_lenses_that_are_impossible_are_refused(self, changed, energy, key):
        lens = ID06.model_copy(update=changed)
        experiment = Experiment(beam=Beam(energy_keV=energy), objective=Objective(lens=lens))
        with pytest.raises(InputError) as caught:
            acceptance_of(experiment, THETA)
        assert caught.value.key == key
        assert len(str(caught.value).splitlines()) == 1


class TestStops:
    def test_the_scale_of_the_back_focal_plane(self):
        # docs/explanation/physics.md, B2: 266.24 mm/rad.
        assert back_focal_scale(Experiment()) == pytest.approx(266.24e3, rel=2e-5)
        assert back_focal_scale(with_stop(None, lens=ID06)) == pytest.approx(266.24e3, rel=3e-4)
        for energy in (12.0, 19.1, 35.0):
            beam = Beam(energy_keV=energy)
            ours = back_focal_scale(Experiment(beam=beam))
            table = ID06.model_copy(update={"magnification": 10})
            lens = Experiment(beam=beam, objective=Objective(lens=table))
            assert ours == pytest.approx(back_focal_scale(lens), rel=1e-3)

    def test_lengths_become_angles(self):
        scale = 266.24e3
        for table, kind, angles in (
            (SquareAperture(size_um=25), stops.SquareOpening, {"half_width": 12.5 / scale}),
            (RoundAperture(diameter_um=30), stops.RoundOpening, {"radius": 15 / scale}),
            (CentralStop(size_um=50), stops.CentralBlock, {"half_width": 25 / scale}),
            (KnifeEdge(position_um=-40), stops.KnifeBlade, {"position": -40 / scale}),
            (
                Wire(diameter_um=30, position_um=9),
                stops.AbsorbingWire,
                {"radius": 15 / scale, "position": 9 / scale},
            ),
        ):
            (stop,) = stops_of(with_stop(table))
            assert type(stop) is kind
            for name, angle in angles.items():
                assert getattr(stop, name) == pytest.approx(angle, rel=2e-5)
        (edge,) = stops_of(with_stop(KnifeEdge(axis="roll", side="below")))
        assert (edge.axis, edge.side) == ("roll", "below")
        assert stops_of(Experiment()) == ()

    def test_a_wire_absorbs_by_its_diameter(self):
        (wire,) = stops_of(with_stop(Wire(diameter_um=30)))
        # Tungsten at 17 keV: 100 cm2/g within a few percent, 19.3 g/cm3 (NIST).
        assert wire.optical_depth == pytest.approx(100 * 19.3 * 30e-4, rel=0.05)
        (thick,) = stops_of(with_stop(Wire(diameter_um=60, material="Al")))
        (thin,) = stops_of(with_stop(Wire(diameter_um=30, material="Al")))
        assert thick.optical_depth == pytest.approx(2 * thin.optical_depth)
        assert thin.optical_depth < 0.1

    def test_an_aperture_passes_its_share(self):
        p = acceptance_of(with_stop(SquareAperture(size_um=25), aperture_mrad=math.inf), THETA)
        sigma = 0.731e-3 / FWHM
        expected = erf(12.5 / 266.24e3 / sigma / math.sqrt(2)) ** 2
        assert p.optics.throughput == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize(
        ("stop", "key", "said"),
        [
            (SquareAperture(size_um=550), "size_um", "larger than the lens, which passes 549.7 um"),
            (RoundAperture(diameter_um=550), "diameter_um", "larger than the lens"),
            (CentralStop(size_um=550), "size_um", "larger than the lens"),
            (Wire(diameter_um=550), "diameter_um", "larger than the lens"),
            (
                KnifeEdge(position_um=275),
                "position_um",
                "lets nothing through; the lens passes -27",
            ),
            (KnifeEdge(position_um=-275, side="below"), "position_um", "lets nothing through"),
            (KnifeEdge(position_um=-1e5, side="below"), "position_um", "lets nothing through"),
            (Wire(diameter_um=30, material="Pb"), "material", "'Pb' is unknown"),
        ],
    )
    def test_impossible_stops_are_refused(self, stop, key, said):
        with pytest.raises(InputError) as caught:
            acceptance_of(with_stop(stop), THETA)
        assert caught.value.key == f"objective.stop.{key}"
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    def test_without_aperture_no_stop_is_too_large_unless_it_blocks_all(self):
        large = {"aperture_mrad": math.inf}
        open_ = acceptance_of(with_stop(SquareAperture(size_um=1e4), **large), THETA)
        assert open_.optics.throughput == pytest.approx(1.0)
        for stop in (CentralStop(size_um=1e4), KnifeEdge(position_um=1e4)):
            with pytest.raises(InputError, match=r"^objective\.stop\.\w+ = 10000\.0: lets nothing"):
                acceptance_of(with_stop(stop, **large), THETA)

    def test_energies_where_lens_or_tables_end_are_refused(self):
        slow, fast = Beam(energy_keV=4), Beam(energy_keV=900)
        for beam, stop in ((slow, KnifeEdge()), (fast, Wire(diameter_um=30))):
            experiment = Experiment(beam=beam, objective=Objective(stop=stop))
            with pytest.raises(InputError, match=r"^beam\.energy_keV = "):
                acceptance_of(experiment, THETA)


class TestBeam:
    def test_the_default(self):
        p = acceptance_of(Experiment(), THETA)
        assert (p.optics.bandwidth, p.optics.spectrum, p.optics.stops) == (6e-5, (), ())
        assert p.motion == (0.0, 0.0, 0.0)
        assert p.optics.divergence_vertical == pytest.approx(0.53e-3 / FWHM)
        assert (p.optics.clip, p.optics.aperture) == pytest.approx((1.4e-4, 1.0323e-3))
        assert p.optics.lens == pytest.approx(0.731e-3 / FWHM)

    @pytest.mark.parametrize(("clip", "half_width"), [(math.inf, 0.265e-3), (0.1, 0.1e-3)])
    def test_a_uniform_divergence_has_its_full_width_and_is_cut(self, clip, half_width):
        beam = Beam(divergence_vertical_profile="uniform", divergence_vertical_clip_mrad=clip)
        p = acceptance_of(Experiment(beam=beam), THETA)
        assert math.isinf(p.optics.divergence_vertical)
        assert p.optics.clip == pytest.approx(half_width)
        # q_rock' = ε sinθ - ζ cosθ, and a uniform ζ has a third of its squared half width.
        variance = (math.sin(THETA) * 6e-5) ** 2 + math.cos(THETA) ** 2 * half_width**2 / 3
        assert p.covariance()[0, 0] == pytest.approx(variance, rel=1e-6)

    def test_a_spectrum(self):
        beam = Beam(spectrum=[{"rms": 3e-3}, {"weight": 3, "center": 8e-3, "rms": 1e-3}])
        p = acceptance_of(Experiment(beam=beam), THETA)
        assert p.optics.spectrum == ((0.25, 0.0, 3e-3), (0.75, 8e-3, 1e-3))
        one = acceptance_of(Experiment(beam=Beam(spectrum=[{"rms": 6e-5}])), THETA)
        plain = acceptance_of(Experiment(), THETA)
        q = [[0, 0, 0], [1e-5, 2e-4, -3e-4]]
        assert one.density(q) == pytest.approx(plain.density(q), rel=1e-12)

    def test_a_spectrum_that_misses_the_reflection_is_refused(self):
        # At the Bragg angle an energy off by 0.01 needs rays 0.01 tanθ = 1.6 mrad off.
        beam = Beam(spectrum=[{"center": 0.01, "rms": 1e-5}])
        with pytest.raises(InputError, match=r"^beam\.spectrum = \[0\.01\]: .* is dark"):
            acceptance_of(Experiment(beam=beam), THETA)
        beside = Beam(spectrum=[{"center": 0.01, "rms": 1e-5}, {"weight": 0.1, "rms": 1e-5}])
        assert acceptance_of(Experiment(beam=beside), THETA).peak > 0

    def test_a_motion_during_the_exposure(self):
        motion = (1e-5, 0.0, -2e-5)
        assert acceptance_of(Experiment(), THETA, motion).motion == motion

    def test_profiles(self):
        assert profile_of(Experiment()).height == 0.15
        assert profile_of(Experiment(beam=Beam(profile="box"))).shape == "box"
        beam = Beam(profile="tabulated", profile_um=(-1, 0, 3), profile_intensity=(0, 4, 1))
        profile = profile_of(Experiment(beam=beam))
        assert profile.ends == (-1.0, 3.0)
        assert profile.intensity([-0.5, 3.0]) == pytest.approx([0.5, 0.25])


def test_vignetting_is_that_of_the_lens_and_goes_with_the_open_lens_only():
    asked = Experiment().with_settings(["objective.vignetting=true"])
    assert vignetting_of(Experiment()) == 0.0
    # Towards the middle of the stack, 0.27 m and half of 88 lenslets of 1.6 mm away.
    assert vignetting_of(asked) == pytest.approx(-1.0 / 0.350e6, rel=0.01)
    for setting in ("objective.stop={kind='knife_edge'}", "acceptance.method=ray-trace"):
        with pytest.raises(InputError, match="vignetting") as caught:
            assemble(asked.with_settings([setting]))
        assert caught.value.key == "objective.vignetting"


def test_tables_of_matter_are_loaded_only_for_what_needs_them():
    code = """
        import sys
        from weakbeam.assemble.instrument import acceptance_of
        from weakbeam.experiment import Experiment
        acceptance_of(Experiment().with_settings(["objective.stop={kind='knife_edge'}"]), 0.15)
        assert "xraydb" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
