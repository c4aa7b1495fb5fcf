"""What a model's answers are worth: metrics, and what a constant answer would get."""
