import math

import numpy as np
import pytest

from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import material
from weakbeam.crystal.orientation import sample_from_crystal_mount
from weakbeam.crystal.slip import burgers_vector, line_of_character, slip_systems
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.defects.lines import StraightLine
from weakbeam.diffraction.reachable import (
    MOST_REFLECTIONS,
    SORT_KEYS,
    contrasts,
    find_reflections,
    reflections_within,
    sort_reflections,
)
from weakbeam.instrument.goniometer import rotation_y

AL = material("Al")
MEDIUM = IsotropicMedium(AL.poisson_ratio)
OBLIQUE_CELL = UnitCell.cubic(4.0493)


def dislocation(b, plane, character_deg: float, m=AL, **changes) -> StraightLine:
    values = {
        "burgers_vector": burgers_vector(m.cell, centring_vectors(m.space_group), b),
        "line": line_of_character(m.cell, b, plane, character_deg),
        "position": (0.0, 0.0, 0.0),
        "core_radius": 2.9e-4,
    }
    return StraightLine(**{**values, **changes})


def symmetric(theta_max_deg: float = 20, m=AL, energy: float = 17.0, **options):
    limit = math.radians(theta_max_deg)
    return find_reflections(m.cell, m.space_group, energy, limit, sites=m.sites, **options)


def oblique(theta_max_deg: float = 16.3, orientation=None, **options):
    return find_reflections(
        OBLIQUE_CELL,
        AL.space_group,
        19.1,
        math.radians(theta_max_deg),
        sites=AL.sites,
        sample_from_crystal=np.eye(3) if orientation is None else orientation,
        **options,
    )


def test_aluminium_at_17_keV() -> None:
    families = {}
    for row in symmetric():
        families.setdefault(tuple(sorted(map(abs, row.hkl), reverse=True)), []).append(row)
    # docs/explanation/physics.md, G, and the multiplicities of cubic forms.
    expected = {
        (1, 1, 1): (8.9732, 8),
        (2, 0, 0): (10.3756, 6),
        (2, 2, 0): (14.7559, 12),
        (3, 1, 1): (17.3774, 24),
        (2, 2, 2): (18.1764, 8),
    }
    assert set(families) == set(expected)
    for group, (family, (theta, members)) in enumerate(expected.items(), 1):
        assert len(families[family]) == members
        for row in families[family]:
            assert math.degrees(row.theta) == pytest.approx(theta, abs=5e-5)
            assert (row.group, row.multiplicity, row.solutions) == (group, members, ())
            assert row.d_spacing == pytest.approx(4.0495 / math.hypot(*family))
            assert row.structure_factor == pytest.approx(families[family][0].structure_factor)


def test_groups_of_the_oblique_geometry() -> None:
    """|η|, θ and how many reflections; Henningsson et al. (2025), table A.2."""
    groups = {}
    for row in oblique():
        eta = {round(abs(math.degrees(s.eta)), 2) for s in row.solutions}
        assert len(eta) == 1
        key = (round(math.degrees(row.theta), 2), *eta)
        groups.setdefault(key, []).append(row)
        assert row.group == len(groups)
    assert {key: len(rows) for key, rows in groups.items()} == {
        (7.98, 54.34): 4,
        (7.98, 125.66): 4,
        (9.22, 90.0): 4,
        (13.1, 43.45): 4,
        (13.1, 90.0): 4,
        (13.1, 136.55): 4,
        (15.42, 20.23): 4,
        (15.42, 71.77): 8,
        (15.42, 108.23): 8,
        (15.42, 159.77): 4,
        (16.12, 53.06): 4,
        (16.12, 126.94): 4,
    }
    assert all(row.multiplicity == len(rows) for rows in groups.values() for row in rows)


def test_reflections_along_the_axis_of_rotation_are_not_listed() -> None:
    found = {row.hkl for row in oblique()}
    assert {(0, 0, 2), (0, 0, -2)}.isdisjoint(found)
    assert (2, 0, 0) in found


