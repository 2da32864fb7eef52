"""What the testbed itself can show: learning rates, dose and response, head-room, precision (`docs/calibration.md`)."""
