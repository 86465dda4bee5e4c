"""Failures: the table of kinds, the exception classes, and their encoding on the wire."""
