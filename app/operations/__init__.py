"""Health, metrics and the operator page."""
