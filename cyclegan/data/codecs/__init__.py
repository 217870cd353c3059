"""Decode and encode each family of picture files; `data.read` and `data.write` choose among them."""
