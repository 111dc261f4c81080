"""Commands of the entrance."""
