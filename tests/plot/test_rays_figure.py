import numpy as np
import pytest
from mpl_toolkits.mplot3d import Axes3D

from weakbeam.plot.rays import rays_figure, wall_density

RNG = np.random.default_rng(0)
CLOUD = RNG.normal([0.0, 1e-4, -5e-4], [0.8e-4, 9.9e-4, 1.02e-3], (5000, 3))


def points(figure) -> np.ndarray:
    (axes,) = figure.axes
    # The cloud alone holds as many points as there are rays.
    (cloud,) = (c for c in axes.collections if np.size(c.get_array()) == len(CLOUD))
    return np.column_stack(cloud._offsets3d)


def test_every_ray_is_a_point_in_thousandths() -> None:
    np.testing.assert_allclose(points(rays_figure(CLOUD)), 1e3 * CLOUD)


def test_axes_are_named_and_hold_all_rays() -> None:
    (axes,) = rays_figure(CLOUD).axes
    for k, (name, label, limits) in enumerate(
        (
            ("rock", axes.get_xlabel(), axes.get_xlim()),
            ("roll", axes.get_ylabel(), axes.get_ylim()),
            ("theta", axes.get_zlabel(), axes.get_zlim()),
        )
    ):
        assert name in label
        assert "10^{-3}" in label
        assert limits[0] < 1e3 * CLOUD[:, k].min()
        assert limits[1] > 1e3 * CLOUD[:, k].max()


def test_shadows_lie_on_the_three_back_walls(monkeypatch) -> None:
    drawn = []

    def contourf(axes, *grids, zdir, offset, **_):
        drawn.append((zdir, offset, grids))

    monkeypatch.setattr(Axes3D, "contourf", contourf)
    (axes,) = rays_figure(CLOUD).axes
    x_ends, y_ends, z_ends = axes.get_xlim(), axes.get_ylim(), axes.get_zlim()
    assert [wall[0] for wall in drawn] == ["x", "y", "z"]
    # Seen from smaller y and larger x, the far walls are those at the least x and the largest y.
    np.testing.assert_allclose([wall[1] for wall in drawn], [x_ends[0], y_ends[1], z_ends[0]])
    for normal, (_, _, grids) in enumerate(drawn):
        density = grids[normal]
        for axis in {0, 1, 2} - {normal}:
            mean = (grids[axis] * density).sum() / density.sum()
            assert mean == pytest.approx(
                1e3 * CLOUD[:, axis].mean(), abs=0.02 * CLOUD[:, axis].std() * 1e3
            )


def test_density_of_a_wall_is_that_of_the_points() -> None:
    edges = np.linspace(-5, 5, 41)
    spread = RNG.normal(size=(200_000, 2))
    density = wall_density(*spread.T, (edges, edges))
    assert density.shape == (40, 40)
    assert density.sum() == pytest.approx(len(spread), rel=1e-4)
    centers = (edges[1:] + edges[:-1]) / 2
    # Binomial weights over five bins have a variance of one squared bin.
    variance = 1 + 0.25**2 * (1 + 1 / 12)
    expected = np.exp(-0.5 * (centers[:, None] ** 2 + centers**2) / variance)
    expected *= len(spread) * 0.25**2 / (2 * np.pi * variance)
    sigma = np.sqrt(expected + 1)
    assert np.abs((density - expected) / sigma).max() < 4


@pytest.mark.parametrize("count", [2, 3, 50])
def test_few_rays_draw(count: int) -> None:
    rays_figure(CLOUD[:count], title="a title", note="a note").canvas.draw()


def test_equal_rays_draw() -> None:
    rays_figure(np.zeros((5, 3))).canvas.draw()


@pytest.mark.parametrize("q", [CLOUD[:1], CLOUD[:, :2], np.full((3, 3), np.nan), CLOUD[0]])
def test_mistakes_are_refused(q: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rays of shape"):
        rays_figure(q)
