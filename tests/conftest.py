"""What all tests share: how hypothesis runs."""

import os

from hypothesis import settings

# A busy machine is slow, not wrong: no deadline anywhere. In CI a red run must be red again for the next reader.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