def test_a_tilt_reaches_more() -> None:
    flat = {row.hkl: row.solutions for row in oblique()}
    tilted = {row.hkl: row.solutions for row in oblique(mu_range=(-0.3, 0.3))}
    assert set(tilted) - set(flat) == {(0, 0, 2), (0, 0, -2)}
    for hkl, solutions in flat.items():
        assert [s.mu for s in tilted[hkl]] == [0, 0]
        assert [s.eta for s in tilted[hkl]] == pytest.approx([s.eta for s in solutions])
    upright, no_other = tilted[0, 0, 2]
    assert no_other is None
    assert math.degrees(upright.mu) == pytest.approx(-9.2247, abs=1e-4)
    assert upright.eta == pytest.approx(0, abs=1e-9)


def test_motors_that_stand_elsewhere_turn_the_crystal() -> None:
    """φ innermost, about y: as another mount."""
    turned = rotation_y(0.2)
    remounted = {row.hkl: row.solutions for row in oblique(orientation=turned)}
    for row in oblique(phi=0.2):
        for s, other in zip(row.solutions, remounted[row.hkl], strict=True):
            assert (s.omega, s.eta) == pytest.approx((other.omega, other.eta), abs=1e-9)
            assert s.phi == 0.2


def test_a_mount_turns_omega_and_leaves_eta() -> None:
    turned = sample_from_crystal_mount(OBLIQUE_CELL, (1, 1, 0), (-1, 1, 0), (0, 0, 1))
    before = {row.hkl: row.solutions for row in oblique()}
    for row in oblique(orientation=turned):
        old = sorted((s.omega + math.pi / 4) % (2 * math.pi) for s in before[row.hkl])
        np.testing.assert_allclose([s.omega for s in row.solutions], old, atol=1e-12)
        assert abs(row.solutions[0].eta) == pytest.approx(abs(before[row.hkl][0].eta))


def test_limits_of_the_motor() -> None:
    everything = {row.hkl: row for row in oblique()}
    limits = math.radians(-30), math.radians(30)
    limited = oblique(omega_range=limits)
    assert 0 < len(limited) < len(everything)
    for row in limited:
        assert row.multiplicity == everything[row.hkl].multiplicity
        for kept, solution in zip(row.solutions, everything[row.hkl].solutions, strict=True):
            inside = math.cos(solution.omega) >= math.cos(math.pi / 6)
            assert kept == (solution if inside else None)
    full = oblique(omega_range=(0, 2 * math.pi), eta_range=(-math.pi, math.pi))
    assert full == list(everything.values())


def test_limits_of_the_azimuth() -> None:
    degrees = math.radians(20.233 - 0.01), math.radians(20.233 + 0.01)
    rows = oblique(eta_range=degrees)
    assert {row.hkl for row in rows} == {(1, 1, 3), (-1, 1, 3), (1, -1, 3), (-1, -1, 3)}
    assert all(sum(s is not None for s in row.solutions) == 1 for row in rows)
    # One group stands at exactly 90 degrees: the ends of a range belong to it.
    assert len(oblique(eta_range=(math.pi / 2, math.pi / 2))) == 8


@pytest.mark.parametrize("name", ["Al", "Fe", "Ti", "Si", "GaAs", "GaN"])
def test_no_extinct_reflection_is_listed_and_no_other_left_out(name: str) -> None:
    m = material(name)
    listed = {row.hkl for row in symmetric(18, m)}
    all_of_them = {tuple(h) for h in reflections_within(m.cell, 17.0, math.radians(18)).tolist()}
    assert listed == {h for h in all_of_them if m.extinction_reason(h) is None}
    assert 0 < len(listed) < len(all_of_them)


