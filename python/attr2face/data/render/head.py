"""Head, ears and neck: their relief, and all that belongs to skin (age, cheeks, complexion)."""

import numpy as np

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace

# Centres and radii of spots that shine: forehead, nose and cheeks.
SHINY = ((0, -0.33, 0.15, 0.05), (0, 0.13, 0.025, 0.05), (-0.3, 0.1, 0.06, 0.04), (0.3, 0.1, 0.06, 0.04))


def neck(c: Canvas, face: DrawnFace) -> None:
    half = 0.27 + 0.06 * face.male + 0.05 * face.has("Chubby") - 0.09 * face.young
    mask = c.soft(np.maximum(np.abs(c.x) - half - 0.25 * np.maximum(c.y - 0.78, 0), 0.1 - c.y), 0.03)
    c.cover(mask, face.skin * 0.93, 0.2 * np.sqrt(np.clip(1 - (c.x / (half + 0.06)) ** 2, 0, 1)) - 0.1, 0.05)


def head(c: Canvas, face: DrawnFace) -> np.ndarray:
    """Put the head in front of the neck; return its mask."""
    for side in (-1, 1):
        ear = c.around(side * (face.half_width + 0.02), -0.01, 0.12, 0.2)
        shell = ear.ellipse(side * (face.half_width + 0.012), -0.01, 0.07, 0.135)
        ear.cover(shell, face.skin * (0.98, 0.9, 0.88), 0.05, 0.1)
        ear.lift(ear.ellipse(side * (face.half_width + 0.022), -0.02, 0.035, 0.085, 0.03), -0.04)
    t, half, power = outline(face, c.y)
    radius = ((np.abs(c.x) / half) ** power + np.abs(t) ** power) ** (1 / power)
    if face.has("Double Chin"):
        _double_chin(c, face)
    mask = c.soft((radius - 1) * face.half_width)
    c.cover(mask, face.skin, 0.5 * np.sqrt(np.clip(1 - np.minimum(radius, 1) ** 2.3, 0, 1)), 0.08)
    return mask


