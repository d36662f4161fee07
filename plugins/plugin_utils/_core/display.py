# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What core calls the colours of news and the words of its command line, where it has them by the names that are known.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import types
import typing as t

from ansible import constants
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported

#: Core's colours, under its own names: None where it has none of that name, which is no colour.
C = types.SimpleNamespace(
    **{
        f"COLOR_{name}": getattr(constants, f"COLOR_{name}", None)
        for name in ("CHANGED", "ERROR", "HIGHLIGHT", "OK", "SKIP", "WARN")
    }
)


def command_line() -> t.Mapping[str, t.Any]:
    """The arguments of this run."""
    if not is_supported(Feature.RECAP):
        return {}
    from ansible import context  # noqa: PLC0415  # stands on what was looked at here

    return t.cast("t.Mapping[str, t.Any]", context.CLIARGS)
