"""People: sign-up, sign-in, sessions, roles, API tokens."""
