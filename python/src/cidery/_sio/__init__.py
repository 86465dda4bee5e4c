"""Simple IO: declarations of input and output, their validation, and models as declarations."""
