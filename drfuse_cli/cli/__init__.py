"""The command line: parses, calls, renders; computes nothing."""
