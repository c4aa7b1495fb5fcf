"""The frozen records that the rooms hand to each other; they need neither torch nor a library of tables."""
