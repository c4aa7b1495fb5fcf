"""Scores, how sure they are, and what they have to beat."""
