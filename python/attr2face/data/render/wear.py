"""What people wear: clothes, tie, jewellery, glasses, hats."""

import numpy as np

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace

GOLD, FRAME = (250, 206, 92), (28, 24, 26)
TIES = ((186, 22, 38), (24, 52, 150), (30, 110, 70))
TIES = ((186, 22, 38), (24, 52, 150), (30, 110, 70))


def clothes(c: Canvas, face: DrawnFace) -> None:
    f = face.f
    slope = 0.82 + 0.42 * np.maximum(np.abs(c.x) - 0.24, 0) ** 1.5
    collar = 0.14 if face.has("Wearing Necklace") else 0.05 + 0.05 * (not face.male)
    edge = slope + collar * np.clip(1 - np.abs(c.x) / 0.36, 0, 1)
    colour = (np.array((62, 68, 88)) if face.male else np.array((124, 66, 84))) + 26 * f[21:24]
    folds = 1 + 0.05 * c.noise(0.07)
    relief = 0.2 - 0.12 * c.x**2 + 0.01 * folds
    c.cover(c.soft(edge - c.y, 0.025), np.clip(colour, 16, 235) * folds[..., None], relief)
    if face.has("Wearing Necktie"):
        shirt = c.soft(np.abs(c.x) - 1.1 * (c.y - 0.6), 0.015) * c.soft(0.77 - c.y)
        c.cover(shirt, (238, 239, 242), 0.24)
        knot = c.box(-0.065 + 0.25 * (c.y - 0.8), 0.065 - 0.25 * (c.y - 0.8), 0.79, 0.87)
        blade = c.soft(np.maximum(np.abs(c.x) - 0.05 - 0.2 * np.maximum(c.y - 0.86, 0), 0.86 - c.y))
        c.cover(np.maximum(knot, blade), TIES[int(abs(f[3]) * 3) % 3], 0.28, 0.4)


def necklace(c: Canvas, face: DrawnFace) -> None:
    if face.has("Wearing Necklace"):
        curve = 0.93 - 0.75 * c.x**2
        beads = 0.8 + 0.2 * np.sin(70 * c.x)
        c.cover(c.stroke(curve, -0.34, 0.34, 0.02), np.array(GOLD) * beads[..., None], 0.3, 1.5)
        c.cover(c.ellipse(0, 0.955, 0.045, 0.04), (208, 30, 62), 0.32, 1.5)


def earrings(c: Canvas, face: DrawnFace) -> None:
    if face.has("Wearing Earrings"):
        for side in (-1, 1):
            x = side * (face.half_width + 0.02)
            part = c.around(x, 0.22, 0.1, 0.2)
            part.cover(part.ellipse(x, 0.13, 0.02, 0.03), (255, 250, 236), 0.5, 1.5)
            part.cover(part.ellipse(x, 0.25, 0.055, 0.1), GOLD, 0.5, 1.5)
            part.tint(part.ellipse(x, 0.26, 0.025, 0.055), 0.62)


def glasses(s: Canvas, face: DrawnFace) -> None:
    dark = face.has("Sunglasses")
    if not (dark or face.has("Eyeglasses")):
        return
    round_ = 2.4 + 1.6 * (face.f[5] > 0)
    for side in (-1, 1):
        cx, cy = side * face.eye_dx, face.eye_y + 0.012
        part = s.around(side * 0.3, cy, 0.36, 0.2)
        rx, ry = (0.18, 0.14) if dark else (0.165, 0.125)
        power = np.abs((part.x - cx) / rx) ** round_ + np.abs((part.y - cy) / ry) ** round_
        box = power ** (1 / round_) - 1
        arm = part.box(*sorted((cx + side * rx, side * (face.half_width - 0.015))), cy - 0.052, cy - 0.024)
        part.cover(arm, FRAME, part.relief)
        if dark:
            fading = 170 * np.clip(part.y - cy + 0.04, 0, 0.2)[..., None]
            part.cover(part.soft(box * ry), np.array((20, 21, 28)) + fading, part.relief, 0.6)
            part.paint(part.ellipse(cx - 0.06, cy - 0.055, 0.045, 0.022, 0.03), (190, 200, 220), 0.6)
        else:
            part.paint(part.soft(box * ry), (222, 232, 244), 0.13)
        rim = part.soft(np.abs(box) * ry - 0.008)
        part.tint(part.soft(np.abs(box - 0.14) * ry - 0.014, 0.03), 0.8)
        part.paint(rim, FRAME)
    s.paint(s.stroke(face.eye_y - 0.03 + 2 * s.x**2, -face.eye_dx + 0.16, face.eye_dx - 0.16, 0.012), FRAME)


def hat(c: Canvas, face: DrawnFace, head: np.ndarray) -> None:
    if not face.has("Wearing Hat"):
        return
    colour = np.clip(np.array((140, 62, 56)) + 60 * face.f[[21, 22, 0]], 20, 235)
    half = face.half_width + 0.1
    dome = (c.x / half) ** 2 + ((c.y + 0.36) / 0.56) ** 2
    c.tint(head * c.soft(c.y + 0.16, 0.12), 0.62)
    weave = (1 + 0.04 * c.noise(0.012))[..., None]
    relief = 0.35 + 0.35 * np.sqrt(np.clip(1 - dome, 0, 1))
    c.cover(c.soft(np.maximum(c.y + 0.3, dome - 1), 0.02), colour * weave, relief)
    band = c.stroke(-0.36 + 0.05 * c.x**2, -half, half, 0.035)
    c.paint(band, colour * 0.45)
    brim = c.stroke(-0.29 + 0.08 * c.x**2, -half - 0.12, half + 0.12, 0.04, 0.02)
    c.cover(brim, colour * 0.8, 0.75 + 0.4 * (c.y + 0.3))
