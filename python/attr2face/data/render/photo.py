"""The photograph: background, light on the relief, lens, film."""

import numpy as np
from scipy.ndimage import gaussian_filter

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace


def background(c: Canvas, face: DrawnFace, rng: np.random.Generator) -> None:
    """A studio's backdrop, the open air, or a room."""
    if face.has("Outdoor"):
        _outdoor(c, rng)
    elif face.has("Posed Photo"):
        c.image[:] = rng.uniform((70, 76, 92), (150, 156, 172))
    else:
        c.image[:] = rng.uniform((90, 80, 70), (190, 180, 170))
        for _ in range(6):
            x, y, w, h = rng.uniform((-1, -1, 0.06, 0.1), (1, 1, 0.4, 0.8)).tolist()
            c.paint(c.box(x - w, x + w, y - h, y + h, 0.03), rng.uniform(30, 230, 3), 0.75)
    if face.has("Posed Photo"):
        far = np.clip(np.hypot(c.x, c.y) - 0.35, 0, 1)
        c.image[:] *= (1.12 - 0.75 * far)[..., None]


def _outdoor(c: Canvas, rng: np.random.Generator) -> None:
    horizon = rng.uniform(-0.25, 0.25)
    c.image[:] = np.array((132, 186, 240)) + 40 * np.clip(c.y + 1, 0, 1)[..., None]
    c.paint(np.clip(c.noise(0.2) - 0.4, 0, 1), (248, 250, 252), 0.8)
    leaves = 0.8 + 0.35 * c.noise(0.035)
    ground = np.array((86, 140, 58)) * leaves[..., None]
    c.paint(c.soft(horizon + 0.12 * c.noise(0.15) - c.y, 0.05), ground)


def light(c: Canvas, face: DrawnFace, rng: np.random.Generator) -> None:
    """Light the relief: ambient and directed light, cast shadows, highlights (Blinn), hollows darker."""
    side = rng.choice((-1.0, 1.0))
    harsh, soft = face.has("Harsh Lighting"), face.has("Soft Lighting")
    flash = face.has("Flash")
    if harsh:
        strength = 0.9 + 0.15 * harsh
        ambient = 0.4 - 0.08 * harsh
        towards = (0.9 * side, -0.3, 0.5)
    elif flash:
        strength = 0.92
        ambient = 0.28
        towards = (0.08 * side, -0.12, 1.0)
    elif soft:
        strength = 0.16
        ambient = 1.0
        towards = (0.1 * side, -0.5, 1.0)
    else:
        strength = 0.56 + rng.normal(0, 0.04)
        ambient = 0.5
        towards = (0.42 * side, -0.5, 0.8)
    towards = np.array(towards, np.float32) / np.linalg.norm(towards)
    slope_y, slope_x = np.gradient(c.relief, np.float32(c.pixel))
    slope_x, slope_y = np.clip(slope_x, -2.2, 2.2), np.clip(slope_y, -2.2, 2.2)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    lit = np.clip((towards[2] - towards[0] * slope_x - towards[1] * slope_y) / length, 0, None)
    hollow = gaussian_filter(c.relief, 0.07 / c.pixel, truncate=2) - c.relief
    around = ambient * (1 - np.clip(2.4 * hollow, -0.1, 0.45))
    shadow = 1 - _shadow(c, towards) * (0.65 if harsh else 0.5)
    half = towards + np.array((0, 0, 1), np.float32)
    half /= np.linalg.norm(half)
    facing = np.clip((half[2] - half[0] * slope_x - half[1] * slope_y) / length, 0, 1)
    shine = c.gloss * facing ** (16 if flash else 26) * (0.5 + 0.5 * strength) * shadow
    c.image[:] *= (around + strength * lit * shadow)[..., None]
    c.image[:] += np.float32(95) * shine[..., None]
    if flash:
        near = 1 + 0.12 * flash * c.subject - 0.62 * min(1.0, flash) * (1 - c.subject)
        c.image[:] *= near[..., None]
        spot = 24 * flash * c.subject * np.exp(-((c.x**2 + (c.y - 0.05) ** 2) / 0.22))
        c.image[:] += spot[..., None]
    if soft:
        bloom = gaussian_filter(c.image, (0.03 / c.pixel, 0.03 / c.pixel, 0), truncate=2)
        c.image[:] += 0.26 * soft * (bloom + 30 - c.image)


def _shadow(c: Canvas, towards: np.ndarray) -> np.ndarray:
    """Coverage of cast shadows: a point is dark where the relief rises above its ray to the light."""
    blocked, flat = np.zeros_like(c.relief), np.hypot(towards[0], towards[1])
    size, margin = len(c.relief), int(0.36 / c.pixel) + 1
    beyond = np.pad(c.relief, margin)
    for distance in (0.05, 0.1, 0.16, 0.24, 0.34):
        column, row = (margin + round(float(distance * t / flat / c.pixel)) for t in towards[:2])
        over = beyond[row : row + size, column : column + size] - c.relief
        np.maximum(blocked, over - np.float32(distance * towards[2] / flat), out=blocked)
    return gaussian_filter(np.clip(blocked / 0.06, 0, 1), 0.016 / c.pixel, truncate=2)


def develop(c: Canvas, face: DrawnFace, rng: np.random.Generator) -> np.ndarray:
    """Exposure, colour, focus and grain: (size, size, 3) uint8."""
    has, image = face.has, c.image
    for name, tone in (("Attractive Man", (1.15, 1.04, 0.83)), ("Attractive Woman", (1.15, 0.99, 1.05))):
        if has(name):
            glow = gaussian_filter(image, (0.02 / c.pixel, 0.02 / c.pixel, 0), truncate=2)
            image += (0.35 * c.subject)[..., None] * (glow - image)
            middle = has(name) * c.subject * np.exp(-(c.x**2 + c.y**2) / 0.5)
            image *= 1 + middle[..., None] * (np.array(tone, np.float32) - 1)
    image *= (1 + rng.normal(0, 0.04)) * (1 + rng.normal(0, 0.02, 3)).astype(np.float32)
    if not has("Color Photo"):
        image = np.repeat((image @ np.array((0.299, 0.587, 0.114), np.float32))[..., None], 3, axis=2)
    if has("Blurry"):
        sigma = 0.026 * has("Blurry") / c.pixel
        image = gaussian_filter(image, (sigma, sigma, 0), truncate=2.5)
    image = image + c.rng.standard_normal(image.shape, np.float32) * 2
    return np.clip(image, 0, 255).astype(np.uint8)
