"""Machine code is kept on disk where there is a place for it, and compiled anyway where not."""

from __future__ import annotations

import numpy as np
from numba.core.caching import CacheImpl

from weakbeam.core.compiled import compiled, elementwise


def twice(x):
    return 2.0 * x


def test_where_no_folder_takes_machine_code(monkeypatch):
    # As in a container whose files cannot be written and whose user has no home.
    for kind in (CacheImpl, *CacheImpl.__subclasses__()):
        monkeypatch.setattr(kind, "_locator_classes", [])
    assert compiled(twice)(1.5) == 3.0
    np.testing.assert_array_equal(elementwise(twice)(np.arange(3.0)), [0.0, 2.0, 4.0])
