# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that every test host has, and their rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Password of `secret`, for login and for sudo. It is made up for test hosts, and used nowhere
#: else.
PASSWORD = "hunter2-battery-staple"

#: sha512-crypt of PASSWORD, made once with `openssl passwd -6`: Python 3.13 has no crypt module.
PASSWORD_HASH = "$6$testhosts$1pA3.j8e32I6JouU65ejk5Y5HooA1Dr74Y1CxXJGsHb4vmvVW3BUaILMPu4WAsO9o3et5IT6BNwXbNXNdVs690"  # noqa: E501


@dataclass(frozen=True)
class Account:
    """One account.

    Its gid is its uid. It has a password, or none. `sudo` is what sudo allows it.
    """

    name: str
    uid: int
    password: str | None = None
    sudo: Literal["none", "password", "nopasswd"] = "none"

    @property
    def home(self) -> str:
        """Home directory on the host."""
        return "/root" if self.uid == 0 else f"/home/{self.name}"


ROOT = Account("root", 0, sudo="nopasswd")
ANSIBLE = Account("ansible", 64101, sudo="nopasswd")
SECRET = Account("secret", 64102, password=PASSWORD, sudo="password")
LIMITED = Account("limited", 64103)
OTHER = Account("other", 64104)

#: Each account logs in with the key of the lab; `secret` also with its password.
ACCOUNTS: dict[str, Account] = {
    account.name: account for account in (ROOT, ANSIBLE, SECRET, LIMITED, OTHER)
}
