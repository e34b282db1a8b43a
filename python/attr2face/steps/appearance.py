"""Steps to an appearance model: landmarks of every picture, masks of parts, and the model."""

from __future__ import annotations

from attr2face.steps.registry import choice
from attr2face.steps.views import View

FRAME = 144  # pixels, of mini's faces


@choice("frame", "dataset", "model", "margin", "size")
def frame(settings: View) -> dict[str, object]:
    """How pictures are cut for the appearance model: the part that nets see, in more pixels."""
    model = settings.model
    side = settings.frame
    if side is None:
        side = settings.size if settings.dataset.rendered else max(FRAME, model.crop + settings.margin)
    return {"eyes": settings.dataset.eyes, "crop": model.crop, "margin": settings.margin, "side": side}
