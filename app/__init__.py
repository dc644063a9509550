"""Keydeck: a self-hosted dashboard that guards exchange API keys and says the truth about them."""

__version__ = "0.1.0"
