"""The clients: blocking and asyncio, over the same operations."""
