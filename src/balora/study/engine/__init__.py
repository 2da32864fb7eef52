"""Carry out a plan with a pool of workers, and show its progress."""
