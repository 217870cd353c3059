"""Inference: from a checkpoint to translated pictures."""
