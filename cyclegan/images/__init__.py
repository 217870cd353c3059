"""Images: from files to batches and back."""
