"""What all tests share: how hypothesis runs."""

import os

from hypothesis import settings

# A busy machine is slow, not wrong: no deadline anywhere. In CI a red run must be red again for the next reader.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# `make fuzz`: many times more, for those tests that take a share of it.
settings.register_profile("fuzz", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "20000")))
settings.load_profile("ci" if os.environ.get("CI") else "here")
