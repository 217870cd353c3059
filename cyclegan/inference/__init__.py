"""Inference: load a trained generator, translate pictures with it, and score the results."""
