"""What people fill in on pages: parsed, and refused field by field."""
