"""Report: what people see of a run."""
