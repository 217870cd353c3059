"""Rounding is not a disagreement, and neither is a result that is not finite in plain float32."""

import torch

from cyclegan.machine.agreement import TOLERANCES, Tolerance, disagreement


def test_a_reference_that_is_not_finite_itself_blames_no_lever() -> None:
    broken = {"gan_a": torch.tensor(float("nan")), "a_to_b.weight": torch.ones(2)}
    assert not disagreement(broken, broken, TOLERANCES["float32"])


def test_a_tiny_gradient_is_compared_with_its_network_and_not_with_itself() -> None:
    reference = {"a_to_b.one": torch.ones(100), "a_to_b.two": torch.full((100,), 1e-6)}
    rounded = reference | {"a_to_b.two": torch.full((100,), 2e-6)}
    assert not disagreement(rounded, reference, Tolerance(loss=0.01, tensor=0.01))
    assert disagreement(rounded, {"a_to_b.two": reference["a_to_b.two"]}, Tolerance(loss=0.01, tensor=0.01))
