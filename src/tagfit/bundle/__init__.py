"""What is handed over: a folder of data, never of code."""
