"""The check of a data set before training: facts, findings, advice, cost, and the first recipe."""
