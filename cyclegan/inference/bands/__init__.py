"""Exact translation of pictures of any size in bounded memory, in horizontal bands."""
