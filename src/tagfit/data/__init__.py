"""Data: label sources, the split, the lock, and the embedded set."""
