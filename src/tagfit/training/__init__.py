"""Training: the loop, early stopping, events and inference."""
