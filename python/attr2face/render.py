"""Draw a picture of a face from its attributes: a `Picture` enters, an RGB image leaves.

Parts are painted back to front through soft masks made from signed distances. Coordinates run from -1 to 1 over the
image, x to the right and y down; the face's own frame (turned, shifted, scaled) puts the eyes near y = -0.08.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from attr2face.attributes import INDEX
from attr2face.people import Picture

SKIN = {"White": (224, 180, 155), "Black": (108, 72, 52), "Asian": (228, 184, 130), "Indian": (160, 112, 78)}
HAIR = {"Black Hair": (28, 24, 24), "Blond Hair": (206, 168, 96), "Brown Hair": (96, 62, 38), "Gray Hair": (172, 172, 174)}


class Canvas:
    """An image under construction and the frame in which the face is drawn.

    Attributes
    ----------
    image : (size, size, 3) float32, 0 to 255
    x, y : (size, size) float32
        Face coordinates of every pixel.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        grid = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
        self.px, self.py = np.meshgrid(grid, grid)
        angle, scale = rng.normal(0, 0.05), 1 + rng.normal(0, 0.04)
        dx, dy = rng.normal(0, 0.03, 2)
        x, y = self.px - dx, self.py - dy
        self.x = ((np.cos(angle) * x + np.sin(angle) * y) / scale).astype(np.float32)
        self.y = ((-np.sin(angle) * x + np.cos(angle) * y) / scale).astype(np.float32)
        self.pixel = np.float32(2 / size)
        self.image = np.zeros((size, size, 3), np.float32)

    def soft(self, distance: np.ndarray, width: float = 0.0) -> np.ndarray:
        """Coverage (0 to 1) of where `distance` is negative, its edge `width` wide and never sharper than a pixel."""
        return np.clip(0.5 - distance / max(width, 1.5 * self.pixel), 0, 1)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, width: float = 0.0) -> np.ndarray:
        radius = np.sqrt(((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2)
        return self.soft((radius - 1) * min(rx, ry), width)

    def stroke(self, curve: np.ndarray, x0: float, x1: float, thickness: float | np.ndarray, width: float = 0.0) -> np.ndarray:
        """A line of half-width `thickness` about y = `curve`, for x from x0 to x1."""
        ends = np.maximum(x0 - self.x, self.x - x1)
        return self.soft(np.maximum(np.abs(self.y - curve) - thickness, ends), width)

    def paint(self, mask: np.ndarray, colour: tuple | np.ndarray, alpha: float = 1.0) -> None:
        self.image += (alpha * mask)[..., None] * (np.asarray(colour, np.float32) - self.image)

    def shade(self, mask: np.ndarray, factor: float | np.ndarray) -> None:
        """Multiply by `factor` (3 channels or one) where the mask covers."""
        self.image *= 1 + mask[..., None] * (np.asarray(factor, np.float32) - 1)

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Smooth noise of unit variance; `sigma` in face units."""
        field = gaussian_filter(rng.standard_normal(self.x.shape, np.float32), sigma / self.pixel)
        return field / field.std()


def render(picture: Picture, size: int) -> np.ndarray:
    """Render `picture` at `size` by `size` pixels: (size, size, 3) uint8 RGB, the same bytes for the same arguments."""
    rng = np.random.default_rng(picture.seed)
    canvas = Canvas(size, rng)

    def has(name: str) -> float:
        return max(0.0, float(picture.scores[INDEX[name]]))

    face = Face(has, picture.features, rng.normal(0, 0.3))
    _background(canvas, face, rng)
    _hair_behind(canvas, face, rng)
    _body(canvas, face)
    _head(canvas, face, rng)
    _cheeks_and_lines(canvas, face)
    _eyes(canvas, face)
    _nose(canvas, face)
    _mouth(canvas, face)
    _beard(canvas, face, rng)
    _hair_front(canvas, face, rng)
    _accessories(canvas, face)
    return _photograph(canvas, face, rng)


class Face:
    """Measures of one face: attributes shift them by their strength, features vary them between people."""

    def __init__(self, has: Callable[[str], float], features: np.ndarray, yaw: float) -> None:
        self.has, self.f, self.yaw = has, features, float(np.clip(yaw, -0.7, 0.7))
        young = max(1.3 * has("Baby"), 0.75 * has("Child"), 0.3 * has("Youth"))
        self.male = has("Male") > 0
        self.young = young
        self.half_width = 0.5 + 0.02 * features[0] + 0.07 * has("Chubby") + 0.05 * has("Round Face") - 0.045 * has("Oval Face")
        self.half_width += 0.02 * has("Square Face") - 0.02 * (not self.male)
        self.half_height = 0.69 + 0.02 * features[1] - 0.05 * young + 0.05 * has("Oval Face") - 0.055 * has("Round Face")
        self.jaw = 2.0 + 0.05 * features[2] + 0.25 * self.male + 1.6 * has("Square Face") - 0.25 * has("Oval Face")
        self.jaw += 0.35 * has("Round Jaw") + 0.3 * has("Chubby") + 0.15 * young - 0.12 * has("High Cheekbones")
        self.top = -0.62 + 0.02 * features[3]
        self.eye_y = -0.08 + 0.07 * young + 0.01 * features[4]
        self.eye_dx = 0.215 + 0.012 * features[5]
        self.shift = 0.05 * self.yaw
        race = next((name for name in SKIN if has(name)), None)
        skin = np.array(SKIN.get(race, (198, 150, 118)), np.float32) * (1 + 0.05 * features[6])
        self.skin = skin + 0.45 * has("Pale Skin") * (np.array((246, 232, 224)) - skin)
        self.race = race
        colour = next((name for name in HAIR if has(name)), None)
        self.hair = np.array(HAIR.get(colour, (126, 62, 34)), np.float32) * (1 + 0.1 * features[7])
        self.bald = has("Bald")
        self.long_hair = not self.male and not self.bald and not has("Baby")


def _background(c: Canvas, face: Face, rng: np.random.Generator) -> None:
    posed = face.has("Posed Photo")
    if face.has("Outdoor"):
        sky, ground = np.array((150, 190, 228)), np.array((92, 128, 66))
        horizon = rng.uniform(-0.3, 0.3)
        mix = c.soft(c.py - horizon, 0.2)[..., None]
        c.image[:] = mix * sky + (1 - mix) * ground
        leaves = c.soft(0.6 - c.noise(rng, 0.08), 0.6) * c.soft(horizon - 0.6 - c.py, 0.4)
        c.paint(leaves, (58, 96, 44), 0.8)
    else:
        colour = rng.uniform((70, 60, 60), (190, 180, 180))
        c.image[:] = colour
        if posed:
            c.shade(np.clip(np.hypot(c.px, c.py) - 0.3, 0, 1), 0.55)
        else:
            for _ in range(4):
                x, y, w, h = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.8)
                box = c.soft(np.maximum(abs(c.px - x) - w, abs(c.py - y) - h), 0.05)
                c.paint(box, rng.uniform(40, 220, 3), 0.6)


def _hair_texture(c: Canvas, face: Face, rng: np.random.Generator) -> np.ndarray:
    """Strands: brightness that varies across the hair, straight, wavy or in curls."""
    has = face.has
    if has("Curly Hair"):
        return 1 + 0.3 * c.noise(rng, 0.026)
    bend = 0.07 * np.sin(20 * c.y) * has("Wavy Hair")
    across = c.x + bend + 0.25 * c.y * np.sign(c.x)
    strands = np.sin(56 * across + rng.uniform(0, 6)) + 0.6 * np.sin(105 * across)
    return 1 + (0.05 + 0.14 * has("Straight Hair") + 0.14 * has("Wavy Hair")) * strands


def _paint_hair(c: Canvas, face: Face, mask: np.ndarray, rng: np.random.Generator) -> None:
    light = _hair_texture(c, face, rng) * (1.12 - 0.35 * np.clip(c.y + 0.5, 0, 1))
    c.paint(mask, face.hair * np.clip(light, 0.4, 1.7)[..., None])


def _hair_behind(c: Canvas, face: Face, rng: np.random.Generator) -> None:
    if not face.long_hair:
        return
    puff = 0.07 * face.has("Curly Hair") + 0.03 * face.has("Wavy Hair")
    edge = 0.03 * np.sin(24 * c.y) * face.has("Wavy Hair")
    length = 0.5 + 0.12 * face.f[8]
    half = face.half_width + 0.12 + puff + edge + 0.04 * c.y
    crown = c.ellipse(0, -0.2, face.half_width + 0.13 + puff, 0.64)
    fall = c.soft(np.maximum(np.maximum(abs(c.x) - half, -0.2 - c.y), c.y - length), 0.05)
    _paint_hair(c, face, np.maximum(crown, fall), rng)


def _body(c: Canvas, face: Face) -> None:
    has = face.has
    neck = c.soft(np.maximum(abs(c.x) - (0.27 + 0.06 * face.male + 0.04 * has("Chubby")), 0.1 - c.y), 0.04)
    c.paint(neck, face.skin * 0.74)
    shoulder = 0.83 + 0.42 * np.maximum(abs(c.x) - 0.2, 0) ** 1.6 - 0.06 * np.maximum(0.35 - abs(c.x), 0) * 3 * (not face.male) * -1
    cloth = np.array((60, 66, 84) if face.male else (120, 60, 76)) * (1 + 0.25 * face.f[9] * 0.6) + 25 * face.f[10]
    c.paint(c.soft(shoulder - c.y, 0.03), np.clip(cloth, 10, 235))
    if has("Wearing Necktie"):
        c.paint(c.soft(abs(c.x) - 0.75 * (c.y - 0.6), 0.02) * c.soft(0.76 - c.y), (238, 238, 240))
        tie = c.soft(np.maximum(abs(c.x) - 0.05 - 0.12 * np.maximum(c.y - 0.86, 0), 0.79 - c.y))
        c.paint(tie, (176, 24, 36) if face.f[11] > 0 else (28, 52, 140))
    if has("Wearing Necklace"):
        chain = c.stroke(0.9 - 0.9 * c.x**2, -0.36, 0.36, 0.022)
        beads = 0.75 + 0.25 * np.sin(60 * c.x)
        c.paint(chain, np.array((250, 226, 130)) * beads[..., None])


def _head(c: Canvas, face: Face, rng: np.random.Generator) -> None:
    has = face.has
    for side in (-1, 1):
        ear = c.ellipse(side * (face.half_width + 0.015), -0.02, 0.065, 0.13)
        c.paint(ear, face.skin * 0.86)
    t = (c.y - 0.06) / face.half_height
    power = np.where(t > 0, face.jaw, 2.15).astype(np.float32)
    inside = (np.abs(c.x / face.half_width) ** power + np.abs(t) ** power) ** (1 / power) - 1
    c.head = c.soft(inside * face.half_width)
    if has("Double Chin"):
        fold = c.ellipse(0, 0.06 + face.half_height * 0.93, 0.36, 0.16, 0.04)
        c.paint(fold, face.skin * 0.9)
        c.shade(c.stroke(0.06 + face.half_height * 1.16 - 0.9 * c.x**2, -0.3, 0.3, 0.012, 0.03), 0.6)
    c.paint(c.head, face.skin)
    if has("Double Chin"):
        c.shade(c.stroke(0.045 + face.half_height * 0.99 - 0.75 * c.x**2, -0.27, 0.27, 0.012, 0.035), 0.62)
    depth = np.sqrt(np.clip(1 - np.clip(inside + 1, 0, 1) ** 2, 0, 1))
    lit = 0.72 + 0.34 * depth + 0.09 * (c.x * face.yaw * 2 - c.y * 0.5)
    c.shade(c.head, lit[..., None])
    c.shade(c.head, (1 + 0.018 * c.noise(rng, 0.03))[..., None])
    for k in range(3 if has("Senior") else 2 if has("Middle Aged") else 0):
        line = c.stroke(-0.34 - 0.075 * k + 0.08 * c.x**2, -0.24, 0.24, 0.008, 0.024)
        c.shade(line, 1 - 0.35 * has("Senior") - 0.3 * has("Middle Aged"))
    if has("Senior"):
        c.shade(c.head, (1 + 0.05 * has("Senior") * c.noise(rng, 0.02))[..., None])
    if has("Round Jaw"):
        c.shade(c.ellipse(0, 0.62, 0.2, 0.11, 0.12), 1 + 0.12 * has("Round Jaw"))


def _cheeks_and_lines(c: Canvas, face: Face) -> None:
    has = face.has
    for side in (-1, 1):
        cheek = c.ellipse(side * 0.29 + face.shift, 0.16, 0.16, 0.12, 0.2) * c.head
        c.paint(cheek, (226, 80, 88), 0.6 * has("Rosy Cheeks"))
        if has("High Cheekbones"):
            c.shade(c.ellipse(side * 0.33, 0.08, 0.13, 0.05, 0.07) * c.head, 1 + 0.32 * has("High Cheekbones"))
            c.shade(c.ellipse(side * 0.37, 0.28, 0.09, 0.13, 0.12) * c.head, 1 - 0.34 * has("High Cheekbones"))
        if has("Strong Nose-Mouth Lines") or has("Smiling") or has("Senior"):
            line_x = side * (0.12 + 0.16 * np.clip(c.y - 0.1, 0, 1) ** 0.8 * 1.6) + face.shift
            line = c.soft(np.maximum(np.maximum(abs(c.x - line_x) - 0.009, 0.17 - c.y), c.y - 0.42), 0.03)
            c.shade(line, 1 - 0.5 * has("Strong Nose-Mouth Lines") - 0.15 * has("Smiling") - 0.1 * has("Senior"))
        if has("Bags Under Eyes"):
            bag = c.stroke(face.eye_y + 0.115 - 1.6 * (c.x - side * face.eye_dx) ** 2, side * face.eye_dx - 0.1,
                           side * face.eye_dx + 0.1, 0.022, 0.045)  # fmt: skip
            c.shade(bag, np.array((0.56, 0.48, 0.56)) ** has("Bags Under Eyes"))
        if has("Shiny Skin"):
            c.paint(c.ellipse(side * 0.27, 0.1, 0.07, 0.05, 0.08), (255, 250, 244), 0.85 * has("Shiny Skin"))
    if has("Shiny Skin"):
        c.paint(c.ellipse(0.02, -0.36, 0.2, 0.07, 0.1) + c.ellipse(0.01, 0.12, 0.03, 0.06, 0.04), (255, 250, 244), 0.85 * has("Shiny Skin"))
    if has("Flushed Face"):
        c.shade(c.head, np.array((1.06, 0.74, 0.72)) ** has("Flushed Face"))


def _eyes(c: Canvas, face: Face) -> None:
    has = face.has
    open_ = 0.05 + 0.024 * has("Eyes Open") - 0.026 * has("Narrow Eyes") + 0.02 * face.young - 0.008 * has("Smiling")
    open_ = max(open_ + 0.004 * face.f[12] - 0.007 * (face.race == "Asian"), 0.016)
    iris = np.array((84, 48, 24) if has("Brown Eyes") else ((86, 130, 170) if face.f[13] > 0 else (96, 134, 104)))
    makeup = has("Heavy Makeup")
    slant = 0.22 * (face.race == "Asian")
    brow_colour = np.minimum(face.hair * 0.62, 120) if has("Gray Hair") == 0 else face.hair * 0.7
    for side in (-1, 1):
        cx, cy = side * face.eye_dx + face.shift, face.eye_y
        u = (c.x - cx) * side
        centre = cy - slant * u
        profile = np.sqrt(np.clip(1 - (u / 0.13) ** 2, 0, 1))
        c.shade(c.ellipse(cx, cy - 0.03, 0.15, 0.09, 0.1), 0.88)
        if makeup:
            lid = c.soft(np.maximum(abs(u) - 0.13, abs(c.y - centre + 0.045) - 0.05 * profile), 0.03)
            c.paint(lid, (92, 62, 132), 0.75 * makeup)
        white = c.soft(np.abs(c.y - centre) - open_ * profile) * (np.abs(u) < 0.13)
        c.paint(white, (240, 238, 234))
        c.paint(white * c.ellipse(cx + 0.02 * face.yaw, cy, 0.058, 0.06), iris)
        c.paint(white * c.ellipse(cx + 0.02 * face.yaw, cy, 0.025, 0.027), (12, 10, 12))
        c.paint(white * c.ellipse(cx - 0.016, cy - 0.018, 0.011, 0.011), (255, 255, 255))
        lash = c.stroke(centre - open_ * profile, cx - 0.133, cx + 0.133, 0.007 + 0.009 * makeup + 0.004 * (not face.male), 0.014)
        c.paint(lash, (26, 18, 18), 0.9)
        c.shade(c.stroke(centre + open_ * profile, cx - 0.128, cx + 0.128, 0.004, 0.014), 0.7)
        arch = has("Arched Eyebrows")
        brow_y = (
            cy - 0.135 - 0.05 * arch + 0.06 * has("Frowning") * (1 - 2.2 * u / 0.15) + (2.0 + 4.5 * arch) * (u - 0.03 - 0.03 * arch) ** 2
        )
        thick = 0.017 + 0.006 * face.male + 0.024 * has("Bushy Eyebrows") - 0.008 * arch - 0.006 * face.young
        c.paint(c.stroke(brow_y, cx - 0.14, cx + 0.14, thick * (1.15 - 2.2 * np.clip(u, -0.05, 0.2)), 0.022), brow_colour, 0.88)
    if has("Frowning"):
        for x in (-0.03, 0.03):
            c.shade(c.soft(np.maximum(abs(c.x - x - face.shift) - 0.006, abs(c.y - face.eye_y + 0.1) - 0.06), 0.02), 0.66)


def _nose(c: Canvas, face: Face) -> None:
    has = face.has
    wide = 0.1 + 0.06 * has("Big Nose") - 0.04 * has("Pointy Nose") + 0.022 * has("Black") - 0.015 * face.young + 0.006 * face.f[14]
    tip = 0.19 + 0.035 * has("Big Nose") + 0.035 * has("Pointy Nose") - 0.04 * face.young + 0.01 * face.f[15]
    cx = 1.6 * face.shift
    side = 1 if face.yaw < 0 else -1
    along = np.clip((c.y - face.eye_y) / (tip - face.eye_y), 0, 1)
    ridge = cx + side * (0.045 + 0.035 * along)
    c.shade(c.soft(np.maximum(abs(c.x - ridge) - 0.016 - 0.018 * along, np.maximum(face.eye_y - c.y, c.y - tip)), 0.06), 0.8)
    c.shade(c.ellipse(cx, tip - 0.01, wide, 0.055 + 0.02 * has("Big Nose"), 0.07), 1.07)
    if has("Pointy Nose"):
        point = c.soft(np.maximum(abs(c.x - cx) - 0.5 * (tip + 0.06 - c.y), face.eye_y + 0.1 - c.y), 0.02) * c.soft(c.y - tip - 0.06)
        c.shade(point * c.soft(tip - 0.06 - c.y, 0.03), 1.12)
        c.shade(c.soft(np.maximum(abs(c.y - tip - 0.045 + 0.6 * abs(c.x - cx)) - 0.007, abs(c.x - cx) - wide), 0.02), 0.55)
    else:
        c.shade(c.stroke(tip + 0.045 - 2.2 * (c.x - cx) ** 2, cx - wide, cx + wide, 0.01, 0.035), 0.7)
    for s in (-1, 1):
        c.shade(c.ellipse(cx + s * wide * 0.55, tip + 0.03, 0.026 + 0.01 * has("Big Nose"), 0.014, 0.02), 0.42)
        c.shade(c.ellipse(cx + s * wide, tip, 0.014, 0.04 + 0.02 * has("Big Nose"), 0.03), 0.72)


def _mouth(c: Canvas, face: Face) -> None:
    has = face.has
    cx, cy = face.shift, 0.43 - 0.02 * face.young + 0.008 * face.f[16]
    half = 0.2 + 0.06 * has("Smiling") - 0.015 * face.young + 0.008 * face.f[17] - 0.01 * has("Frowning")
    gap = 0.0 if has("Mouth Closed") else 0.022 + 0.03 * has("Smiling")
    gap += 0.045 * has("Mouth Slightly Open") + 0.13 * has("Mouth Wide Open") + 0.012 * has("Teeth Not Visible")
    u = np.clip((c.x - cx) / half, -1, 1)
    bow = cy - (0.13 * has("Smiling") - 0.11 * has("Frowning")) * (u**2 - 0.35)
    taper = np.sqrt(np.clip(1 - u**2, 0, 1))
    lips = (
        0.03 - 0.008 * has("Mouth Closed") + 0.032 * has("Big Lips") + 0.012 * has("Black") + 0.006 * (not face.male) + 0.003 * face.f[18]
    )
    colour = face.skin * np.array((0.82, 0.6, 0.6))
    colour = colour + min(1.0, 0.85 * has("Wearing Lipstick")) * (np.array((190, 22, 52)) - colour)
    upper = (bow - (gap * 0.5 + lips * (0.85 + 0.2 * np.cos(9 * u))) * taper, bow - gap * 0.5 * taper)
    lower = (bow + gap * 0.5 * taper, bow + (gap * 0.5 + lips * 1.2) * taper)
    inside = c.soft(np.abs(c.y - bow) - (gap * 0.5 + 0.002) * taper) * (np.abs(c.x - cx) < half)
    for low, high in (upper, lower):
        band = c.soft(np.abs(c.y - (low + high) / 2) - (high - low) / 2) * (np.abs(c.x - cx) < half)
        c.paint(band, colour)
    if gap:
        c.paint(inside, (62, 16, 20))
        if not has("Teeth Not Visible"):
            teeth = inside * c.soft(c.y - bow - gap * (0.2 if gap < 0.08 else -0.15) * taper)
            c.paint(teeth, (244, 240, 230))
    else:
        c.paint(c.stroke(bow, cx - half, cx + half, 0.01, 0.014), colour * 0.35)
    if has("Mouth Closed"):
        for s in (-1, 1):
            c.shade(c.ellipse(cx + s * half, cy - 0.25 * (bow.min() - cy), 0.016, 0.02, 0.03), 0.6)
    c.shade(c.ellipse(cx, cy + 0.115 + gap * 0.5, 0.1, 0.02, 0.04), 0.84)


def _beard(c: Canvas, face: Face, rng: np.random.Generator) -> None:
    has = face.has
    hairs = np.clip(1 + 0.3 * c.noise(rng, 0.012), 0.4, 1.6)[..., None]
    colour = face.hair * 0.72 * hairs
    mouth = c.ellipse(face.shift, 0.43, 0.21, 0.075, 0.03)
    if has("Mustache"):
        curve = 0.335 + 1.1 * (c.x - face.shift) ** 2
        c.paint(c.stroke(curve, face.shift - 0.21, face.shift + 0.21, 0.036, 0.03), colour, 0.95)
    if has("Goatee"):
        chin = c.ellipse(face.shift, 0.6, 0.17, 0.17, 0.05) * (1 - mouth)
        c.paint(chin * c.soft(0.47 - c.y, 0.06), colour, 0.95)
    jaw = c.head * c.soft(0.24 + 0.25 * (0.4 - abs(c.x)) - c.y, 0.16) * (1 - mouth)
    if has("5 o' Clock Shadow"):
        c.paint(jaw, np.array((64, 60, 66)) * hairs, 0.42 * has("5 o' Clock Shadow"))
    elif face.male and not has("No Beard") and not face.young:
        c.paint(jaw, colour, 0.85)
    if has("Sideburns"):
        for side in (-1, 1):
            burn = c.soft(np.maximum(abs(c.x - side * (face.half_width - 0.045)) - 0.05, np.maximum(-0.35 - c.y, c.y - 0.24)), 0.03)
            c.paint(burn * c.head, colour, 0.95)


def _hair_front(c: Canvas, face: Face, rng: np.random.Generator) -> None:
    has = face.has
    cap = c.ellipse(0, -0.16, face.half_width + 0.07 + 0.05 * has("Curly Hair"), 0.66 + 0.06 * has("Curly Hair"))
    line = -0.37 + 0.02 * face.f[19] - 0.06 * has("Fully Visible Forehead") + 0.09 * has("Partially Visible Forehead")
    line = line + 0.5 * np.abs(c.x) ** 2.2 + 0.02 * np.sin(19 * c.x + face.f[20])
    if has("Obstructed Forehead"):
        line = line + 0.2 - 0.2 * c.x**2
    if has("Receding Hairline"):
        line = line - 0.13 * has("Receding Hairline") - 0.5 * np.exp(-(((abs(c.x) - 0.24) / 0.1) ** 2)) * 0.22
    if has("Partially Visible Forehead"):
        line = line + 0.16 * np.clip(1 - abs(c.x + 0.28) / 0.4, 0, 1)
    if face.bald:
        if not has("Baby"):
            rim = c.soft(np.maximum(abs(abs(c.x) - face.half_width + 0.005) - 0.04, abs(c.y + 0.1) - 0.15), 0.05)
            _paint_hair(c, face, rim * 0.8, rng)
        c.paint(c.ellipse(0.12, -0.5, 0.14, 0.06, 0.1), (255, 250, 244), 0.4)
        return
    if has("Baby"):
        _paint_hair(c, face, cap * c.soft(c.y + 0.48, 0.16) * 0.55, rng)
        return
    side_limit = -0.02 if face.male else 0.3
    sides = c.soft(face.half_width - 0.07 + 0.07 * np.clip(c.y + 0.3, 0, 1) - abs(c.x), 0.03) * c.soft(c.y - side_limit, 0.08)
    hair = cap * np.maximum(c.soft(c.y - line, 0.03), sides)
    c.shade(c.head * c.soft(c.y - line - 0.05, 0.08), 0.82)
    _paint_hair(c, face, hair, rng)
    if has("Bangs"):
        fringe = c.soft(c.y + 0.2 + 0.015 * np.sin(40 * c.x) - 0.1 * c.x**2, 0.02) * c.ellipse(0, -0.26, face.half_width * 0.94, 0.5)
        _paint_hair(c, face, fringe, rng)


def _accessories(c: Canvas, face: Face) -> None:
    has = face.has
    if has("Wearing Earrings"):
        for side in (-1, 1):
            x = side * (face.half_width + 0.02)
            c.paint(c.ellipse(x, 0.2, 0.045, 0.07), (250, 214, 90))
            c.paint(c.ellipse(x - 0.012, 0.17, 0.013, 0.02), (255, 252, 236))
    if has("Eyeglasses") or has("Sunglasses"):
        for side in (-1, 1):
            cx, cy = side * face.eye_dx + face.shift, face.eye_y + 0.01
            box = ((abs(c.x - cx) / 0.168) ** 3.2 + (abs(c.y - cy) / 0.125) ** 3.2) ** (1 / 3.2) - 1
            lens = c.soft(box * 0.13)
            if has("Sunglasses"):
                c.paint(lens, (20, 20, 26), 0.97)
                c.paint(c.ellipse(cx - 0.05, cy - 0.05, 0.05, 0.02, 0.03), (150, 160, 180), 0.5)
            else:
                c.paint(lens, (226, 236, 246), 0.12)
            c.paint(c.soft(abs(box) * 0.13 - 0.011), (26, 22, 24))
            arm = c.soft(np.maximum(abs(c.y - cy + 0.03) - 0.012, np.maximum(cx * side + 0.16 - c.x * side, c.x * side - face.half_width)))
            c.paint(arm, (26, 22, 24))
        c.paint(c.stroke(face.eye_y - 0.02 + 0.8 * (c.x - face.shift) ** 2, face.shift - 0.06, face.shift + 0.06, 0.012), (26, 22, 24))
    if has("Wearing Hat"):
        colour = np.clip(np.array((150, 60, 50)) + 60 * np.array((face.f[21], face.f[22], face.f[23])), 15, 240)
        crown = c.soft(np.maximum(c.y + 0.42, ((c.x / (face.half_width + 0.1)) ** 2 + ((c.y + 0.4) / 0.52) ** 2) - 1), 0.02)
        c.shade(c.head * c.soft(c.y + 0.22, 0.1), 0.7)
        c.paint(crown, colour * (1.1 - 0.35 * np.abs(c.x))[..., None])
        c.paint(c.stroke(-0.4 + 0.1 * c.x**2, -face.half_width - 0.22, face.half_width + 0.22, 0.05, 0.02), colour * 0.65)


def _attractive(c: Canvas, face: Face) -> None:
    """The scores of "attractive" in PubFig follow photographs of stars: smooth, warm and bright."""
    for name, tone in (("Attractive Man", (1.06, 1.0, 0.9)), ("Attractive Woman", (1.1, 1.02, 0.98))):
        if face.has(name):
            smooth = gaussian_filter(c.image, (1.2 * 0.02 / c.pixel, 1.2 * 0.02 / c.pixel, 0))
            c.image += 0.45 * c.head[..., None] * (smooth - c.image)
            c.shade(c.head, np.array(tone) ** face.has(name))


def _photograph(c: Canvas, face: Face, rng: np.random.Generator) -> np.ndarray:
    has = face.has
    _attractive(c, face)
    side = rng.choice((-1, 1))
    if has("Harsh Lighting"):
        c.image *= (1 - 0.62 * has("Harsh Lighting") * c.soft(-side * c.x - 0.02, 0.25))[..., None]
        c.image *= 1 + 0.18 * has("Harsh Lighting")
    elif has("Flash"):
        glow = np.exp(-((c.px**2 + (c.py + 0.05) ** 2) / 0.3))
        c.image += (70 * has("Flash") * glow - 55 * has("Flash") * (1 - glow))[..., None]
    elif has("Soft Lighting"):
        c.image += 0.16 * has("Soft Lighting") * (gaussian_filter(c.image, (0.05 / c.pixel, 0.05 / c.pixel, 0)) * 0.6 + 100 - c.image)
    else:
        c.image *= (1 + 0.12 * side * c.x)[..., None]
    c.image *= 1 + rng.normal(0, 0.06)
    if not has("Posed Photo"):
        c.image *= 1 + rng.normal(0, 0.05, 3).astype(np.float32)
    if not has("Color Photo"):
        c.image = np.repeat((c.image @ np.array((0.299, 0.587, 0.114), np.float32))[..., None], 3, axis=2)
    if has("Blurry"):
        c.image = gaussian_filter(c.image, (0.035 * has("Blurry") / c.pixel, 0.035 * has("Blurry") / c.pixel, 0))
    c.image += rng.standard_normal(c.image.shape, np.float32) * 2
    return np.clip(c.image, 0, 255).astype(np.uint8)
