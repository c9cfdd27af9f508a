"""Types that a fit has turned keep the twins of the type that they are hardly turned from."""

from weakbeam.defects.types import DislocationType
from weakbeam.identify.nuisances.tolerant_match import with_twins

NONE = (0.0, 0.0, 0.0)
TYPES = (
    DislocationType(0, (1, 1, 1), (1, -1, 0), 80.0, NONE, NONE),
    DislocationType(1, (1, 1, 1), (1, -1, 0), 90.0, NONE, NONE, (2,)),
    DislocationType(2, (1, 1, -1), (1, -1, 0), 90.0, NONE, NONE, (1,)),
)


def test_a_screw_that_is_nearly_one_has_its_other_plane():
    near = with_twins(TYPES[1].turned(90.4), TYPES)
    assert (near.number, near.same_as, near.character_deg) == (1, (2,), 90.4)
    assert with_twins(TYPES[1].turned(93.0), TYPES).same_as == ()
    assert with_twins(TYPES[0].turned(80.1), TYPES).same_as == ()
