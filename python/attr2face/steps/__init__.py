"""All steps from faces to reports: `registry` says what a step is, `graph` plans and makes them."""

from attr2face.steps.graph import Steps

__all__ = ["Steps"]
