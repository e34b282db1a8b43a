"""Different people: the shape and texture that regression expects, and what the request leaves open drawn."""

from attr2face.generation.preset import Preset

PRESET = Preset(prior="appearance", strength=1.3, variety=0.6)
