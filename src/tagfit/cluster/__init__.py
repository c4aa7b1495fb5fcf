"""Work on a Ray cluster that is there already. One machine needs nothing of this room."""
