"""What outlives a process: identities, secrets, credentials, policies and members, in SQLite.

``Store`` is the file, ``home`` says where the user's lies, and each of the other modules has one repository.
"""
