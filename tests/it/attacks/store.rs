//! Attacks on the store: a data directory that vanishes or is damaged, clocks that step, requests that fill it.