def test_without_sites_only_symmetry_speaks() -> None:
    si = material("Si")
    with_sites = {row.hkl for row in symmetric(m=si)}
    rows = find_reflections(si.cell, si.space_group, 17.0, math.radians(20))
    assert {row.hkl for row in rows} - with_sites >= {(2, 2, 2)}
    assert {row.structure_factor for row in rows} == {None}
    assert {row.contrasts for row in rows} == {()}


def test_every_point_of_a_skew_lattice_is_found() -> None:
    cell = UnitCell(4.0, 5.5, 7.0, 75.0, 100.0, 115.0)
    limit = math.radians(12)
    found = reflections_within(cell, 17.0, limit)
    box = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).reshape(-1, 3)
    box = box[np.any(box != 0, axis=1)]
    spacing = np.asarray(cell.d_spacing(box))
    expected = box[12.398419843 / 17.0 / (2 * spacing) <= math.sin(limit)]
    assert {tuple(h) for h in found.tolist()} == {tuple(h) for h in expected.tolist()}
    assert np.abs(found).max() < 12


def test_too_many_reflections_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MOST_REFLECTIONS}"):
        symmetric(40, energy=500.0)


def test_nothing_in_reach_is_an_empty_table() -> None:
    assert symmetric(energy=1.0) == []
    assert oblique(theta_max_deg=1.0) == []


def numbers(hkl, line: StraightLine, m=AL):
    ((found,),) = contrasts([m.cell.plane_normal(hkl)], [line], MEDIUM)
    return found


def test_dislocations_need_a_medium() -> None:
    with pytest.raises(ValueError, match="depends on their medium"):
        symmetric(dislocations=[dislocation((1, 0, -1), (1, 1, 1), 90)])


def test_screws_with_g_dot_b_zero_are_invisible() -> None:
    for system in slip_systems("fcc"):
        for character in (90, -90):
            screw = dislocation(system.direction, system.plane, character)
            table = symmetric(dislocations=[screw], medium=MEDIUM)
            for row in table:
                h = np.array(row.hkl)
                (seen,) = row.contrasts
                assert seen.g_dot_b == pytest.approx(h @ np.array(system.direction) / 2)
                assert seen.g_dot_b_cross_t == pytest.approx(0, abs=1e-9)
                assert (seen.visibility < 1e-12) == (seen.g_dot_b == 0)


def test_edges_are_invisible_along_their_lines_only() -> None:
    # The line is [1 -2 1], and the planes (2 -4 2) are normal to it.
    edge = dislocation((1, 0, -1), (1, 1, 1), 0)
    along = numbers((2, -4, 2), edge)
    assert along.visibility < 1e-12
    assert along.g_dot_b == along.g_dot_b_cross_t == 0
    # g·b = 0 alone hides no edge.
    for hkl in [(-1, 1, -1), (1, 1, 1), (0, 2, 0)]:
        seen = numbers(hkl, edge)
        assert seen.g_dot_b == 0
        assert abs(seen.g_dot_b_cross_t) > 0.1
        assert seen.visibility > 1e-6


def test_visibility_of_a_screw_in_closed_form() -> None:
    """|δq| = |ĝ·b| / 2πr all around a screw without a core."""
    screw = dislocation((1, 0, -1), (1, 1, 1), 90, core_radius=0.0)
    g = np.array([2.0, 0.0, 0.0])
    expected = abs(g @ screw.burgers_vector) / np.linalg.norm(g) / (2 * math.pi)
    assert numbers((2, 0, 0), screw).visibility == pytest.approx(expected, rel=1e-12)


def test_visibility_of_a_mixed_dislocation_is_the_mean_over_a_fine_ring() -> None:
    from weakbeam.defects.straight import displacement_gradient

    line = dislocation((1, 0, -1), (1, 1, 1), 37)
    x, y, _ = line.axes
    angle = np.linspace(0, 2 * math.pi, 5001)[:-1, None]
    beta = displacement_gradient(np.cos(angle) * x + np.sin(angle) * y, line, MEDIUM)
    g = np.array([3.0, 1.0, 1.0]) / math.sqrt(11)
    rms = math.sqrt(np.mean(np.sum((np.swapaxes(beta, 1, 2) @ g) ** 2, axis=1)))
    assert numbers((3, 1, 1), line).visibility == pytest.approx(rms, rel=1e-10)


