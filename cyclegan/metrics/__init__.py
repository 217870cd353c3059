"""Metrics: how good a translation is, in numbers."""
