"""Hair behind and in front of the head, and beards."""

import numpy as np

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace


def _lay(c: Canvas, face: DrawnFace, mask: np.ndarray, across: np.ndarray, relief: np.ndarray) -> None:
    """Cover `mask` with hair whose strands are told apart by `across`, with its curls, waves and sheen."""
    has = face.has
    if has("Curly Hair"):
        along, down = 0.05 * c.noise(0.05), 0.05 * c.noise(0.05)
        phase = c.rng.uniform(0, 2 * np.pi, 2)
        curls = np.sin(62 * (c.x + along) + phase[0]) * np.sin(62 * (c.y + down) + phase[1])
        light = 1 + 0.34 * curls
        height = 0.022 * curls
        gloss = 0.1
    else:
        if has("Wavy Hair"):
            across = across + 0.06 * np.sin(17 * c.y)
        fine, coarse = c.strands(across, 80), c.strands(across, 26)
        amount = 1.0 if has("Straight Hair") else 1.6 if has("Wavy Hair") else 0.35
        light = 1 + amount * (0.07 * fine + 0.1 * coarse)
        height, gloss = amount * 0.007 * coarse, 1.1 * bool(has("Straight Hair")) + 0.25
    colour = face.hair * np.clip(light, 0.35, 1.7)[..., None] + 6 * np.clip(light - 1, 0, 1)[..., None]
    if has("Middle Aged") and not has("Gray Hair"):
        temples = c.bump(0.5, -0.14, 0.2, 0.26) + c.bump(-0.5, -0.14, 0.2, 0.26)
        grey = 0.75 * np.clip(temples, 0, 1) * np.clip(light - 0.3, 0, 1)
        colour = colour + grey[..., None] * ((170, 170, 174) - colour)
    c.cover(mask, colour, relief + height, gloss * (0.3 + 0.7 * face.hair.mean() / 255))


def _puff(face: DrawnFace) -> float:
    return 0.075 * bool(face.has("Curly Hair")) + 0.035 * bool(face.has("Wavy Hair"))


def skull(face: DrawnFace) -> tuple[float, float]:
    """Half the axes of the ellipse around (0, -0.14) that short hair, or a bald head, fills."""
    if face.bald:
        return face.half_width, 0.6
    return face.half_width + 0.055 + _puff(face), 0.67 + _puff(face)


def behind(c: Canvas, face: DrawnFace) -> None:
    """Long hair that falls behind the neck and beside it."""
    if not face.long_hair:
        return
    puff = _puff(face)
    edge = 0.035 * np.sin(17 * c.y) * bool(face.has("Wavy Hair"))
    if face.has("Curly Hair"):
        edge = edge + 0.02 * np.sin(40 * c.y)
    length = 0.62 + 0.14 * np.tanh(face.f[11]) - 0.1 * face.young
    half = face.half_width + 0.12 + 1.3 * puff + edge
    crown = c.ellipse(0, -0.18, face.half_width + 0.12 + puff, 0.68)
    fall = c.box(-half, half, -0.2, length, 0.05)
    _lay(c, face, np.maximum(crown, fall), c.x + 0.1 * np.abs(c.x) * c.y, 0.1 - 0.3 * c.x**2)


def front(c: Canvas, face: DrawnFace, head: np.ndarray) -> None:
    """Hair that begins at the hairline, and fringes; attributes say what it covers of the forehead."""
    has = face.has
    if face.bald:
        c.gloss[:] += np.float32(0.5) * head * c.soft(c.y + 0.3, 0.2)
        rim = np.maximum(np.abs(np.abs(c.x) - face.half_width) - 0.03, np.abs(c.y + 0.09) - 0.15)
        c.paint(c.soft(rim, 0.05), face.hair, 0.6)
        return
    if has("Baby"):
        c.paint(c.ellipse(0, -0.16, face.half_width, 0.62) * c.soft(c.y + 0.48, 0.2), face.hair, 0.6)
        return
    puff = _puff(face)
    bulge = 0.015 * np.sin(26 * np.arctan2(c.x, -c.y)) if has("Curly Hair") else 0
    across, up = skull(face)
    round_ = np.maximum(np.hypot(c.x / across, (c.y + 0.14) / up) + bulge, 0)
    cap = c.soft((round_ - 1) * face.half_width)
    line = hairline(face, c.x) + 0.012 * c.strands(c.x, 60)
    above = c.soft(c.y - line, 0.04)
    end = 0.42 + 0.14 * np.tanh(face.f[11]) if face.long_hair else -0.02
    inner = face.half_width - 0.055 * (1 if face.long_hair else 0.6) - 0.03 * np.clip(c.y, 0, 1)
    sides = c.soft(inner - np.abs(c.x), 0.025) * c.soft(c.y - end, 0.08)
    if face.long_hair:
        sides = sides * c.soft(np.abs(c.x) - face.half_width - 0.11 - 1.2 * puff, 0.03)
        sides = sides * np.maximum(cap, c.soft(-0.1 - c.y, 0.1))
    else:
        sides = sides * cap
    mask = np.maximum(cap * np.maximum(above, (1 - head) * c.soft(c.y + 0.25, 0.1)), sides)
    across = np.arctan2(c.x - 0.12 * np.sign(face.f[20]), c.y + 1.0) * 0.8 + 0.4 * c.x * face.long_hair
    relief = 0.5 * np.sqrt(np.clip(1 - np.minimum(round_, 1) ** 2.3, 0, 1)) + 0.02
    c.tint(head * c.soft(c.y - line - 0.03, 0.06), 0.88)
    _lay(c, face, mask, across, relief)
    _fringe(c, face, relief)


