//! Attacks by workers: malformed messages, floods of errors, declarations that come and go.
