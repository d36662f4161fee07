# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that writes the second half of docs/options.md.

`make docs` runs it. It takes the documentation of the options. The first half is written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from .documented import SECTIONS, Option, options

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"

BEGIN = (
    "<!-- From here on `make docs` writes this page, from the documentation of the plugins. -->\n"
)

_VARIABLE = "`{}`, of a host, group, play, block or task, or an extra variable"
_VARIABLE_OF_THE_RUN = "`{}`, an extra variable; others do not count"
_ACTIONS = "`treekill.remote.shell`, `command`, `raw` and `script`"


def generated(all_options: Iterable[Option]) -> str:
    """Return what follows BEGIN."""
    known = list(all_options)
    parts = [
        "\n## At a glance\n",
        "| option | type | default | applies to | task argument |\n|---|---|---|---|---|",
    ]
    parts += [_row(option) for option in known]
    for section in SECTIONS:
        parts.append(f"\n## {section}")
        parts += [_of_option(option) for option in known if option.section == section]
    return "\n".join(parts) + "\n"


def _row(option: Option) -> str:
    return (
        f"| [`{option.name}`](#{option.name}) | {option.type} | {_default(option)} | "
        f"{option.counts_for} | {'yes' if option.argument else ''} |"
    )


def _of_option(option: Option) -> str:
    section, key = option.ini
    variable = _VARIABLE_OF_THE_RUN if option.of_the_run else _VARIABLE
    rows = [("type", option.type), ("default", _default(option))]
    rows += (
        [("choices", ", ".join(f"`{choice}`" for choice in option.choices))]
        if option.choices
        else []
    )
    rows += [
        ("`ansible.cfg`", f"`{key}` in section `[{section}]`"),
        ("environment", f"`{option.environment}`"),
        ("variable", variable.format(option.variable)),
    ]
    rows += [("task argument", f"`{option.name}` of {_ACTIONS}")] if option.argument else []
    rows += [("new in", f"version {option.since}")] if option.since else []
    table = "\n".join(f"| {what} | {text} |" for what, text in rows)
    paragraphs = "\n\n".join(option.paragraphs)
    return f"\n### {option.name}\n\n{paragraphs}\n\n| | |\n|---|---|\n{table}"


def _default(option: Option) -> str:
    return f"`{option.default}`" if option.default else "none"


def page(written: str) -> str:
    """Return the page with its second half made again.

    Raises ValueError without the line that divides it.
    """
    first, line, dummy = written.partition(BEGIN)
    if not line:
        raise ValueError(f"{PAGE}: no line {BEGIN.strip()}")
    return first + line + generated(options())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
    sys.exit(0)
