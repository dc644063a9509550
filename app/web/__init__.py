"""What every page needs, and nothing about exchanges."""