def hairline(face: DrawnFace, x: np.ndarray) -> np.ndarray:
    """The y above which there is hair."""
    has = face.has
    line = face.hairline - 0.05 * bool(has("Fully Visible Forehead")) + 0.55 * np.abs(x) ** 2.3
    if has("Receding Hairline"):
        temple = np.exp(-(((np.abs(x) - 0.27) / 0.13) ** 2))
        line = line - has("Receding Hairline") * (0.1 + 0.19 * temple)
    return line + 0.01 * np.sin(23 * x + face.f[20])


def _fringe(c: Canvas, face: DrawnFace, relief: np.ndarray) -> None:
    has, side = face.has, 1 if face.f[20] > 0 else -1
    within = c.ellipse(0, -0.16, face.half_width + 0.03, 0.66)
    if has("Partially Visible Forehead"):
        sweep = -0.2 - 0.95 * np.clip(0.42 + side * c.x, 0, 1) ** 1.2 + 0.15
        _lay(c, face, within * c.soft(c.y - sweep, 0.025), c.y - 0.55 * side * c.x, relief + 0.02)
    if has("Obstructed Forehead") and not has("Wearing Hat"):
        sweep = -0.235 + 0.2 * side * c.x - 0.2 * c.x**2
        _lay(c, face, within * c.soft(c.y - sweep, 0.03), c.y - 0.8 * side * c.x, relief + 0.03)
    if has("Bangs"):
        edge = -0.27 + 0.012 * c.strands(c.x, 40) + 0.12 * c.x**2
        bangs = within * c.soft(c.y - edge, 0.015) * c.soft(np.abs(c.x) - 0.92 * face.half_width, 0.03)
        _lay(c, face, bangs, c.x, relief + 0.03)


def beard(c: Canvas, s: Canvas, face: DrawnFace, head: np.ndarray) -> None:
    """Facial hair: sideburns on the head's sides `c`, the rest on the turned head `s`."""
    has, y = face.has, face.mouth_y
    colour = face.hair * 0.78 if has("Gray Hair") == 0 else face.hair * 0.9
    hairs = np.clip(1 + 0.26 * s.noise(0.012), 0.4, 1.6)[..., None]
    lips = s.ellipse(0, y + 0.01, 0.18, 0.075, 0.03)

    def grow(mask: np.ndarray, alpha: float = 0.94) -> None:
        s.paint(mask, colour * hairs, alpha)
        s.lift(mask, 0.02)
        s.gloss[:] *= 1 - mask

    jaw = head * s.soft(0.3 + 0.35 * (0.42 - np.abs(s.x)) - s.y, 0.12) * (1 - lips)
    if has("5 o' Clock Shadow"):
        shadow = np.maximum(jaw, head * s.bump(0, y - 0.1, 0.2, 0.045))
        s.paint(shadow, np.array((58, 58, 66)) * (0.6 + 0.4 * hairs), 0.5 * has("5 o' Clock Shadow"))
    if face.male and not (has("No Beard") or has("Goatee")):
        grow(jaw, 0.85)
    if has("Goatee"):
        grow(s.ellipse(0, face.chin - 0.1, 0.16, 0.15, 0.05) * s.soft(y + 0.05 - s.y, 0.05) * (1 - lips))
    if has("Mustache"):
        half = 0.035 * (1 - 0.8 * np.clip(np.abs(s.x) / 0.23, 0, 1) ** 2)
        grow(s.stroke(y - 0.092 + 1.2 * s.x**2, -0.23, 0.23, half, 0.025))
    if has("Sideburns"):
        for side in (-1, 1):
            inner, outer = sorted((side * (face.half_width - 0.13), side * face.half_width))
            burn = c.box(inner, outer, -0.36, 0.27, 0.025) * head
            c.paint(burn, colour * hairs, 0.95)
