"""The package's own names as they are now: a program's tests may have put something else in place of `socket`."""

import sys
from typing import Any

# Every name that programs patch is looked up here, at the moment when it is used.
names: dict[str, Any] = vars(sys.modules["mailbridge.smtplib"])
