"""The command line: short sentences for people, or one JSON object a line for programs."""
