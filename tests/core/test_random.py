"""Random numbers of the compiled loops."""

import numpy as np
from scipy.special import ndtri

from weakbeam.core.random import normal_quantiles


def test_normal_quantiles():
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 9999), np.logspace(-300, -1, 999)])
    x = np.empty_like(p)
    normal_quantiles(p, x)
    np.testing.assert_allclose(x, ndtri(p), rtol=1e-13, atol=1e-15)
