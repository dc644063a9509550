"""`python -m app` is the `keydeck` command."""

from app.cli import main

main()
