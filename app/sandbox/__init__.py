"""Simulated exchanges that verify signatures with their own code."""
