"""Eyes, eyebrows, nose and mouth, painted on the turned head."""

import numpy as np

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace

BROWN_EYES, OTHER_EYES = (84, 40, 14), ((84, 156, 216), (92, 172, 128), (140, 176, 196))
LASHES = (24, 16, 16)
LASHES = (24, 16, 16)


# How far a mouth opens, and the factor of its width.
MOUTHS = {"Mouth Closed": (0.0, 1.0), "Mouth Slightly Open": (0.068, 0.82)}
MOUTHS |= {"Mouth Wide Open": (0.155, 0.92), "Teeth Not Visible": (0.1, 0.6)}


def eyes(s: Canvas, face: DrawnFace) -> None:
    for side in (-1, 1):
        part = s.around(side * face.eye_dx, face.eye_y - 0.06, 0.2, 0.26)
        _socket(part, face, side)
        _eye(part, face, side)
        _brow(part, face, side)
    if face.has("Frowning"):
        for x in (-0.032, 0.032):
            furrow = s.box(x - 0.004, x + 0.004, face.eye_y - 0.2, face.eye_y - 0.06, 0.02)
            s.tint(furrow, 1 - 0.42 * face.has("Frowning"))
            s.lift(furrow, -0.015)


def _opening(face: DrawnFace) -> float:
    """Half the height of the opening between the lids; 0 is a closed eye."""
    if face.has("Narrow Eyes"):
        return 0.024 - 0.004 * face.has("Narrow Eyes")
    if not face.has("Eyes Open"):
        return 0.0
    wide = 0.058 + 0.012 * face.has("Eyes Open") + 0.02 * face.young + 0.003 * face.f[12]
    return wide - 0.009 * (face.race == "Asian") - 0.008 * face.has("Smiling")


def _socket(s: Canvas, face: DrawnFace, side: int) -> None:
    x, y = side * face.eye_dx, face.eye_y
    s.lift(s.bump(x, y, 0.15, 0.085), -0.05 + 0.02 * (face.race == "Asian") + 0.02 * face.young)
    s.lift(s.bump(x, y, 0.1, 0.06), 0.035)
    s.tint(s.bump(x, y - 0.02, 0.17, 0.1), (0.54, 0.49, 0.49))
    if face.has("Heavy Makeup"):
        lid = s.bump(x + 0.02 * side, y - 0.055, 0.13, 0.05)
        s.paint(np.clip(1.4 * lid, 0, 1), (104, 58, 138), 0.85 * min(1.0, face.has("Heavy Makeup")))


def _eye(s: Canvas, face: DrawnFace, side: int) -> None:
    cx, cy = side * face.eye_dx, face.eye_y
    half, gap = face.eye_half, _opening(face)
    makeup = face.has("Heavy Makeup")
    out = (s.x - cx) * side
    centre, profile, upper, lower = lids(face, out)
    if gap:
        white = s.soft(np.maximum(upper - s.y, s.y - lower)) * (np.abs(out) < half)
        shaded = np.clip(0.8 + 2.2 * (s.y - upper), 0.7, 1)[..., None]
        s.paint(white, np.array((206, 202, 198)) * (0.4 + 0.6 * face.skin[0] / 240) * shaded)
        iris, gaze = 0.058 + 0.012 * face.young, cx + 0.1 * face.yaw
        colour = np.array(BROWN_EYES if face.has("Brown Eyes") else OTHER_EYES[int(abs(face.f[13]) * 3) % 3])
        disc = np.hypot(s.x - gaze, s.y - cy)
        darker = 1.1 - 0.55 * np.clip(disc / iris - 0.55, 0, 0.5)
        s.paint(white * s.soft(disc - iris), colour * darker[..., None])
        s.paint(white * s.soft(disc - 0.4 * iris), (8, 8, 10))
        s.paint(white * s.ellipse(gaze - 0.015, cy - 0.02, 0.011, 0.011), (255, 255, 255))
    lash = 0.005 + 0.006 * (not face.male) + 0.01 * makeup
    lid = upper if gap else centre + 0.3 * half * profile - 0.01
    s.paint(s.stroke(lid, cx - half, cx + half, lash, 0.014), LASHES, 0.92)
    if gap:
        s.paint(s.stroke(lower, cx - half, cx + half, 0.004 + 0.006 * makeup, 0.014), (60, 34, 30), 0.75)
        crease = upper - 0.028 + 0.012 * (face.race == "Asian")
        s.tint(s.stroke(crease, cx - 0.9 * half, cx + 0.9 * half, 0.003, 0.016), 0.72)
    if makeup or not (face.male or face.young > 0.5):
        ends = sorted((cx + side * (half - 0.01), cx + side * (half + 0.028)))
        s.paint(s.stroke(centre - 0.35 * (out - half) - 0.01, *ends, 0.006, 0.012), LASHES, 0.9)


