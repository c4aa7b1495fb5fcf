"""Models: a registry of architectures, each built from a recipe."""
