"""What makes labels of scores: calibration, rules and guarantees."""
