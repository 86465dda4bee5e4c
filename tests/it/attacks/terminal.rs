//! Attacks on terminals and logs: control characters, forged lines, log readers that are gone or do not read.
