# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Masks for secrets that a command line shows by its form.

They cover credentials in URLs, and the values of passwords, secrets and tokens. Used on hosts and
on the controller.

ansible-core masks the same forms in the command lines that it shows (heuristic_log_sanitize,
PASSWD_ARG_RE). It also masks any text up to an at sign.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Match, Optional, Pattern, Sequence

MASK = "********"

#: The name of a secret: PGPASSWORD, --db-pass, MYSQL_PWD, AWS_SECRET_ACCESS_KEY, --ssl-key. Not
#: PWD, not keyserver, and no name with passive.
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passwrd|pass-?phrase|sshpass|(?<![a-z])pass(?!ive|enger|ed|thr|age)|secret|token"
    r"|(?:api|access|private)[_-]?key|(?<![a-z])key(?![a-z])|[_-]pwd)[\w.-]*"
)

#: A word as a shell reads it. A word that is cut off at its end has no closing quotation mark.
_VALUE = r"""(?:'[^']*(?:'|$)|"[^"]*(?:"|$)|\\.|[^\s'"\\])+"""

_URLS = [
    # The password of a URL may hold any character. A URL that is cut off has no at sign.
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):\S*@", re.IGNORECASE), r"\1:%s@" % MASK),
    # A token instead of a user's name, as services for git accept it.
    (re.compile(r"(https?://)[^\s/@:]+@", re.IGNORECASE), r"\1%s@" % MASK),
    # A URL without a scheme, as rsync accepts it.
    (re.compile(r"(?<![\w/.:@-])([\w.-]+):[^\s/@]+@(?=[\w.\[-])"), r"\1:%s@" % MASK),
]

_CUT_URLS = [
    # Not a port with its path.
    (
        re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):(?!\d{1,5}/)[^\s@]*$", re.IGNORECASE),
        r"\1:%s" % MASK,
    ),
    # A token or the name of a host: only the at sign behind it would show which.
    (re.compile(r"(https?://)[^\s/@:]+$", re.IGNORECASE), r"\1%s" % MASK),
]

_FLAG = re.compile(r"-{1,2}%s$" % _NAME, re.IGNORECASE)
_PAIR = re.compile(
    r"(-{0,2}%s(?:=|:\s*)|(?:-H\s*)?[\w-]*authorization\s*:\s*(?:\w+\s+)?)(?!//).+" % _NAME,
    re.IGNORECASE | re.DOTALL,
)
_PARAMETER = re.compile(r"([&?]%s=)[^&'\"]+" % _NAME, re.IGNORECASE)
_VERBS = ("pass", "password", "passwd")

#: Text in quotation marks, also in those of a text within another text; a list; an object; a
#: number.
_JSON_VALUE = (
    r"""(?:\\+"(?:.*?)(?:\\+"|$)|\\*"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?"""
    r"""|\[[^\]]*\]?|\{[^}]*\}?|[^\s,}\]"'\[{]+)"""
)

_WORDS = [
    (re.compile(r"(?<![\w.-])(-{0,2}%s)=%s" % (_NAME, _VALUE), re.IGNORECASE), r"\1=%s" % MASK),
    (
        re.compile(
            r"""(?<![\w.-])(%s\\*["']\s*:\s*)%s""" % (_NAME, _JSON_VALUE), re.IGNORECASE | re.DOTALL
        ),
        r'\1"%s"' % MASK,
    ),
    (
        re.compile(
            r"(?<![\w.-])(-{1,2}%s)\s+(?!-{1,2}%s(?:[\s=]|$))%s" % (_NAME, _NAME, _VALUE),
            re.IGNORECASE,
        ),
        r"\1 %s" % MASK,
    ),
    (
        re.compile(r"(?<=\s)(pass|password|passwd)\s+(?!-)%s" % _VALUE, re.IGNORECASE),
        r"\1 %s" % MASK,
    ),
    (
        re.compile(r"(authorization\s*:\s*(?:\w+\s+)?|\bbearer\s+)[^\s'\"]+", re.IGNORECASE),
        r"\1%s" % MASK,
    ),
]

#: Programs whose options do not name their secrets. Each has: the program, the option, whether the
#: next word is the option's value, and the text before the secret in that value.
_PROGRAMS = [
    # First the options of sshpass, then those of another program.
    (r"sshpass(?:\s+-[vhVe]\S*|\s+-[fdP]\s*\S+)*", r"-p", True, ""),
    # A word apart from the option is the name of a database.
    (r"(?:mysql|mariadb)[\w-]*", r"-p", False, ""),
    (r"mongo\w*", r"-p", True, ""),
    (r"redis-cli", r"-a", True, ""),
    (r"ldap\w+", r"-w", True, ""),
    (r"curl", r"(?:-[A-Za-z#]*[uU]|--(?:proxy-)?user(?![\w-]))", True, ":"),
    (r"(?:smb|rpc)client", r"-U", True, "%"),
]


