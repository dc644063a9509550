"""Totals over all credentials, with their coverage."""
