import pytest

from weakbeam.core.workers import in_order


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_a_few_ahead(workers):
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda n: n * n, items(), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 3 + 2 * workers + 1
    assert [*results][-1] == 99**2
