"""The `keydeck` command, one module per noun; app/cli.py puts them together."""
