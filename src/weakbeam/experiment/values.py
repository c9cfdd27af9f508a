"""The kinds of value that a key of the experiment file may hold.

Each kind carries the words that tell people what is allowed; error messages and the reference page
both take them from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Literal,
)

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic_core import CoreSchema, core_schema

from weakbeam.core.material_names import table_name
from weakbeam.experiment.index_text import indices_of


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a key may hold: a phrase that follows "must be", and the test behind it.

    Of a number `low` and `high` are the ends of its range, for sliders and fields of a form.
    """

    phrase: str
    test: Callable[[Any], bool]
    low: float | None = None
    high: float | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        if not self.test(value):
            raise ValueError(f"must be {self.phrase}")
        return value


def number(low: float, high: float, *, inf: bool = False) -> Allowed:
    """Allow a number from `low` to `high`, and infinity if `inf`."""
    phrase = f"a number from {_shown(low)} to {_shown(high)}" + (", or inf" if inf else "")
    return Allowed(phrase, lambda x: low <= x <= high or (inf and x == math.inf), low, high)


def between(low: float, high: float) -> Allowed:
    """Allow a number strictly between `low` and `high`."""
    phrase = f"a number greater than {_shown(low)} and less than {_shown(high)}"
    return Allowed(phrase, lambda x: low < x < high, low, high)


def integer(low: int, high: int) -> Allowed:
    """Allow an integer from `low` to `high`."""
    return Allowed(f"an integer from {low} to {high}", lambda n: low <= n <= high, low, high)


def numbers(low: float, high: float, least: int = 1) -> Allowed:
    """Allow a list of at least `least` numbers from `low` to `high`."""
    count = {1: "one", 2: "two"}[least]
    return Allowed(
        f"a list of numbers from {_shown(low)} to {_shown(high)}, at least {count}",
        lambda v: len(v) >= least and all(low <= x <= high for x in v),
    )


def text(phrase: str) -> Allowed:
    """Allow a short line of printable ASCII."""
    return Allowed(phrase, lambda s: 0 < len(s) <= 80 and s.isascii() and s.isprintable())


def _shown(x: float) -> str:
    mantissa, e, exponent = f"{x:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _is_direction(v: tuple[float, float, float]) -> bool:
    # The lower limit keeps the length of the vector from underflowing to zero.
    return all(abs(x) <= 1e6 for x in v) and any(abs(x) >= 1e-6 for x in v)


Indices = Annotated[
    tuple[StrictInt, StrictInt, StrictInt],
    Allowed(
        "three integers from -99 to 99, not all 0",
        lambda v: any(v) and all(-99 <= n <= 99 for n in v),
    ),
    BeforeValidator(indices_of),
]
Direction = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three numbers from -1e6 to 1e6, not all 0", _is_direction),
]
Position = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three numbers from -1e6 to 1e6", lambda v: all(abs(x) <= 1e6 for x in v)),
]
PixelCounts = Annotated[
    tuple[StrictInt, StrictInt],
    Allowed(
        "two integers from 1 to 100000 (rows, columns)",
        lambda v: all(1 <= n <= 100_000 for n in v),
    ),
]
VoxelCounts = Annotated[
    tuple[StrictInt, StrictInt, StrictInt],
    Allowed("three integers from 1 to 10000", lambda v: all(1 <= n <= 10_000 for n in v)),
]
Samples = Annotated[
    StrictInt | Literal["auto"],
    Allowed('"auto", or an integer from 1 to 10000', lambda n: n == "auto" or 1 <= n <= 10_000),
]
SubPixels = Annotated[
    StrictInt | Literal["auto", "point"],
    Allowed(
        '"auto", "point", or an integer from 1 to 64',
        lambda n: n in ("auto", "point") or 1 <= n <= 64,
    ),
]
MilliradianPositions = Annotated[tuple[StrictFloat, ...], numbers(-1000, 1000)]
MicrometrePositions = Annotated[tuple[StrictFloat, ...], numbers(-1e6, 1e6)]
MaterialName = Annotated[
    StrictStr, text('the name of a material, such as "Al"'), BeforeValidator(table_name)
]
NAME_OF_FILE = Allowed("the name of a file", lambda s: 0 < len(s) <= 4096 and s.isprintable())
FileName = Annotated[StrictStr, NAME_OF_FILE]
"""The name of a file: in an experiment file it counts from the folder of that file, elsewhere from
the current one. A run keeps copies of what keys of this kind name."""
WholeNumber = Annotated[
    StrictInt,
    # 1e8 is a number with a decimal point to TOML, and the usual way to write a number of rays.
    BeforeValidator(lambda x: int(x) if isinstance(x, float) and x.is_integer() else x),
]
SpaceGroup = Annotated[StrictStr, text('the symbol of a space group, such as "F m -3 m"')]
