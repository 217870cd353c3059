import pytest
import torch
import torch.nn.functional as F

from cyclegan.losses.adversarial import GAN_LOSSES, GanKind

REAL, FAKE = torch.randn(2, 1, 5, 5), torch.randn(2, 1, 5, 5)
REALS, FAKES = (REAL,), (FAKE,)


def test_lsgan_is_the_mean_square_to_one_and_zero() -> None:
    loss, one, zero = GAN_LOSSES["lsgan"], torch.ones_like(REAL), torch.zeros_like(REAL)
    torch.testing.assert_close(loss.generator(FAKES), F.mse_loss(FAKE, one))
    torch.testing.assert_close(loss.discriminator(REALS, FAKES), 0.5 * (F.mse_loss(REAL, one) + F.mse_loss(FAKE, zero)))


def test_vanilla_is_the_cross_entropy_of_logits() -> None:
    loss, one, zero = GAN_LOSSES["vanilla"], torch.ones_like(REAL), torch.zeros_like(REAL)
    cross = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(loss.generator(FAKES), cross(FAKE, one))
    torch.testing.assert_close(loss.discriminator(REALS, FAKES), 0.5 * (cross(REAL, one) + cross(FAKE, zero)))


def test_hinge_stops_beyond_its_margin() -> None:
    beyond = torch.full((1, 1, 2, 2), 3.0)
    assert GAN_LOSSES["hinge"].discriminator((beyond,), (-beyond,)) == 0


@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_both_sides_want_the_opposite(kind: GanKind) -> None:
    loss, fake = GAN_LOSSES[kind], torch.zeros(1, 1, 2, 2, requires_grad=True)
    [generator] = torch.autograd.grad(loss.generator((fake,)), fake)
    [discriminator] = torch.autograd.grad(loss.discriminator((torch.zeros(1, 1, 2, 2),), (fake,)), fake)
    assert (generator < 0).all() and ((discriminator > 0).all() or kind == "lsgan")


@pytest.mark.parametrize("kind", GAN_LOSSES)
def test_a_scale_counts_like_any_other_however_few_patches_it_has(kind: GanKind) -> None:
    loss, few = GAN_LOSSES[kind], (torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2))
    by_hand = (loss.generator(FAKES) + loss.generator((few[1],))) / 2
    torch.testing.assert_close(loss.generator((FAKE, few[1])), by_hand)
    by_hand = (loss.discriminator(REALS, FAKES) + loss.discriminator((few[0],), (few[1],))) / 2
    torch.testing.assert_close(loss.discriminator((REAL, few[0]), (FAKE, few[1])), by_hand)
