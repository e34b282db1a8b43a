"""Speeds, measured side by side."""
