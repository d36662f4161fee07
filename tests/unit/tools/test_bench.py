# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table and the picture of the growth with the number of hosts, from made-up measurements."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from tools.bench.growth import Growth, Kill, picture

_SVG = "{http://www.w3.org/2000/svg}"


def _kills(*gone: float, recap: float | None = None) -> list[Kill]:
    return [Kill(seconds, recap, 0.1, 0.2) for seconds in gone]


def test_a_line_has_the_median_of_the_ratios_and_both_ends_of_each_series() -> None:
    row = Growth(20, True, _kills(0.2, 0.4, 0.6, recap=0.9), _kills(0.1, 0.4, 0.5), 1.5).row
    assert row.startswith("| 20 | yes | 400 ms (200 ms to 600 ms) | 400 ms (100 ms to 500 ms) |")
    assert "| 1.20 | 900 ms (900 ms to 900 ms) |" in row
    assert row.endswith("| 1.5 |")


def test_a_recap_that_does_not_come_is_counted() -> None:
    ours = [*_kills(1.0, recap=2.0), *_kills(1.0, recap=math.inf)]
    row = Growth(100, False, ours, _kills(1.0, 1.0), 0.0).row
    assert "| **complete in 1 of 2** |" in row


def test_the_picture_has_a_line_for_each_series_and_a_point_for_each_number_of_hosts() -> None:
    rows = [
        Growth(count, pipelining, _kills(count / 50, recap=9.0), _kills(count / 90), 0.0)
        for count in (1, 5, 20)
        for pipelining in (True, False)
    ]
    root = ET.fromstring(picture(rows))  # noqa: S314 - made here
    lines = root.findall(f"{_SVG}polyline")
    assert len(lines) == 4
    assert len(root.findall(f"{_SVG}circle")) == 12
    first = [tuple(map(float, point.split(","))) for point in lines[0].attrib["points"].split()]
    # More hosts are to the right, and more seconds above.
    assert [x for x, dummy in first] == sorted(x for x, dummy in first)
    assert [y for dummy, y in first] == sorted((y for dummy, y in first), reverse=True)
    names = {text.text for text in root.findall(f"{_SVG}text")}
    assert {"treekill.remote, pipelining", "by hand, no pipelining"} <= names
