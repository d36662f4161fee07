# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each scenario passes, from the creation of its hosts to their removal, and leaves none behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment._paths import CACHE, ROOT
from tests.environment._setup import locked
from tests.hosts import kinds
from tests.hosts.lab import labs
from tests.hosts.programs import call
