"""The figures that models have."""

from cyclegan.metrics.result import FIGURES

WITHOUT_STYLES = [name for name, figure in FIGURES.items() if "style" not in figure.against]
"""The figures of models with one style, in the order of tables."""
