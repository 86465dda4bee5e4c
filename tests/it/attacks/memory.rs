//! Attacks on memory: answers that nobody reads, messages that are never finished, requests that cause much.
