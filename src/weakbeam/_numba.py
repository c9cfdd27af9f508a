"""How every compiled loop of weakbeam is compiled.

No ``prange``: the engine runs blocks in threads, so that a loop compiles in a fraction of a second,
results do not depend on the number of threads, and division by zero gives infinity as in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile to machine code, kept on disk, with fused multiply-add allowed."""
    compiler = numba.njit(
        cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"}
    )
    return cast(F, compiler(function))


def elementwise(function: F) -> F:
    """Compile a function of numbers into one of arrays, as `numpy.vectorize` but fast."""
    vectorize: Any = numba.vectorize
    return cast(F, vectorize(cache=True)(function))


def inlined(function: F) -> F:
    """Compile a small function into the loops that call it, so that they become vector code."""
    return cast(F, numba.njit(inline="always")(function))
