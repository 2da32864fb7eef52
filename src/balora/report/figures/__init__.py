"""Figures as data: Vega-Lite specifications from the frozen records of a report."""
