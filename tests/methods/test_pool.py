import torch
from torch import Tensor

from cyclegan.methods.pool import Pool


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def numbers(images: Tensor) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]


def test_while_filling_new_fakes_are_returned_and_stored() -> None:
    pool = Pool(4)
    assert numbers(pool(numbered(1, 2))) == [1, 2]
    assert numbers(pool(numbered(3, 4))) == [3, 4]
    assert numbers(pool.images) == [1, 2, 3, 4]


def test_a_full_pool_exchanges_or_lets_pass() -> None:
    torch.manual_seed(0)
    pool = Pool(5)
    pool(numbered(*range(5)))
    stored, exchanged = set(range(5)), 0
    for new in range(100, 1100):
        [seen] = numbers(pool(numbered(new)))
        if seen != new:
            exchanged += 1
            assert seen in stored
            stored = stored - {seen} | {new}
        assert set(numbers(pool.images)) == stored
    assert 430 < exchanged < 570  # probability 1/2


def test_within_a_batch_it_goes_image_by_image() -> None:
    torch.manual_seed(1)
    one, many = Pool(3), Pool(3)
    new = numbered(*range(20))
    torch.manual_seed(2)
    together = many(new)
    torch.manual_seed(2)
    assert torch.equal(torch.cat([one(image[None]) for image in new]), together)


def test_it_travels_in_the_state_dict() -> None:
    pool, fresh = Pool(3), Pool(3)
    pool(numbered(7, 8))
    fresh.load_state_dict(pool.state_dict())
    assert torch.equal(fresh.images, pool.images) and fresh.count == 2


def test_size_zero_passes_everything() -> None:
    assert numbers(Pool(0)(numbered(1, 2))) == [1, 2]


def test_a_buffer_that_is_held_comes_back_with_its_shape_and_empty() -> None:
    pool = Pool(2)
    pool(numbered(1, 2))
    pool.hold()
    held = pool.images
    pool(torch.ones(1, 3, 4, 4))
    assert pool.images is not held
    pool(numbered(3))
    assert pool.images is held and numbers(held) == [3, 0] and pool.count == 1
    pool(torch.ones(1, 3, 4, 4))
    pool.let_go()
    pool(numbered(4))
    assert pool.images is not held and numbers(pool.images) == [4, 0]


def test_another_shape_starts_afresh() -> None:
    pool = Pool(2)
    pool(numbered(1, 2))
    pool(torch.zeros(1, 3, 4, 4))
    assert pool.count == 1 and pool.images.shape == (2, 3, 4, 4)
