"""Different people, and from there to the maximum a posteriori of the target of their request."""

from dataclasses import replace

from attr2face.generation.presets import appearance, people

PRESET = replace(appearance.PRESET, strength=people.PRESET.strength, variety=people.PRESET.variety)
