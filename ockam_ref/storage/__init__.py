"""What outlives a process: identities, secrets, credentials, policies and members, in SQLite."""
