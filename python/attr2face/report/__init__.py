"""Figures, tables and the page that shows them beside those of the paper."""
