"""Probabilities from evidences."""

import numpy as np
import pytest

from weakbeam.identify.posterior import averaged, credible_set, merged, posterior


def test_bayes():
    np.testing.assert_allclose(posterior(np.log([1.0, 3.0, 4.0])), [0.125, 0.375, 0.5])
    np.testing.assert_allclose(posterior(np.log([1.0, 3.0]), [0.9, 0.1]), [0.75, 0.25])
    np.testing.assert_allclose(posterior([0.0, -np.inf]), [1.0, 0.0])


def test_large_numbers_and_constants_do_not_matter():
    evidences = np.array([-3.0, 1.0, 0.5])
    np.testing.assert_allclose(posterior(evidences - 4e5), posterior(evidences), rtol=1e-9)


def test_a_misfit_makes_the_choice_less_sure():
    sure, less = (posterior([0.0, -8.0], misfit=m) for m in (1.0, 4.0))
    assert less[1] == pytest.approx(1 / (1 + np.exp(2.0)))
    assert less[1] > sure[1]
    # Residuals smaller than the noise make nothing surer.
    np.testing.assert_array_equal(posterior([0.0, -8.0], misfit=0.9), sure)


def test_members_of_a_class_are_averaged():
    assert averaged([2.0]) == 2.0
    assert averaged(np.log([1.0, 3.0]) - 900.0) == pytest.approx(np.log(2.0) - 900.0)


def test_credible_sets():
    shares = [0.02, 0.6, 0.3, 0.08]
    assert credible_set(shares) == (1, 2, 3)
    assert credible_set(shares, 0.5) == (1,)
    assert credible_set([0.5, 0.5]) == (0, 1)
    assert credible_set([1.0, 0.0]) == (0,)


def test_classes_of_one_image_are_told_together():
    shares, groups = merged([0.2, 0.3, 0.1, 0.4], [(3,), (), (), (0,)])
    assert groups == ((0, 3), (1,), (2,))
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1])


def test_nothing_is_possible():
    with pytest.raises(ValueError, match="finite evidence"):
        posterior([-np.inf])
