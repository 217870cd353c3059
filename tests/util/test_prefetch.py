import threading
from collections.abc import Iterator

import pytest

from cyclegan.util.prefetch import prefetch
from tests.patience import PATIENCE


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_keep_the_order_of_the_items(threads: int) -> None:
    assert list(prefetch(lambda x: x * x, range(50), threads)) == [x * x for x in range(50)]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_no_more_is_taken_than_can_be_used(threads: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = prefetch(lambda x: x, items(), threads)
    assert next(results) == 0
    assert len(taken) == 2 * threads + 1


def test_several_threads_work_at_once() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)  # passes only when two threads have come
    assert list(prefetch(lambda x: both.wait() >= 0, range(4), workers=2)) == [True] * 4


def test_an_error_reaches_who_asks() -> None:
    def work(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return x

    results = prefetch(work, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_who_stops_asking_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = prefetch(lambda x: x, range(100), workers=3)
    next(results)
    results.close()
    assert threading.active_count() == before
