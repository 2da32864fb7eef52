"""Make the figures of a report: Vega-Lite specifications, as data, from its frozen records."""
