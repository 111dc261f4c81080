"""Who may do what, under which policy: accounts, roles, permissions, signatures, policies in force."""
