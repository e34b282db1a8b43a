"""Another person for each seed: what attributes leave open is drawn, and a weaker prior lets it be seen."""

from attr2face.generation.preset import Preset

PRESET = Preset(
    "adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=1e-3, prior="eigenfaces", start=1.0, variety=1.0
)
