# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The start of a supervisor: the module's parent on the host.

It keeps the module's orphans in the tree, and ends the tree when the channel breaks. Where there is
no Linux, the module runs without a supervisor.

The module runs in a fork of the running interpreter: a second interpreter would cost each task some
20 ms. Every run of a module pays for every line that is compiled here. After that, supervisor and
module each compile a separate file, at the same time.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.title import set_title
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import (
    FORWARDED,
    is_broken,
    is_subreaper,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, List, NoReturn, Sequence

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.supervisor_options import (  # noqa: E501
        SupervisorOptions,
    )


def supervise(words: str, arguments: "Sequence[str]", program: "Callable[[], str]") -> None:
    """Run a module below a supervisor, in a child; the supervisor ends with the module's status.

    words: the kill request for a broken channel, `key=value` separated by spaces, and the words
        of its own that SupervisorOptions names.
    arguments: the path and the arguments of the module; none if the script comes on standard input.
    program: returns the text of a kill pass, to be run as root.
    """
    if is_subreaper():
        keep_apart(
            # The controller writes no other words.
            dict(word.partition("=")[::2] for word in words.split(" ")),  # type: ignore[arg-type]
            arguments,
            program,
        )
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.run_module import (
        run_module,
    )

    run_module(arguments)


def keep_apart(
    options: "SupervisorOptions", arguments: "Sequence[str]", program: "Callable[[], str]"
) -> None:
    """Fork. Return in the child, which is to run the module. The parent ends as the supervisor.

    If something that it needs is missing (descriptors, a process, memory), the module runs without
    it.
    """
    if options.get("watch") != "0" and is_broken():
        os._exit(1)  # the channel is broken already: the result of the module would reach no reader
    taken: List[int] = []
    try:
        while (
            not taken or taken[-1] < 3
            # standard input or output may be closed: no descriptor that is opened here may take its
            # place
        ):
            taken.append(os.open(os.devnull, os.O_RDWR))
        wakeup = os.pipe()
    except OSError:
        close_all(taken)
        return
    listener = None
    if options.pop("again", ""):
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.retry import claim

        listener = claim(options, program)
    mask = host_signals.pthread_sigmask(
        host_signals.SIG_BLOCK, [getattr(host_signals, name) for name in (*FORWARDED, "SIGCHLD")]
    )
    # if it were ignored, there would be no status
    on_child = host_signals.signal(host_signals.SIGCHLD, host_signals.SIG_DFL)
    relay = None
    if options.pop("async", ""):
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.async_job import (
            relay_status,
        )

        relay = relay_status(listener, mask)
    if os.getpgrp() != os.getsid(0):
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.foreground import (  # noqa: E501
            take_foreground,
        )

        take_foreground(wakeup)
    try:
        child = os.fork()
    except OSError:
        child = 0  # the user has no more processes: then the module takes this one
    if child:
        try:
            from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
                Supervisor,
            )

            Supervisor(options, arguments, program, child, listener, relay, wakeup, taken).watch(
                mask
            )
        finally:
            wait_like_a_shell(child)
    if listener is not None:
        listener.close()
    close_all([*taken, *wakeup] if relay is None else [*taken, *wakeup, relay])
    host_signals.signal(host_signals.SIGCHLD, on_child)
    host_signals.pthread_sigmask(host_signals.SIG_SETMASK, mask)
    set_title(b"\0".join([started_as(), *map(os.fsencode, arguments)]))


def close_all(descriptors: "Iterable[int]") -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


def wait_like_a_shell(child: int) -> "NoReturn":
    """End with the status of the module.

    Nothing here fails for want of memory: the module must not suffer from that.
    """
    status = os.waitpid(child, 0)[1]
    os._exit(128 + status % 128 if status % 128 else status // 256)


def started_as() -> bytes:
    """Return the words that started this interpreter, up to `-c`."""
    try:
        with open("/proc/self/cmdline", "rb") as words:
            return words.read().partition(b"\0-c\0")[0]
    except OSError:
        return b""  # without /proc there is no title to set either
