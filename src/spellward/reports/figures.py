"""Figures as plain SVG text: bars for the headline, dots for many wrong keys."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

_WIDTH, _LEFT, _ROW = 720, 210, 34


def png_url(pixels: np.ndarray) -> str:
    """A picture, uint8 [H, W, 3], as a data URL for one self-contained page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def bars(rows: Sequence[tuple[str, float, float, float, str]], mark: float, mark_name: str) -> str:
    """Horizontal bars with confidence intervals.

    Args:
        rows: (name, value, low, high, colour); all values as fractions of 1.
        mark: Where a dashed line goes (chance).
        mark_name: What the line is.
    """
    span = _WIDTH - _LEFT - 70
    height = _ROW * len(rows) + 30
    parts = [_open(height, "Accuracies")]
    for index, (name, value, low, high, colour) in enumerate(rows):
        y = 8 + index * _ROW
        middle = y + 10
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{max(1.0, value * span):.1f}" height="20" rx="3" fill="{colour}"/>'
        )
        parts.append(
            f'<path d="M{_LEFT + low * span:.1f} {middle}H{_LEFT + high * span:.1f}" stroke="#222" stroke-width="1.5"/>'
        )
        parts.append(f'<text x="{_LEFT + high * span + 8:.1f}" y="{y + 15}">{100 * value:.1f} %</text>')
    x = _LEFT + mark * span
    parts.append(f'<path d="M{x:.1f} 2V{height - 22}" stroke="#888" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" class="note">{escape(mark_name)}</text>')
    return "".join([*parts, "</svg>"])


def dots(groups: Sequence[tuple[str, Sequence[float]]], key_value: float, mark: float) -> str:
    """One row of dots for each kind of wrong key, with the key itself and chance as lines."""
    span = _WIDTH - _LEFT - 70
    height = _ROW * len(groups) + 30
    parts = [_open(height, "Wrong keys")]
    for value, name in ((mark, "chance"), (key_value, "the key")):
        x = _LEFT + value * span
        parts.append(f'<path d="M{x:.1f} 2V{height - 22}" stroke="#888" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" class="note">{name}</text>')
    for index, (name, values) in enumerate(groups):
        y = 20 + index * _ROW
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts += [
            f'<circle cx="{_LEFT + value * span:.1f}" cy="{y}" r="5" fill="#b4441f" fill-opacity=".45"/>'
            for value in values
        ]
    return "".join([*parts, "</svg>"])


def scale(marks: Sequence[tuple[str, float, str]], threshold: float, threshold_name: str) -> str:
    """One dot for each value on a scale from the lowest value (or 0) to 1, with the threshold as a line.

    Args:
        marks: (name, value, colour).
        threshold: Where the line goes.
        threshold_name: What the line is.
    """
    low = min(0.0, threshold, *(value for _, value, _ in marks))
    high = max(1.0, threshold, *(value for _, value, _ in marks))
    span = (_WIDTH - _LEFT - 70) / (high - low)
    height = _ROW * len(marks) + 30
    parts = [_open(height, "Effects")]
    for value, name in ((0.0, "0"), (threshold, threshold_name)):
        x = _LEFT + (value - low) * span
        parts.append(f'<path d="M{x:.1f} 2V{height - 22}" stroke="#888" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" class="note">{escape(name)}</text>')
    for index, (name, value, colour) in enumerate(marks):
        x, y = _LEFT + (value - low) * span, 20 + index * _ROW
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{colour}"/>')
        parts.append(f'<text x="{x + 12:.1f}" y="{y + 4}">{round(value, 2) + 0.0:.2f}</text>')
    return "".join([*parts, "</svg>"])


def _open(height: int, title: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
