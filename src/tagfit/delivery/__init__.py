"""Delivery: the run folder, the bundle that is handed over, and its predictor."""
