"""Type inference from bare names, by the rules of Zato 3.2."""

from __future__ import annotations

_BOOL_PREFIXES = ("by_", "has_", "is_", "may_", "needs_", "should_")
_INT_SUFFIXES = ("_count", "_id", "_size", "_size_min", "_size_max", "_timeout")
_SECRETS = frozenset(
    (
        "apiKey",
        "api_key",
        "auth_data",
        "auth_token",
        "password",
        "password1",
        "password2",
        "secret_key",
        "tls_pem_passphrase",
        "token",
        "xApiKey",
    )
)


def inferred_type_name(name: str) -> str:
    """The name of the type that the name of an element implies.

    >>> [inferred_type_name(name) for name in ("cust_id", "is_active", "token", "idea")]
    ['Int', 'Bool', 'Secret', 'Text']
    """
    if name in _SECRETS:
        return "Secret"
    if name.startswith(_BOOL_PREFIXES):
        return "Bool"
    if name == "id" or name.endswith(_INT_SUFFIXES):
        return "Int"
    return "Text"
