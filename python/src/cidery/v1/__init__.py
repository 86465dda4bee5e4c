"""The contract, generated from proto/cidery/v1 by python/generate."""
