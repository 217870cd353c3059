"""Losses: small functions from tensors to a scalar, each citing its equation."""