def outline(face: DrawnFace, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of the head at heights `y`: these over the chin's or the crown's, half its width if it were a box, and
    the power of its roundness. Its edge is at (|x| / half) ** power + |t| ** power = 1.
    """
    t = y / np.where(y > 0, face.chin, 0.74).astype(np.float32)
    half = face.half_width * (1 - face.taper * np.clip(t, 0, 1) ** 1.5)
    half = half + (0.012 + 0.018 * face.signed("High Cheekbones")) * np.exp(-(((y - 0.08) / 0.13) ** 2))
    half = half + 0.05 * face.has("Chubby") * np.exp(-(((y - 0.36) / 0.2) ** 2))
    return t, half, np.where(t > 0, np.float32(face.jaw), np.float32(2.15))


def _double_chin(c: Canvas, face: DrawnFace) -> None:
    """A roll of skin that hangs below the chin, its crease dark."""
    size = face.has("Double Chin")
    roll = c.ellipse(0, face.chin - 0.03, 0.36, 0.13 + 0.05 * size)
    c.cover(roll, face.skin * 0.97, 0.2 + 0.12 * c.bump(0, face.chin + 0.07, 0.3, 0.08), 0.12)


def skin(s: Canvas, face: DrawnFace, mask: np.ndarray) -> None:
    """Relief and colour of the skin on the turned head `s`, inside `mask`."""
    has, signed = face.has, face.signed
    if not has("Pale Skin"):
        s.tint(mask * s.bump(0, 0.24, 0.5, 0.22), (1.0, 0.95, 0.94))
    smooth = 0.4 if has("Attractive Man") or has("Attractive Woman") else 1.0
    s.tint(mask, (1 + smooth * 0.022 * s.noise(0.035) + smooth * 0.012 * s.noise(0.008))[..., None])
    boss = 0.045 - 0.05 * signed("Round Jaw") - 0.03 * face.young
    s.lift(mask * s.bump(0, face.chin - 0.1, 0.12, 0.07), max(boss, 0))
    s.lift(mask * s.bump(0, face.mouth_y + 0.13, 0.13, 0.03), -max(boss, 0) * 0.6)
    if boss > 0.03 and face.male:
        s.lift(mask * s.bump(0, face.chin - 0.09, 0.016, 0.04), -0.03)
    s.lift(mask * s.bump(0, face.eye_y - 0.12, 0.4, 0.05), 0.02 + 0.025 * face.male * (1 - face.young))
    s.tint(mask * s.bump(0, 0.2, 0.42, 0.1), 1.07)
    for side in (-1, 1):
        _cheek(s.around(side * 0.33, 0.2, 0.26, 0.42), face, side)
    _age(s, face, mask)
    if has("Shiny Skin"):
        s.gloss[:] += mask * np.float32(1.2 * has("Shiny Skin"))
        for spot in SHINY:
            s.paint(mask * s.bump(*spot), (255, 252, 248), 0.75 * min(1.0, has("Shiny Skin")))
    if has("Flushed Face"):
        s.tint(mask, np.array((1.05, 0.72, 0.7)) ** has("Flushed Face"))


def _cheek(s: Canvas, face: DrawnFace, side: int) -> None:
    has, bone = face.has, face.signed("High Cheekbones")
    s.lift(s.bump(side * 0.33, 0.1, 0.13, 0.08), 0.02 + 0.05 * max(bone, -0.3))
    s.lift(s.bump(side * 0.36, 0.3, 0.08, 0.15), -0.012 - 0.055 * max(bone, -0.2))
    s.lift(s.bump(side * 0.3, 0.3, 0.16, 0.14), 0.07 * has("Chubby") + 0.06 * face.young)
    s.lift(s.bump(side * 0.27, 0.17, 0.12, 0.08), 0.035 * has("Smiling"))
    if has("High Cheekbones"):
        s.tint(s.bump(side * 0.35, 0.075, 0.11, 0.035), 1 + 0.16 * bone)
        s.tint(s.bump(side * 0.385, 0.27, 0.06, 0.14), 1 - 0.22 * bone)
    if has("Rosy Cheeks"):
        s.paint(s.bump(side * 0.31, 0.19, 0.14, 0.11), (250, 96, 116), 0.8 * min(1, has("Rosy Cheeks")))
    fold = 0.5 * has("Strong Nose-Mouth Lines") + 0.1 * has("Smiling") + 0.09 * face.old
    if fold:
        along = np.clip((s.y - 0.17) / 0.26, 0, 1)
        curve = 0.115 + 0.15 * along**0.8 - 0.02 * along**4
        line = s.box(side * curve - 0.004, side * curve + 0.004, 0.17, 0.44, 0.035)
        s.tint(line, 1 - min(fold, 0.6))
        s.lift(line, -0.02 - 0.05 * fold)
    if has("Bags Under Eyes"):
        _bag(s, face, side)


def _bag(s: Canvas, face: DrawnFace, side: int) -> None:
    size, x = face.has("Bags Under Eyes"), side * face.eye_dx
    sag = face.eye_y + 0.125 - 2.4 * (s.x - x) ** 2
    s.tint(s.box(x - 0.11, x + 0.11, face.eye_y + 0.05, sag, 0.03), np.array((0.74, 0.6, 0.7)) ** size)
    s.tint(s.stroke(sag, x - 0.1, x + 0.1, 0.008, 0.022), 1 - 0.42 * size)


def _age(s: Canvas, face: DrawnFace, mask: np.ndarray) -> None:
    """Freckles of youth, lines of age: creases on the forehead, crow's feet, sagging and spots."""
    if face.has("Youth"):
        cheeks = s.bump(0.22, 0.17, 0.16, 0.08) + s.bump(-0.22, 0.17, 0.16, 0.08)
        freckles = np.clip(s.noise(0.011) - 0.6, 0, 1.5) * cheeks
        s.tint(mask * freckles, (0.72, 0.58, 0.5))
    if not face.old:
        return
    for k in range(3):
        wave = -0.3 - 0.075 * k + 0.06 * s.x**2 + 0.008 * np.sin(14 * s.x + k + 3 * face.f[23])
        crease = mask * s.stroke(wave, -0.27 + 0.03 * k, 0.27 - 0.03 * k, 0.005, 0.024)
        s.tint(crease, 0.5)
        s.lift(crease, -0.012)
    for side in (-1, 1):
        part = s.around(side * 0.38, face.eye_y, 0.12, 0.12)
        for slope in (-0.55, 0.0, 0.55):
            curve = face.eye_y + slope * (np.abs(part.x) - 0.32)
            part.tint(part.stroke(curve, *sorted((side * 0.345, side * 0.44)), 0.004, 0.02), 0.5)
    if face.old > 0.9:
        s.tint(mask, (1 - 0.05 * np.clip(s.noise(0.02) - 0.3, 0, 2))[..., None] * (0.98, 0.97, 0.94))
        s.lift(mask, 0.0022 * s.noise(0.022))
        for side in (-1, 1):
            jowl = side * (0.3 + 0.1 * np.clip(s.y - 0.42, 0, 1))
            s.tint(s.box(jowl - 0.004, jowl + 0.004, 0.42, 0.64, 0.03) * mask, 0.5)
