"""What an administrator does at the server's own console."""
