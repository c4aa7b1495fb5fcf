"""Images: from encoded bytes to pixels."""
