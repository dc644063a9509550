"""One file per simulated exchange; found by its name."""
