"""The command line: `python -m cidery run` and `python -m cidery check`."""
