# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a kill pass is asked to do.

Private to the collection treekill.remote. Both sides: the controller asks, the host does. Standard library, Python 3.6 and later.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable


#: Begins the line of the report, before the nonce.
MARK = "TREEKILL-REPORT"


class KillRequest:
    """run, lease (C(*): every lease of the run), and how to end what they name.

    nonce: names the report line. signal, children_signal: numbers. children: whether the rest of the tree is signalled at all.
    alone: whether a program that handles the signal gets it before what it has started.
    timeout: seconds between the first signal and KILL. arrival_timeout: seconds to look out for a tree that has not been seen yet.
    arguments: whether command lines may be reported. escalate: whether C(sudo -n) may be tried for what must not be signalled.
    found: the processes that an earlier pass found and hands on, C(pid:start) with commas; began: the monotonic clock when it began.
    skip_grace: whether other passes for the same lease that are in their grace are to go over to KILL.
    below: C(pid:pid:pid) of the supervisor, to whose tree all belongs that stands below it, of the module that it runs, and of the root above it:
    what carries the cookie of another root is a later run of the same command. C(0) for a root that is not known.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the fields of a record
        self,
        run: str = "",
        lease: str = "",
        nonce: str = "",
        signal: int = 15,
        children: bool = True,
        children_signal: int = 15,
        timeout: float = 10.0,
        arrival_timeout: float = 2.0,
        arguments: bool = True,
        escalate: bool = True,
        found: str = "",
        began: float = 0.0,
        skip_grace: bool = False,
        below: str = "",
        alone: bool = True,
    ) -> None:
        self.run = run
        self.lease = lease
        self.nonce = nonce
        self.signal = signal
        self.children = children
        self.children_signal = children_signal
        self.timeout = timeout
        self.arrival_timeout = arrival_timeout
        self.arguments = arguments
        self.escalate = escalate
        self.found = found
        self.began = began
        self.skip_grace = skip_grace
        self.below = below
        self.alone = alone


def read_request(words: "Iterable[str]") -> "KillRequest":
    """The request that C(key=value) words say. Raises ValueError or AttributeError for words that no request wrote."""
    request = KillRequest()
    for word in words:
        name, dummy, text = word.partition("=")
        if name not in vars(request):
            raise ValueError("no word of a request: %r" % word)
        kind = type(getattr(request, name))
        setattr(request, name, kind(int(text)) if kind is bool else kind(text))
    return request
