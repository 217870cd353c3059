"""What a trained model does inside with one picture: `explain.py` computes it, `page.py` shows it."""
