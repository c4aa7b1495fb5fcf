"""Cure: which recipes to try, which to choose, and the verdict."""
