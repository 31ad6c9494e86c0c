"""Frames that follow each other: the same settings for all of them, from files to a file."""
