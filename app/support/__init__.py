"""Read-only status for support staff."""
