# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Masks for what a command line says by its form to be a secret: credentials in URLs, and the values of passwords, secrets and tokens.

Private to the collection treekill.remote. Runs on hosts and on the controller: standard library, Python 3.6 and later.
ansible-core masks the same in the command lines that it shows (heuristic_log_sanitize, PASSWD_ARG_RE), and more than that: any text up to an at sign.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Match, Optional

MASK = "********"

#: What names a secret: PGPASSWORD, --db-pass, MYSQL_PWD, AWS_SECRET_ACCESS_KEY, --ssl-key; not PWD,
#: not keyserver, and nothing with passive.
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passwrd|pass-?phrase|sshpass|(?<![a-z])pass(?!ive|enger|ed|thr|age)|secret|token"
    r"|(?:api|access|private)[_-]?key|(?<![a-z])key(?![a-z])|[_-]pwd)[\w.-]*"
)

#: A word as a shell reads it. What is cut off at the end has no closing quotation mark.
_VALUE = r"""(?:'[^']*(?:'|$)|"[^"]*(?:"|$)|\\.|[^\s'"\\])+"""

_URLS = [
    # The password of a URL may hold anything; where it is cut off there is no at sign.
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):\S*@", re.IGNORECASE), r"\1:%s@" % MASK),
    # A token instead of a user's name, as services for git take it.
    (re.compile(r"(https?://)[^\s/@:]+@", re.IGNORECASE), r"\1%s@" % MASK),
    # The same without a scheme, as rsync takes it.
    (re.compile(r"(?<![\w/.:@-])([\w.-]+):[^\s/@]+@(?=[\w.\[-])"), r"\1:%s@" % MASK),
]

_CUT_URLS = [
    # Not a port with its path.
    (
        re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*):(?!\d{1,5}/)[^\s@]*$", re.IGNORECASE),
        r"\1:%s" % MASK,
    ),
    # A token, or the name of a host: that shows only behind its at sign.
    (re.compile(r"(https?://)[^\s/@:]+$", re.IGNORECASE), r"\1%s" % MASK),
]

_FLAG = re.compile(r"-{1,2}%s$" % _NAME, re.IGNORECASE)
_PAIR = re.compile(
    r"(-{0,2}%s(?:=|:\s*)|(?:-H\s*)?[\w-]*authorization\s*:\s*(?:\w+\s+)?)(?!//).+" % _NAME,
    re.IGNORECASE | re.DOTALL,
)
_PARAMETER = re.compile(r"([&?]%s=)[^&'\"]+" % _NAME, re.IGNORECASE)
_VERBS = ("pass", "password", "passwd")

#: Text in quotation marks, those of a text within another text too; a list; an object; a number.
_JSON_VALUE = r"""(?:\\+"(?:.*?)(?:\\+"|$)|\\*"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s,}\]"'\[{]+)"""

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

#: Programs whose options are no names: the program, the option, whether the next word is its value,
#: and what stands before the secret in that.
_PROGRAMS = [
    # Its options, and then those of another program.
    (r"sshpass(?:\s+-[vhVe]\S*|\s+-[fdP]\s*\S+)*", r"-p", True, ""),
    # Apart from its option is the name of a database.
    (r"(?:mysql|mariadb)[\w-]*", r"-p", False, ""),
    (r"mongo\w*", r"-p", True, ""),
    (r"redis-cli", r"-a", True, ""),
    (r"ldap\w+", r"-w", True, ""),
    (r"curl", r"(?:-[A-Za-z#]*[uU]|--(?:proxy-)?user(?![\w-]))", True, ":"),
    (r"(?:smb|rpc)client", r"-U", True, "%"),
]


class Option:
    """An option of a program, in a text and among words. Once: what follows its value is another program's."""

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
        """A text without its value."""
        found = self._program_in_text.search(text)
        if not found:
            return text
        rest = text[found.end() :]
        if self.once:
            # It comes next, or not at all.
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
        """What stands before the secret, and a mask for the rest."""
        before, behind, dummy = (
            value.lstrip("'\"").partition(self.behind) if self.behind else ("", "", value)
        )
        return value if self.behind and not behind else before + behind + MASK


_OPTIONS = [Option(*words) for words in _PROGRAMS]

_PROGRAM = re.compile("|".join("(?:%s)" % one.program.pattern for one in _OPTIONS))

#: Without any of these there is nothing to mask. A report may have ten thousand command lines.
_LIKELY = re.compile(r"pass|secret|token|key|pwd|authorization|bearer", re.IGNORECASE)


def mask_urls(text: str) -> str:
    """A text without the credentials of URLs."""
    if "@" in text and ":" in text:
        for pattern, masked in _URLS:
            text = pattern.sub(masked, text)
    return text


def mask_words(text: str, cut: bool = False) -> str:
    """A text without what its form says to be a secret. cut: whether something is missing at its end."""
    text = mask_urls(text)
    if cut and "://" in text:
        for pattern, masked in _CUT_URLS:
            text = pattern.sub(masked, text)
    if _LIKELY.search(text):
        for pattern, masked in _WORDS:
            text = pattern.sub(masked, text)
    if _PROGRAM.search(text):
        for option in _OPTIONS:
            text = option.mask_text(text)
    return text


def mask_command(text: str, cut: bool = False) -> str:
    """A command line, to be shown, without what its form says to be a secret. Where NUL stands between its words, each is looked at as a whole.

    A value goes to the end of its word, blanks included. cut: whether something is missing at its end.
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
        option = next((one for one in _OPTIONS if one.program.fullmatch(name)), option)
    # Masked as a whole once more: a program may take several words for one text.
    return mask_words(" ".join(shown), cut)
