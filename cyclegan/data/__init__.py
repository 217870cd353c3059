"""Pictures: found, read, transformed, in batches."""
