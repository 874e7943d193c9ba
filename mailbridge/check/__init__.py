"""The doctor's engine: what works between here and a server, step by step, and what to change where something does not.

`python -m mailbridge check` and the commands of both frameworks wrap it.
"""

from .diagnosis import Diagnosis, Step
from .examining import diagnose

__all__ = ["Diagnosis", "Step", "diagnose"]
