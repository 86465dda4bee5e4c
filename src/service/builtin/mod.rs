//! Services that every node has.
