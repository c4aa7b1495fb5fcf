"""A delivered model at work: predicting, explaining, exporting."""
