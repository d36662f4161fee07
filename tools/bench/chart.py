# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chart of lines with two logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 210, 30, 50
_COLORS = ("#1f6feb", "#cf222e", "#8250df", "#bf8700")


def chart(
    title: str,
    x_name: str,
    y_name: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> str:
    """Return the chart. `lines`: name of a line to its points, all above zero."""
    points = [point for line in lines.values() for point in line]
    x_of = _scale([x for x, dummy in points], _LEFT, _WIDTH - _RIGHT)
    y_of = _scale([y for dummy, y in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for x in sorted({x for x, dummy in points}):
        parts += [
            _line(x_of(x), _TOP, x_of(x), _HEIGHT - _BOTTOM),
            _text(x_of(x), _HEIGHT - _BOTTOM + 18, f"{x:g}", "middle"),
        ]
    for y in _decades([y for dummy, y in points]):
        parts += [
            _line(_LEFT, y_of(y), _WIDTH - _RIGHT, y_of(y)),
            _text(_LEFT - 8, y_of(y) + 4, f"{y:g}", "end"),
        ]
    parts += [
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_name, "middle"),
        _text(_LEFT, _TOP - 12, y_name, "middle"),
    ]
    for number, (name, line) in enumerate(lines.items()):
        color = _COLORS[number % len(_COLORS)]
        dash = ' stroke-dasharray="5 4"' if number % 2 else ""
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline fill="none" stroke="{color}" stroke-width="2"{dash} points="{path}"/>'
        )
        parts += [
            f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{color}"/>' for x, y in line
        ]
        height = _TOP + 16 + 20 * number
        parts += [
            (
                f'<line x1="{_WIDTH - _RIGHT + 12}" x2="{_WIDTH - _RIGHT + 40}" '
                f'y1="{height - 4}" y2="{height - 4}" stroke="{color}" stroke-width="2"{dash}/>'
            ),
            _text(_WIDTH - _RIGHT + 46, height, name, "start"),
        ]
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """A logarithmic axis."""

    def __init__(self, least: float, most: float, start: float, end: float) -> None:
        self._least, self._span = math.log(least), max(math.log(most) - math.log(least), 1e-9)
        self._start, self._length = start, end - start

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        return self._start + self._length * (math.log(value) - self._least) / self._span


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    return _Scale(min(values) * 0.9, max(values) * 1.1, start, end)


def _decades(values: Sequence[float]) -> Iterable[float]:
    """Return round values between the least and the greatest one: 0.1, 0.2, 0.5, 1, ..."""
    least, most = min(values) * 0.9, max(values) * 1.1
    steps = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    return [
        factor * 10.0**step
        for step in steps
        for factor in (1, 2, 5)
        if least <= factor * 10.0**step <= most
    ]


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#d0d7de"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
