"""Statistics, pure: drift, calibration, thresholds, parity. Imports none of ours."""
