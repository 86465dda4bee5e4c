"""Traces: the context that calls carry, and the spans of handlers."""
