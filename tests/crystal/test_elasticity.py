import pytest

from weakbeam.crystal.elasticity import IsotropicMedium


@pytest.mark.parametrize("ratio", [0.5, -1.0, float("nan"), 7.0])
def test_an_impossible_poisson_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match=f"poisson_ratio {ratio} is not between -1 and 0.5"):
        IsotropicMedium(ratio)
