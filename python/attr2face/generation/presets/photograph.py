"""Along eigenfaces with a still weaker prior, for activations of an image."""

from dataclasses import replace

from attr2face.generation.presets import eigenfaces

PRESET = replace(eigenfaces.PRESET, decay=3e-4)