class Option:
    """An option of a program, in a text and among words.

    once: what follows its value belongs to another program.
    """

    def __init__(self, program: str, option: str, apart: bool, behind: str) -> None:
        self.once = program.startswith("sshpass")
        self.apart = apart
        self.behind = behind
        self.program = re.compile(program.partition("(?:\\s")[0])
        self.name = re.compile(option)
        self._program_in_text = re.compile(r"(?<![\w.-])%s(?=\s)" % program)
        self._in_text = re.compile(
            r"(?<=\s)(%s%s)(%s)" % (option, r"[\s=]*" if apart else "", _VALUE)
        )

    def mask_text(self, text: str) -> str:
        """Return the text with the option's value masked."""
        found = self._program_in_text.search(text)
        if not found:
            return text
        rest = text[found.end() :]
        if self.once:
            # The option comes next, or it is not there.
            option = self._in_text.match(rest, len(rest) - len(rest.lstrip()))
            return (
                text
                if not option
                else text[: found.end()]
                + rest[: option.start()]
                + self._masked(option)
                + rest[option.end() :]
            )
        return text[: found.end()] + self._in_text.sub(self._masked, rest)

    def _masked(self, found: "Match[str]") -> str:
        return found.group(1) + self.mask_value(found.group(2))

    def mask_value(self, value: str) -> str:
        """Return the text before the secret, and a mask for the rest."""
        before, behind, dummy = (
            value.lstrip("'\"").partition(self.behind) if self.behind else ("", "", value)
        )
        return value if self.behind and not behind else before + behind + MASK


class _Options:
    """The options of all programs. Their patterns are compiled when the first text is masked."""

    def __init__(self) -> None:
        self._made: List[Option] = []
        self._program: Optional[Pattern[str]] = None

    def all(self) -> "List[Option]":
        """Return them in their order."""
        if not self._made:
            self._made = [Option(*words) for words in _PROGRAMS]
        return self._made

    def in_text(self, text: str) -> "Sequence[Option]":
        """Return all of them for a text that has the name of one of the programs; else none."""
        if self._program is None:
            names = ["(?:%s)" % one.program.pattern for one in self.all()]
            self._program = re.compile("|".join(names))
        return self._made if self._program.search(text) else ()


_OPTIONS = _Options()

#: A text without any of these has nothing to mask. A report may have ten thousand command lines.
_LIKELY = re.compile(r"pass|secret|token|key|pwd|authorization|bearer", re.IGNORECASE)


def compile_masks() -> None:
    """Compile the patterns of all programs now, so that processes that are forked later have them.

    Otherwise the first text does. A run that is not interrupted masks none.
    """
    _OPTIONS.in_text("")


def mask_urls(text: str) -> str:
    """Return the text with the credentials of URLs masked."""
    if "@" in text and ":" in text:
        for pattern, masked in _URLS:
            text = pattern.sub(masked, text)
    return text


def mask_words(text: str, cut: bool = False) -> str:
    """Return the text with everything masked that its form shows to be a secret.

    cut: whether something is missing at the end of the text.
    """
    text = mask_urls(text)
    if cut and "://" in text:
        for pattern, masked in _CUT_URLS:
            text = pattern.sub(masked, text)
    if _LIKELY.search(text):
        for pattern, masked in _WORDS:
            text = pattern.sub(masked, text)
    for option in _OPTIONS.in_text(text):
        text = option.mask_text(text)
    return text


def mask_command(text: str, cut: bool = False) -> str:
    """Return a command line to be shown, with everything masked that its form shows to be a secret.

    Where NUL separates its words, each word is masked as a whole. A value then goes to the end of
    its word, including spaces.

    cut: whether something is missing at the end of the text.
    """
    words = text.split("\0")
    if not words[1:]:
        return mask_words(text, cut)
    shown = []
    hidden = False
    option: Optional[Option] = None
    value_of: Optional[Option] = None
    for at, word in enumerate(words):
        pair = _PAIR.match(word) if _LIKELY.search(word) else None
        short = option.name.match(word) if option is not None else None
        if hidden:
            shown.append(MASK)
        elif value_of is not None:
            shown.append(value_of.mask_value(word))
        elif pair:
            shown.append(pair.group(1) + MASK)
        elif option is not None and short and word[short.end() :]:
            shown.append(short.group(0) + option.mask_value(word[short.end() :]))
        else:
            shown.append(
                mask_words(_PARAMETER.sub(r"\1" + MASK, word), cut and at == len(words) - 1)
            )
        hidden = bool(_FLAG.match(word)) or at > 0 and word.lower() in _VERBS
        value_of = (
            option
            if value_of is None
            and option is not None
            and option.apart
            and short
            and not word[short.end() :]
            else None
        )
        if option is not None and option.once and value_of is None and not word.startswith("-"):
            option = None
        name = word.rpartition("/")[2]
        option = next((one for one in _OPTIONS.all() if one.program.fullmatch(name)), option)
    # Mask the joined words once more: a program may take several words for one text.
    return mask_words(" ".join(shown), cut)
