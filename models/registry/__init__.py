"""Which model versions exist, what was shown about them, and which one serves."""
