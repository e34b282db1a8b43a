"""The measures of a face: attributes shift them by their scores, features vary them between people."""

import numpy as np

from attr2face.attributes import pubfig
from attr2face.data.render.people import Picture

SKIN = {"White": (240, 188, 170), "Black": (122, 82, 62), "Asian": (238, 196, 144), "Indian": (166, 106, 58)}
SKIN_OF_NONE = (204, 148, 110)
HAIR = {"Black": (24, 22, 26), "Blond": (232, 194, 108), "Brown": (110, 58, 26), "Gray": (186, 188, 194)}
HAIR_OF_NONE = (62, 42, 34)
YOUNG = {"Baby": 1.0, "Child": 0.68, "Youth": 0.34}
OLD = {"Middle Aged": 0.5, "Senior": 1.0}


class DrawnFace:
    """What the parts share, in half widths of the picture; y runs down, and is 0 between eyes and nose.

    The head is turned by `yaw` (radians).
    """

    def __init__(self, picture: Picture, yaw: float) -> None:
        self.scores = picture.scores
        self.f = picture.features
        self.yaw = yaw
        self.male = self.has("Male") > 0
        self.race = next((name for name in SKIN if self.has(name)), None)
        self.young = next((young for name, young in YOUNG.items() if self.has(name)), 0.0)
        self.old = next((old for name, old in OLD.items() if self.has(name)), 0.0)
        self._shape()
        self._colours()

    def has(self, name: str) -> float:
        """The score where it is positive, else 0."""
        return max(0.0, float(self.scores[pubfig().index[name]]))

    def signed(self, name: str) -> float:
        """The score: small noses, thin lips and the like have negative ones."""
        return float(self.scores[pubfig().index[name]])

    def _shape(self) -> None:
        has, signed = self.has, self.signed
        f = self.f
        young, male = self.young, self.male
        shape = has("Round Face"), has("Square Face"), has("Oval Face")
        self.half_width = 0.53 + 0.012 * f[0] + 0.045 * max(signed("Chubby"), -0.3)
        self.half_width += np.dot(shape, (0.055, 0.02, -0.05))
        self.half_width += 0.015 * male * (1 - young) + 0.045 * young
        self.chin = 0.74 + 0.012 * f[1] - 0.12 * young + 0.02 * male + np.dot(shape, (-0.075, 0.0, 0.06))
        self.taper = 0.2 - 0.06 * male + 0.015 * f[2] + np.dot(shape, (-0.08, -0.16, 0.1))
        self.taper -= 0.1 * signed("Round Jaw") + 0.09 * has("Chubby")
        self.jaw = 2.05 + 0.2 * male + np.dot(shape, (0.1, 1.5, -0.1))
        self.jaw = self.jaw + 0.25 * has("Round Jaw") + 0.25 * has("Chubby")
        self.eye_y = -0.082 + 0.13 * young + 0.008 * f[4]
        self.eye_dx = 0.242 + 0.008 * f[5] + 0.015 * young
        self.eye_half = 0.102 + 0.004 * f[6] + 0.028 * young
        self.nose_tip = 0.185 + 0.015 * young + 0.01 * f[15]
        self.nose_tip = self.nose_tip + 0.015 * signed("Big Nose") + 0.02 * has("Pointy Nose")
        self.mouth_y = 0.41 - 0.01 * young + 0.007 * f[16]
        self.hairline = -0.42 + 0.012 * f[19] - 0.04 * young

    def _colours(self) -> None:
        has, f = self.has, self.f
        skin = np.array(SKIN.get(self.race, SKIN_OF_NONE), np.float32) * (1 + 0.025 * f[7])
        self.skin = skin + 0.7 * min(1.0, has("Pale Skin")) * (np.array((250, 242, 250), np.float32) - skin)
        colour = next((name for name in HAIR if has(f"{name} Hair")), None)
        self.hair = np.array(HAIR.get(colour, HAIR_OF_NONE), np.float32) * (1 + 0.06 * f[8])
        self.brow = np.minimum(self.hair * 0.5, 110) if colour != "Gray" else self.hair * 0.48
        self.bald = has("Bald") > 0
        self.long_hair = not self.male and not self.bald and not has("Baby")
