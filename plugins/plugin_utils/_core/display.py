# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core's colours for messages, and the command line of the run, where this core has them."""

from __future__ import annotations

import types
import typing as t

from ansible import constants
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported

if t.TYPE_CHECKING:
    from ansible.utils.display import Display

#: Core's colours, under core's names. None where core has no such name: the text then has no
#: colour.
C = types.SimpleNamespace(
    **{
        f"COLOR_{name}": getattr(constants, f"COLOR_{name}", None)
        for name in ("CHANGED", "ERROR", "HIGHLIGHT", "OK", "SKIP", "VERBOSE", "WARN")
    }
)


def command_line() -> t.Mapping[str, t.Any]:
    """Return the arguments of this run; empty where core does not offer them."""
    if not is_supported(Feature.RECAP):
        return {}
    from ansible import context  # noqa: PLC0415  # is_supported has checked it

    return t.cast("t.Mapping[str, t.Any]", context.CLIARGS)


def verbose(display: Display, text: str) -> None:
    """Print a line on standard error at C(-v) and above.

    Core prints such lines on standard output. A run has there the same bytes with and without the
    collection, at each verbosity.
    """
    if display.verbosity > 0:
        display.display(text, color=C.COLOR_VERBOSE, stderr=True)
