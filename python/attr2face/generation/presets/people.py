"""Another person for each seed: what attributes leave open is drawn, and a weaker prior lets it be seen."""

from dataclasses import replace

from attr2face.generation.presets import eigenfaces

PRESET = replace(eigenfaces.PRESET, decay=1e-3, variety=1.0)
