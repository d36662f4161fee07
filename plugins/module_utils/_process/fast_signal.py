# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The signals of a host: the C part of the module `signal`, without its enums.

The enums cost more than a whole scan of the host's processes.
"""

try:
    import _signal as host_signals  # type: ignore[import-not-found]
except ImportError:
    import signal as host_signals

__all__ = ("OF_A_GROUP", "host_signals")

#: Signals that a whole process group gets, from a terminal or from an orderly end.
OF_A_GROUP = (host_signals.SIGHUP, host_signals.SIGINT, host_signals.SIGQUIT, host_signals.SIGTERM)
