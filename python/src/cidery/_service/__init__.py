"""Services: the base class, the decorator, and how one invocation runs."""
