"""The entrants of the overhead benchmark, one file each; only their own subprocess imports them."""

from __future__ import annotations
