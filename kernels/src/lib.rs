//! GPU kernel sources and field constants.
