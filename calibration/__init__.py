"""Measure what the testbed can show (learning rates, responses, head-room, precision) for `docs/calibration.md`."""