def lids(face: DrawnFace, out: np.ndarray) -> tuple[np.ndarray, ...]:
    """The y of an eye's middle, the profile of its opening, and the y of its lids, `out` from its middle."""
    half, gap = face.eye_half, _opening(face)
    centre = face.eye_y - (0.2 * (face.race == "Asian") + 0.04 * (not face.male)) * out
    profile = np.sqrt(np.clip(1 - (out / half) ** 2, 0, 1))
    return centre, profile, centre - 1.1 * gap * profile, centre + 0.9 * gap * profile


def brow_curve(face: DrawnFace, out: np.ndarray) -> np.ndarray:
    """The y of an eyebrow, `out` from the eye's middle."""
    arch = face.has("Arched Eyebrows")
    bushy = face.has("Bushy Eyebrows")
    frown = face.has("Frowning")
    y = face.eye_y - 0.13 - 0.01 * face.young + 0.004 * face.f[9] - 0.006 * bushy
    y = y - 0.045 * arch + 0.05 * frown * (1 - np.clip((out + 0.13) / 0.2, 0, 1))
    curve = y + (1.3 + 0.15 * face.f[10]) * (out - 0.02) ** 2
    return curve + 3.4 * arch * np.minimum(np.abs(out - 0.035), 0.11) ** 2


def _brow(s: Canvas, face: DrawnFace, side: int) -> None:
    arch = face.has("Arched Eyebrows")
    bushy = face.has("Bushy Eyebrows")
    out = (s.x - side * face.eye_dx) * side
    curve = brow_curve(face, out)
    thick = 0.014 + 0.006 * face.male + 0.034 * bushy - 0.004 * arch - 0.006 * face.young
    taper = np.clip(1.15 - 3.2 * np.clip(out, 0, 1), 0.45, 1)
    length = brow_length(face)
    ends = sorted((side * (face.eye_dx - length), side * (face.eye_dx + length)))
    hairs = 1 + (0.2 + 0.1 * bushy) * s.noise(0.012)[..., None]
    mask = s.stroke(curve, *ends, thick * taper, 0.018 + 0.008 * bushy)
    s.paint(mask, face.brow * np.clip(hairs, 0.3, 1.8), 0.9)
    s.lift(mask, 0.012 + 0.02 * bushy)


def brow_length(face: DrawnFace) -> float:
    """How far an eyebrow reaches to both sides of the eye's middle."""
    return 0.138 + 0.012 * face.has("Bushy Eyebrows")


def nose_width(face: DrawnFace) -> float:
    """Half the width of the nose at its wings."""
    big, pointy = face.signed("Big Nose"), face.has("Pointy Nose")
    wide = 0.088 + 0.003 * face.f[14] + 0.02 * (face.race == "Black") + 0.008 * (face.race == "Asian")
    wide = wide + 0.008 * face.male
    wide += (0.048 if big > 0 else 0.01) * big - 0.03 * pointy - 0.02 * face.young
    return wide


def nose(s: Canvas, face: DrawnFace) -> None:
    big, pointy = face.signed("Big Nose"), face.has("Pointy Nose")
    bigger = max(big, 0)
    tip, bridge = face.nose_tip, 0.5 * (face.eye_y + face.nose_tip)
    s = s.around(0, bridge, 0.34, 0.42)
    s.tint(s.bump(0, bridge - 0.04, 0.045, 0.2), 1.16)
    wide = nose_width(face)
    grow = np.clip((s.y - face.eye_y + 0.12) / (tip - face.eye_y + 0.12), 0, 1)
    end = np.clip((tip + 0.05 - s.y) / 0.06, 0, 1)
    across = (0.042 + 0.03 * grow) * (wide / 0.088)
    height = 0.13 + 0.03 * bigger + 0.05 * pointy - 0.035 * face.young
    height = height - 0.02 * (face.race in ("Black", "Asian"))
    s.lift(np.exp(-((s.x / across) ** 2)) * end, height * grow**1.2)
    s.lift(s.bump(0, tip, 0.5 * wide, 0.05), 0.025 + 0.035 * bigger - 0.02 * pointy)
    if pointy:
        sharp = s.soft(np.abs(s.x) - 0.3 * np.clip(tip + 0.075 - s.y, 0, 0.075), 0.02)
        s.lift(sharp * s.soft(tip - 0.04 - s.y, 0.04), 0.05 * pointy)
        s.tint(s.stroke(tip + 0.06 - 1.1 * np.abs(s.x), -wide, wide, 0.006, 0.016), 1 - 0.5 * pointy)
        s.paint(s.box(-0.008, 0.008, face.eye_y, tip, 0.016), (255, 246, 238), 0.3 * pointy)
    else:
        s.tint(s.stroke(tip + 0.048 - 2.0 * s.x**2, -wide, wide, 0.004, 0.022), 0.72)
    for side in (-1, 1):
        wing = s.bump(side * wide * 0.85, tip + 0.005, 0.036 + 0.012 * bigger, 0.04)
        s.lift(wing, 0.05 + 0.015 * bigger)
        hole = s.ellipse(side * wide * 0.5, tip + 0.036, 0.3 * wide, 0.013 + 0.006 * bigger, 0.018)
        s.tint(hole, 0.36)
        s.tint(s.bump(side * (wide + 0.03), tip + 0.01, 0.012, 0.035), 0.78)


