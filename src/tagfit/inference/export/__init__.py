"""One file for other runtimes, made of a bundle and compared with it."""
