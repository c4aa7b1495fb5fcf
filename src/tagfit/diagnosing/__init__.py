"""Checks that explain what a model is worth: each looks at evidence and returns findings."""
