# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a kill pass is asked to do, and its form as words on a command line.

Private to the collection treekill.remote. The controller writes the words, the host reads them: standard library, Python 3.6 and later.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List


class KillRequest:
    """run, lease (C(*): every lease of the run), and how to end what they name.

    nonce: names the report line. signal, children_signal: numbers. children: whether the rest of the tree is signalled at all.
    timeout: seconds between the first signal and KILL. settle: seconds to look out for a tree that has not been seen yet.
    arguments: whether command lines may be reported. escalate: whether C(sudo -n) may be tried for what must not be signalled.
    found: the processes that an earlier pass found and hands on, C(pid:start) with commas; began: the monotonic clock when it began.
    """

    __slots__ = ("run", "lease", "nonce", "signal", "children", "children_signal", "timeout", "settle", "arguments", "escalate", "found", "began")

    def __init__(
        self,
        run: "str",
        lease: "str",
        nonce: "str",
        signal: "int" = 15,
        children: "bool" = True,
        children_signal: "int" = 15,
        timeout: "float" = 10.0,
        settle: "float" = 2.0,
        arguments: "bool" = True,
        escalate: "bool" = True,
        found: "str" = "",
        began: "float" = 0.0,
    ) -> "None":
        self.run = run
        self.lease = lease
        self.nonce = nonce
        self.signal = signal
        self.children = children
        self.children_signal = children_signal
        self.timeout = timeout
        self.settle = settle
        self.arguments = arguments
        self.escalate = escalate
        self.found = found
        self.began = began

    def words(self) -> "List[str]":
        """C(key=value) words; the shell version of the pass reads the same ones."""
        words = []
        for name in self.__slots__:
            value = getattr(self, name)
            words.append("%s=%s" % (name, "%.6f" % value if isinstance(value, float) else int(value) if isinstance(value, bool) else value))
        return words


def read_request(words: "Iterable[str]") -> "KillRequest":
    """The request that the words say. Raises ValueError for words that no words() wrote."""
    request = KillRequest("", "", "")
    for word in words:
        name, dummy, text = word.partition("=")
        kind = type(getattr(request, name))
        setattr(request, name, text if kind is str else float(text) if kind is float else kind(int(text)))
    return request
