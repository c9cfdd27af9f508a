"""Networks for tests: random closed polygons that share a box that repeats."""

import numpy as np

from weakbeam.defects.network import DislocationNetwork

PERIODS = np.array([[3.0, 0.0, 0.0], [0.4, 2.5, 0.0], [0.0, -0.3, 2.0]])
B = 2.5e-4


def chains(seed=0, core=0.01, through=True, periods=PERIODS, loops=3, repeats=3, size=0.5):
    """Loops that cross faces of the box, and pairs of lines that run through it for ever.

    Corners of loops are `size` about their middle. With fewer than three `repeats` it has but the
    first of the periods.
    """
    random = np.random.default_rng(seed)
    nodes, arms, steps, burgers = [], [], [], []
    for _ in range(loops):
        corners = random.uniform(-0.5, 0.5, 3) @ periods + random.normal(scale=size, size=(5, 3))
        b = random.normal(scale=B, size=3)
        for k in range(5):
            arms.append((len(nodes) + k, len(nodes) + (k + 1) % 5))
            steps.append(corners[(k + 1) % 5] - corners[k])
            burgers.append(b)
        nodes += list(corners)
    for axis in range(3 if through else 0):
        b = random.normal(scale=B, size=3)
        # Two opposite ones; along one axis a single one, so that the box has a Nye tensor.
        for sign in (1.0, -1.0) if axis != 1 else (1.0,):
            start = random.uniform(-0.5, 0.5, 3) @ periods
            middle = start + 0.5 * periods[axis] + random.normal(scale=0.1, size=3)
            arms += [(len(nodes), len(nodes) + 1), (len(nodes) + 1, len(nodes))]
            steps += [middle - start, start + periods[axis] - middle]
            burgers += [sign * b, sign * b]
            nodes += [start, middle]
    places = np.array(nodes)
    # Folded, as files have them; the centre of the box is not the origin.
    centre = np.array([0.2, -0.1, 0.3])
    shares = (places - centre) @ np.linalg.inv(periods)
    shares[:, repeats:] = 0.0
    places = places - np.round(shares) @ periods
    radii = np.full(len(arms), core)
    return DislocationNetwork(
        places, np.array(arms), np.array(steps), np.array(burgers), radii, periods[:repeats], centre
    )
