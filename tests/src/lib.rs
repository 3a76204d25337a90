//! Test support: oracle back end, circuit zoo.
