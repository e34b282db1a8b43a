"""All steps from faces to reports: `registry` says what a step is, `graph` plans and makes them."""

from attr2face.steps import comparing, data, faces, fitting, judging, nets, pages, photographs
from attr2face.steps.graph import Steps

# Each of these modules registers its steps.
MODULES = (data, photographs, nets, fitting, faces, judging, comparing, pages)

__all__ = ["MODULES", "Steps"]
