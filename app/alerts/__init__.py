"""What changed about keys and who is told: in the app, by mail, by webhook and by other services."""
