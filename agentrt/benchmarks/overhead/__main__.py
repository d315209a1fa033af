"""``python -m agentrt.benchmarks.overhead``."""

from __future__ import annotations

import sys

from agentrt.benchmarks.overhead.command import main

sys.exit(main())
