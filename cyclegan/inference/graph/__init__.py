"""A generator as a list of simple operations, which engines and bands run."""
