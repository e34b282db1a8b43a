"""Along eigenfaces, near what regression expects: what faces of a request have in common."""

from attr2face.generation.preset import Preset

PRESET = Preset("adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-3, prior="eigenfaces", start=1.0)
