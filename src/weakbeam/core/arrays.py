"""Array types shared by every room."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]

__all__ = ["ArrayLike", "Complexes", "Floats", "Floats32", "Ints"]
