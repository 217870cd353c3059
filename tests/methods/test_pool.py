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


def of_shape(side: int, *numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, side, side)


def of_shapes(size: int, shapes: int) -> Pool:
    pool = Pool(size)
    pool.shapes = shapes
    return pool


def test_each_of_several_shapes_has_a_history_of_its_own() -> None:
    pool = of_shapes(5, 3)
    for number in range(20):
        for side in (1, 2, 3):
            torch.manual_seed(number)
            [seen] = numbers(pool(of_shape(side, 100 * side + number)))
            assert seen // 100 == side
            assert pool.images.shape == (2, 3, side, side)  # a third of five, rounded up
    assert pool.count == 2 and len(pool._others) == 2


def test_histories_of_several_shapes_are_those_of_several_pools() -> None:
    pool, alone = of_shapes(4, 2), {1: Pool(2), 2: Pool(2)}
    shown_again = 0
    for number in range(60):
        side = 1 + number // 3 % 2
        torch.manual_seed(number)
        seen = pool(of_shape(side, number))
        torch.manual_seed(number)
        assert torch.equal(seen, alone[side](of_shape(side, number)))
        shown_again += numbers(seen) != [number]
    assert shown_again > 10


def test_histories_of_several_shapes_travel_in_the_state_dict() -> None:
    pool, fresh = of_shapes(4, 3), of_shapes(4, 3)
    for number in range(8):
        pool(of_shape(1 + number % 3, number))
    fresh(of_shape(7, 1))  # what it holds is replaced
    fresh.load_state_dict({name: tensor.clone() for name, tensor in pool.state_dict().items()})
    for number in range(30):
        seen = []
        for one in (pool, fresh):
            torch.manual_seed(number)
            seen.append(one(of_shape(1 + number % 3, 10 + number)))
        assert torch.equal(*seen)
    assert pool.state_dict().keys() == fresh.state_dict().keys() > {"images", "count", "others.1.images"}


def test_the_state_of_one_shape_has_the_names_that_it_always_had() -> None:
    pool, several = Pool(3), of_shapes(6, 2)
    pool(numbered(7, 8))
    assert pool.state_dict().keys() == {"images", "count"}
    several(of_shape(5, 1))
    several.load_state_dict(pool.state_dict())
    assert numbers(several.images) == [7, 8, 0] and not several._others


def test_more_shapes_than_expected_forget_the_one_used_longest_ago() -> None:
    pool = of_shapes(4, 2)
    for side in (1, 2, 3, 2, 4):
        pool(of_shape(side, side))
    assert [shape[-1] for shape in pool._others] == [2] and pool.shape[-1] == 4


def test_a_held_buffer_stays_in_place_while_other_shapes_come_and_go() -> None:
    pool = of_shapes(4, 2)
    pool(numbered(1))
    pool.hold()
    held, count = pool.images, pool.count
    pool(of_shape(4, 2))
    pool(numbered(3))
    assert pool.images is held and pool.count is count and numbers(held) == [1, 3] and count == 2
