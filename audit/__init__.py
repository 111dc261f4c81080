"""The record that can only grow, and can prove it. Knows nobody: standard library, Django and cryptography only."""
