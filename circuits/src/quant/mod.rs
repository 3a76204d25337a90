//! Calibration and conversion of float graphs to integers.
