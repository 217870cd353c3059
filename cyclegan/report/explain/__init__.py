"""What a trained model does inside with one picture: `explain.py` computes an `Explanation`, `page.py` shows it."""
