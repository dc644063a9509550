"""One file per exchange; found at start-up by its name."""
