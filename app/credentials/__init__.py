"""The Credentials page, the connect flow, checks and status."""
