"""The worker: the connection to a node, dispatches, and the threads that run handlers."""
