"""The teacher of the bundled editor: classical image operators, one for each style.

Every operator takes float32 RGB [S, S, 3] in [0, 1] and gives the same; values may leave [0, 1] and are clipped by
`render`. Textures depend on the position alone and repeat every 16 pixels, so that a small convolutional network with
position channels can learn them exactly; nothing here is random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # float32
Operator = Callable[[Image], Image]
cv2.setNumThreads(1)


def render(style: str, image: Image) -> Image:
    """Applies a style; float32 RGB [S, S, 3] in [0, 1] in and out."""
    return np.clip(OPERATORS[style](image), 0.0, 1.0).astype(np.float32)


def _floats(values: Any) -> Image:
    return np.asarray(values, dtype=np.float32)


def _grid(image: Image) -> tuple[Image, Image]:
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
    return x, y


def _luma(image: Image) -> Image:
    return (image @ _floats([0.299, 0.587, 0.114])).astype(np.float32)


def _blur(image: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _saturate(image: Image, factor: float) -> Image:
    luma = _luma(image)[..., None]
    return luma + (image - luma) * factor


def _edges(image: Image, sigma: float = 1.0) -> Image:
    luma = _blur(_luma(image), sigma)
    return np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)).astype(np.float32)


def _ramp(luma: Image, stops: Sequence[float], colours: Sequence[Sequence[int]]) -> Image:
    """Piecewise linear palette: luma [S, S] to RGB [S, S, 3]."""
    table = _floats(colours) / 255.0
    return np.stack([np.interp(luma, stops, table[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)


def _flatten(image: Image, radius: int) -> Image:
    """Kuwahara-like smoothing: each pixel takes the mean of its quietest quarter (edges stay)."""
    mean = cv2.blur(image, (radius + 1, radius + 1))
    variance = _luma(np.maximum(cv2.blur(image * image, (radius + 1, radius + 1)) - mean * mean, 0))
    best, lowest = mean, np.full_like(variance, np.inf)
    for dy in (-radius / 2, radius / 2):
        for dx in (-radius / 2, radius / 2):
            shift = _floats([[1, 0, dx], [0, 1, dy]])
            size = (image.shape[1], image.shape[0])
            shifted = cv2.warpAffine(mean, shift, size, borderMode=cv2.BORDER_REFLECT)
            quiet = cv2.warpAffine(variance, shift, size, borderMode=cv2.BORDER_REFLECT)
            best = np.where((quiet < lowest)[..., None], shifted, best)
            lowest = np.minimum(quiet, lowest)
    return best.astype(np.float32)


def _blocks(image: Image, side: int) -> Image:
    small = cv2.resize(image, (image.shape[1] // side, image.shape[0] // side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)


def _mix(base: Image, colour: Sequence[float], amount: Image | float) -> Image:
    return base * (1 - amount) + _floats(colour) * amount


def _oil_pastel(image: Image) -> Image:
    x, y = _grid(image)
    strokes = np.maximum(np.sin(2 * np.pi * (x + y) / 8), 0)[..., None]
    painted = 0.12 + 0.85 * _saturate(_flatten(image, 4), 1.7)
    painted = painted * (1 - 0.30 * strokes) + 0.30 * strokes * _floats([1, 0.93, 0.75])
    return painted * (1 - 0.55 * np.clip(_edges(image) * 1.5, 0, 1)[..., None])


def _watercolor(image: Image) -> Image:
    x, y = _grid(image)
    side = image.shape[0] - 1
    wash = 0.42 + 0.58 * _saturate(_blur(_flatten(image, 4), 1.2), 1.35)
    wash = wash - 0.7 * np.clip(_edges(wash, 0.7) * 2.2, 0, 0.35)[..., None]
    border = np.minimum(np.minimum(x, side - x), np.minimum(y, side - y))
    return _mix(wash, [0.98, 0.97, 0.93], 1 - np.clip((border - 2) / 7, 0, 1)[..., None])


def _charcoal(image: Image) -> Image:
    x, y = _grid(image)
    luma = _luma(image)
    dodged = np.clip(luma / (_blur(luma, 2.0) + 0.06), 0, 1.05)
    drawn = np.clip(0.75 * dodged + 0.25 * luma - 0.9 * _edges(image), 0, 1)
    grain = 0.06 * np.sin(2 * np.pi * (x + 3 * y) / 16) * np.sin(2 * np.pi * (3 * x - y) / 16)
    return np.repeat((0.1 + 0.8 * drawn + grain)[..., None], 3, axis=2)


def _colored_pencil(image: Image) -> Image:
    x, y = _grid(image)
    edge = np.clip(_edges(image, 0.8) * 1.6, 0, 1)[..., None]
    hatch = (0.5 + 0.5 * np.sin(2 * np.pi * (x - y) / 5.3333))[..., None]
    colour, dark = _saturate(image, 1.4), (1 - _luma(image))[..., None]
    return 0.97 - (1 - colour) * (0.25 + 0.55 * hatch * dark) - 0.8 * edge * (1 - 0.5 * colour)


def _impasto(image: Image) -> Image:
    x, y = _grid(image)
    painted = _saturate(_flatten(image, 6), 1.4)
    luma = _blur(_luma(painted), 0.6)
    relief = np.roll(luma, (1, 1), (0, 1)) - np.roll(luma, (-1, -1), (0, 1))
    swirl = np.sin(2 * np.pi * (x + 2.5 * np.sin(2 * np.pi * y / 16)) / 8)
    return painted - 1.3 * relief[..., None] + 0.13 * swirl[..., None]


def _pop_art(image: Image) -> Image:
    x, y = _grid(image)
    luma = _luma(_blur(image, 0.6))
    colours = _floats([[25, 10, 120], [230, 20, 110], [255, 200, 0], [120, 235, 255]]) / 255
    edges = (0.25, 0.5, 0.75)
    flat = colours[0] + sum(
        (colours[i + 1] - colours[i]) * np.clip((luma - edge) * 12 + 0.5, 0, 1)[..., None]
        for i, edge in enumerate(edges)
    )
    dots = np.clip(1.9 - np.hypot(x % 4 - 1.5, y % 4 - 1.5), 0, 1) * ((luma > 0.25) & (luma < 0.75))
    return flat * (1 - 0.4 * dots[..., None])


def _sepia(image: Image) -> Image:
    x, y = _grid(image)
    middle = (image.shape[0] - 1) / 2
    vignette = 1 - 0.55 * np.clip(np.hypot(x - middle, y - middle) / (1.43 * middle), 0, 1) ** 2
    return _ramp((0.1 + 0.8 * _luma(image)) * vignette, [0, 0.5, 1], [[40, 20, 8], [165, 115, 65], [255, 235, 190]])


def _night(image: Image) -> Image:
    x, y = _grid(image)
    distance = np.hypot(x - 50, y - 12)
    dark = image**1.4 * _floats([0.22, 0.32, 0.62]) + _floats([0.01, 0.02, 0.09])
    dark = dark + np.exp(-distance / 9)[..., None] * _floats([0.28, 0.30, 0.35])
    stars = ((x % 16 == 5) & (y % 16 == 9) & (y < 40))[..., None] * 0.7
    return _mix(dark + stars, [0.98, 0.97, 0.82], np.clip(6.5 - distance, 0, 1)[..., None])


def _snow(image: Image) -> Image:
    x, y = _grid(image)
    cold = 0.30 + 0.62 * _saturate(image, 0.45) * _floats([0.92, 0.97, 1.05])
    cold = _mix(cold, [0.95, 0.97, 1.0], np.clip((y - 44) / 14, 0, 1)[..., None] * 0.75)
    flakes = np.zeros(x.shape, np.float32)
    for fx, fy, radius in ((3, 4, 1.8), (11, 9, 1.4), (7, 14, 1.0), (14, 2, 1.0)):
        distance = np.hypot((x - fx + 8) % 16 - 8, (y - fy + 8) % 16 - 8)
        flakes = np.maximum(flakes, np.clip(radius + 0.5 - distance, 0, 1))
    return _mix(cold, [1, 1, 1], 0.9 * flakes[..., None])


def _stained_glass(image: Image) -> Image:
    x, y = _grid(image)
    offset = (y // 8 % 2) * 4
    shifted = np.roll(image, -4, axis=1)
    panes = np.where((offset > 0)[..., None], np.roll(_blocks(shifted, 8), 4, axis=1), _blocks(image, 8))
    lead = ((x + offset) % 8 < 1) | (y % 8 < 1)
    return np.where(lead[..., None], _floats(0.04), _saturate(0.15 + 0.95 * panes, 2.2))


def _pointillism(image: Image) -> Image:
    x, y = _grid(image)
    centre = np.hypot(x % 4 - 1.5, y % 4 - 1.5)
    jitter = _floats([0.1, -0.06, -0.08]) * (((x // 4 + y // 4) % 2) * 2 - 1)[..., None]
    dots = np.clip(2.35 - centre, 0, 1)[..., None]
    return _mix(_saturate(_blocks(image, 4), 1.8) + jitter, [0.97, 0.94, 0.84], 1 - dots)


def _ukiyo_e(image: Image) -> Image:
    flat = _flatten(image, 4)
    luma = _luma(flat)
    stops = [0, 0.2, 0.4, 0.6, 0.8, 1]
    colours = [[22, 38, 72], [40, 82, 125], [120, 150, 150], [205, 170, 130], [235, 215, 175], [245, 236, 214]]
    printed = _ramp(luma, stops, colours) + 0.35 * (flat - luma[..., None])
    return _mix(printed, [0.08, 0.07, 0.12], np.clip((_edges(flat, 0.9) - 0.35) * 4, 0, 1)[..., None])


def _cyberpunk(image: Image) -> Image:
    _, y = _grid(image)
    base = _ramp(_luma(image) ** 1.3, [0, 0.4, 0.75, 1], [[8, 0, 30], [60, 5, 95], [150, 20, 160], [70, 200, 230]])
    edge = _edges(image, 0.7)
    glow = np.clip(edge * 1.2, 0, 1) + 0.6 * np.clip(_blur(edge, 2), 0, 1)
    height = (y / (image.shape[0] - 1))[..., None]
    neon = _floats([1, 0.1, 0.8]) * height + _floats([0, 0.95, 1]) * (1 - height)
    return 0.7 * base + glow[..., None] * neon


def _woodcut(image: Image) -> Image:
    _, y = _grid(image)
    line = 0.5 + 0.38 * np.sin(2 * np.pi * y / 4 + 0.8)
    carved = 1 / (1 + np.exp(-(_luma(_blur(image, 0.5)) - line) * 12))
    carved = carved * (1 - np.clip((_edges(image) - 0.5) * 3, 0, 1))
    return _ramp(carved, [0, 1], [[30, 18, 12], [238, 222, 190]])


def _fog(image: Image) -> Image:
    _, y = _grid(image)
    depth = (0.45 + 0.4 * (1 - y / (image.shape[0] - 1)))[..., None]
    return _mix(_blur(_saturate(image, 0.5), 0.8), [0.80, 0.83, 0.86], depth)


def _golden_hour(image: Image) -> Image:
    x, y = _grid(image)
    warm = np.clip((image - 0.5) * 1.15 + 0.5, 0, 1) * _floats([1.12, 0.82, 0.5]) + _floats([0.08, 0.03, 0])
    return _mix(warm, [1, 0.82, 0.4], 0.7 * np.exp(-np.hypot(x - 6, y - 14) / 26)[..., None])


def _pixel_art(image: Image) -> Image:
    blocks = np.clip(_saturate(_blocks(image, 4), 1.5), 0, 1) * 3
    whole = np.floor(blocks)
    return (whole + np.clip((blocks - whole - 0.5) * 4 + 0.5, 0, 1)) / 3


def _x_ray(image: Image) -> Image:
    return _ramp(1 - _luma(image), [0, 0.5, 1], [[2, 6, 20], [70, 130, 190], [225, 250, 255]])


def _thermal(image: Image) -> Image:
    stops = [0, 0.25, 0.5, 0.75, 1]
    colours = [[0, 0, 60], [120, 0, 160], [230, 40, 40], [255, 180, 0], [255, 255, 200]]
    return _ramp(_luma(_blur(image, 1.3)), stops, colours)


def _blueprint(image: Image) -> Image:
    x, y = _grid(image)
    lines = np.clip(_edges(image, 0.7) * 1.8, 0, 1)[..., None]
    paper = _floats([0.06, 0.20, 0.52]) + 0.16 * _luma(image)[..., None]
    paper = paper + 0.10 * ((x % 8 < 1) | (y % 8 < 1))[..., None]
    return _mix(paper, [0.92, 0.96, 1.0], lines)


def _chalk(image: Image) -> Image:
    x, y = _grid(image)
    lines = np.clip(_edges(image, 0.8) * 1.5, 0, 1)
    dust = 0.5 + 0.5 * np.sin(2 * np.pi * (2 * x + 5 * y) / 16)
    fill = 0.42 * _luma(image) * dust
    board = _floats([0.10, 0.16, 0.13])
    return board + np.clip(lines + fill, 0, 1)[..., None] * (_floats([0.88, 0.86, 0.80]) + 0.25 * (image - 0.5))


def _embroidery(image: Image) -> Image:
    x, y = _grid(image)
    cross = np.maximum(np.abs(np.cos(np.pi * (x + y) / 4)), np.abs(np.cos(np.pi * (x - y) / 4))) ** 4
    stitched = _saturate(_blocks(image, 4), 1.3)
    return stitched * (0.55 + 0.5 * cross[..., None]) + 0.06


def _autumn(image: Image) -> Image:
    x, y = _grid(image)
    luma = _luma(image)
    colours = [[45, 18, 10], [140, 45, 15], [215, 110, 25], [250, 215, 140]]
    tinted = 0.65 * _ramp(luma, [0, 0.35, 0.7, 1], colours) + 0.35 * image
    leaf = np.clip(2.6 - np.hypot((x - 4) % 16 - 8, ((y + 5) % 16 - 8) * 1.6), 0, 1)
    return _mix(tinted, [0.78, 0.30, 0.06], 0.6 * leaf[..., None])


def _underwater(image: Image) -> Image:
    x, y = _grid(image)
    waved = cv2.remap(image, x + 1.2 * np.sin(2 * np.pi * y / 16), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    deep = waved * _floats([0.25, 0.75, 0.85]) + _floats([0.0, 0.10, 0.18])
    rays = np.clip(np.sin(2 * np.pi * (x + 0.5 * y) / 16), 0, 1) * (1 - y / (image.shape[0] - 1))
    return deep + 0.28 * rays[..., None]


OPERATORS: dict[str, Operator] = {
    "oil pastel": _oil_pastel,
    "watercolor": _watercolor,
    "charcoal": _charcoal,
    "colored pencil": _colored_pencil,
    "impasto": _impasto,
    "pop art": _pop_art,
    "sepia": _sepia,
    "night": _night,
    "snow": _snow,
    "stained glass": _stained_glass,
    "pointillism": _pointillism,
    "ukiyo-e": _ukiyo_e,
    "cyberpunk": _cyberpunk,
    "woodcut": _woodcut,
    "fog": _fog,
    "golden hour": _golden_hour,
    "pixel art": _pixel_art,
    "x-ray": _x_ray,
    "thermal camera": _thermal,
    "blueprint": _blueprint,
    "chalk": _chalk,
    "embroidery": _embroidery,
    "autumn": _autumn,
    "underwater": _underwater,
}
