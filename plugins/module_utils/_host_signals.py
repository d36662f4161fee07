# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The signals of a host: what the module signal is made of, without its enums, which cost more than a whole scan of the host's processes.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as host_signals
else:
    try:
        import _signal as host_signals
    except ImportError:
        import signal as host_signals

__all__ = ("host_signals",)
