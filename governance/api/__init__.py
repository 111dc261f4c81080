"""What governance opens to programs: the rules of the OAuth server."""
