"""The names that Zato's modules export: types, modules, and placeholders for what is absent."""
