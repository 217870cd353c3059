"""Publishing: export a generator with a model card, and push it to the hub."""