def lips(face: DrawnFace, out: np.ndarray) -> tuple[np.ndarray, ...]:
    """The y of the mouth's middle, of the upper and of the lower edge of its opening, and how far lips reach
    beyond these, `out` from the middle in half widths.
    """
    has, (_, gap) = face.has, mouth_size(face)
    centre = face.mouth_y - (0.085 * has("Smiling") - 0.095 * has("Frowning")) * (out**2 - 0.3)
    taper = np.sqrt(np.clip(1 - out**2, 0, 1))
    top = centre - 0.5 * gap * taper
    bottom = centre + (0.5 * gap + 0.25 * gap * has("Mouth Wide Open")) * taper
    full = lip_height(face)
    return centre, top, bottom, full * (0.85 + 0.2 * np.cos(8 * out)) * taper, 1.2 * full * taper


def lip_height(face: DrawnFace) -> float:
    full = 0.038 + 0.032 * face.signed("Big Lips") + 0.008 * (face.race == "Black")
    full = full + 0.004 * (not face.male) + 0.002 * face.f[18]
    return max(full + 0.006 * face.has("Big Lips"), 0.014) * (1 - 0.15 * face.young)


def mouth(s: Canvas, face: DrawnFace) -> None:
    has = face.has
    s = s.around(0, face.mouth_y + 0.04, 0.36, 0.26)
    half, gap = mouth_size(face)
    out = np.clip(s.x / half, -1, 1)
    taper = np.sqrt(np.clip(1 - out**2, 0, 1))
    full = lip_height(face)
    centre, top, bottom, above, below = lips(face, out)
    inside = np.abs(s.x) < half
    colour = face.skin * (0.8, 0.56, 0.56)
    if has("Wearing Lipstick"):
        colour = np.array((196, 14, 46)) * (0.85 + 0.15 * face.skin[0] / 236)
    upper = s.soft(np.maximum(top - above - s.y, s.y - centre)) * inside
    lower = s.soft(np.maximum(centre - s.y, s.y - bottom - below)) * inside
    for lip, shine, darker in ((upper, 0.2, 0.86), (lower, 0.5 + 0.8 * has("Wearing Lipstick"), 1.0)):
        s.paint(lip, colour * darker)
        s.lift(lip, 0.3 * full)
        s.gloss[:] += lip * (np.float32(shine) - s.gloss)
    if gap:
        _between_lips(s, face, inside * s.soft(np.maximum(top - s.y, s.y - bottom)), top, gap, taper)
    else:
        s.paint(s.stroke(centre, -half, half, 0.003 + 0.004 * taper, 0.012), colour * 0.32)
    for side in (-1, 1):
        y = float(face.mouth_y - 0.7 * (0.085 * has("Smiling") - 0.095 * has("Frowning")))
        s.tint(s.bump(side * (half + 0.01), y, 0.025, 0.025), 0.72)
    s.lift(s.bump(0, 0.5 * (face.nose_tip + face.mouth_y) + 0.02, 0.022, 0.05), -0.014)


def mouth_size(face: DrawnFace) -> tuple[float, float]:
    """Half width and opening; a mouth of no named state shows its teeth between lips hardly parted."""
    half = 0.17 + 0.05 * face.has("Smiling") - 0.02 * face.young + 0.005 * face.f[17] + 0.006 * face.male
    for name, (open_, wider) in MOUTHS.items():
        if face.has(name):
            return half * wider, open_ * (0.85 + 0.15 * face.has(name))
    return half * 1.08, 0.08


def _between_lips(
    s: Canvas, face: DrawnFace, opening: np.ndarray, top: np.ndarray, gap: float, taper: np.ndarray
) -> None:
    s.paint(opening, (46, 10, 14))
    s.lift(opening, -0.04)
    s.gloss[:] *= 1 - opening
    white = np.array((236, 232, 222)) * (0.7 + 0.3 * face.skin[0] / 240)
    if face.has("Teeth Not Visible"):
        s.paint(opening * s.bump(0, float(face.mouth_y) + 0.25 * gap, 0.09, 0.05), (206, 96, 98), 0.95)
    elif face.has("Mouth Slightly Open"):
        s.paint(opening * s.soft(s.y - top - 0.34 * gap * taper) * s.soft(np.abs(s.x) - 0.06, 0.02), white)
    elif face.has("Mouth Wide Open"):
        s.paint(opening * s.soft(s.y - top - 0.2 * gap * taper), white)
        s.paint(opening * s.bump(0, float(face.mouth_y) + 0.6 * gap, 0.11, 0.04), (190, 78, 84), 0.9)
    else:
        teeth = 0.9 + 0.1 * np.abs(np.sin(62 * s.x))
        s.paint(opening, white * teeth[..., None])
