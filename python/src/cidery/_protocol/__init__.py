"""The protocol without I/O: options, requests, responses, results, retries and batches."""