def test_visibility_in_an_anisotropic_crystal_is_that_of_its_field() -> None:
    from weakbeam.defects.anisotropic import displacement_gradient

    copper = material("Cu")
    medium = AnisotropicMedium(copper.stiffness_matrix)
    line = dislocation((1, 0, -1), (1, 1, 1), 0, copper, core_radius=0.0)
    x, y, _ = line.axes
    angle = np.linspace(0, 2 * math.pi, 5001)[:-1, None]
    beta = displacement_gradient(np.cos(angle) * x + np.sin(angle) * y, line, medium)
    g = np.array([3.0, 1.0, 1.0])
    rms = math.sqrt(np.mean(np.sum((np.swapaxes(beta, 1, 2) @ g) ** 2, axis=1)) / 11)
    ((seen,),) = contrasts(2 * math.pi / copper.cell.a * g, [line], medium)
    assert seen.visibility == pytest.approx(rms, rel=1e-6)
    ((isotropic,),) = contrasts(2 * math.pi / copper.cell.a * g, [line], MEDIUM)
    assert seen.visibility != pytest.approx(isotropic.visibility, rel=0.02)
    assert seen.g_dot_b == isotropic.g_dot_b


def test_contrast_does_not_ask_where_the_line_is_nor_for_its_sign() -> None:
    line = dislocation((1, 0, -1), (1, 1, 1), 20)
    moved = dislocation((1, 0, -1), (1, 1, 1), 20, position=(3.0, -5.0, 7.0))
    reversed_ = StraightLine(-line.burgers_vector, -line.line, (0, 0, 0), 2.9e-4)
    for hkl in [(2, 0, 0), (1, 1, 3)]:
        expected = numbers(hkl, line)
        assert numbers(hkl, moved).visibility == pytest.approx(expected.visibility, rel=1e-9)
        other = numbers(hkl, reversed_)
        assert other.visibility == pytest.approx(expected.visibility, rel=1e-9)
        assert other.g_dot_b == -expected.g_dot_b
        assert other.g_dot_b_cross_t == pytest.approx(expected.g_dot_b_cross_t)


def test_g_dot_b_of_a_hexagonal_crystal() -> None:
    ti = material("Ti")
    line = dislocation((1, 0, 0), (0, 0, 1), 30, ti)
    for hkl in [(1, 0, 0), (2, -1, 0), (0, 1, 1), (0, 0, 2), (1, 1, 2)]:
        # (hkl) · [uvw] in any lattice.
        assert numbers(hkl, line, ti).g_dot_b == hkl[0]


@pytest.mark.parametrize("key", SORT_KEYS)
def test_sorting(key: str) -> None:
    screw = dislocation((1, 0, -1), (1, 1, 1), 90)
    edge = dislocation((1, 1, 0), (1, -1, 1), 0)
    table = oblique(dislocations=[screw, edge], medium=MEDIUM)
    values = {
        "theta": [(row.theta, abs(row.solutions[0].eta)) for row in table],
        "hkl": [tuple(-i for i in row.hkl) for row in table],
        "eta": [abs(row.solutions[0].eta) for row in table],
        "omega": [row.solutions[0].omega for row in table],
        "structure-factor": [-row.structure_factor for row in table],
        "visibility": [-math.hypot(*(c.visibility for c in row.contrasts)) for row in table],
    }[key]
    order = dict(zip([row.hkl for row in table], values, strict=True))
    ordered = [order[row.hkl] for row in sort_reflections(table, key)]
    rounded = np.round(np.array(ordered).reshape(len(ordered), -1), 9).tolist()
    assert rounded == sorted(rounded)


def test_unknown_sort_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot sort by 'colour': choose theta"):
        sort_reflections([], "colour")
