"""What a build as machine code lacks here, in words; and nothing of it stays in the sources.

Hatchling runs this beside hatch-mypyc, where somebody asks for it: HATCH_BUILD_HOOKS_ENABLE=1 (see pyproject.toml).
"""

import os
import shlex
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Workshop(BuildHookInterface):
    """Looks round before hatch-mypyc begins, and sweeps when the wheel is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """End the build where it could not succeed."""
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
        headers = Path(sysconfig.get_path("include"), "Python.h")
        missing = [] if shutil.which(compiler) else [f"a C compiler ({compiler})"]
        missing += [] if headers.exists() else [f"Python's headers ({headers})"]
        if missing:
            self.app.abort(
                f"mailbridge cannot be compiled here, missing: {' and '.join(missing)}. "
                "On Debian or Ubuntu: apt-get install gcc libc6-dev python3-dev. "
                "Without HATCH_BUILD_HOOKS_ENABLE it is pure Python and needs none of them."
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Take away what was compiled in place: Python would prefer it to each later edit of a source.

        An editable installation is these files and keeps them.
        """
        if version != "editable":
            root = Path(self.root)
            for left in (*root.glob("*__mypyc.*.so"), *root.glob("mailbridge/**/*.so")):
                left.unlink()
