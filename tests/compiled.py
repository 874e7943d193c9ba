"""A pytest plugin: the modules that pyproject.toml lists are machine code in the process that runs the tests.

`make compiled` names it (`-p tests.compiled`), so that no run counts as one of machine code that was none.
`python -m tests.compiled` says the same without a test.
"""

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def listed() -> list[str]:
    """The files that mypyc makes machine code of, from the project's folder."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files: list[str] = config["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return files


def is_compiled(file: str) -> bool:
    """Whether Python finds machine code for it, in this folder and in no other."""
    module = import_module(file.removesuffix(".py").replace("/", "."))
    found = Path(module.__file__ or "")
    return found.suffix == ".so" and found.is_relative_to(ROOT)


def summary() -> str:
    """How many there are.

    Raises:
        pytest.UsageError: A module of the list is Python, or there is no list.
    """
    files = listed()
    python = [file for file in files if not is_compiled(file)]
    if python or not files:
        raise pytest.UsageError(f"no machine code here: {', '.join(python) or 'none is listed'}")
    return f"machine code: all {len(files)} modules that pyproject.toml lists"


def pytest_configure(config: pytest.Config) -> None:
    """Begin nothing with another mailbridge; xdist's workers look for themselves."""
    summary()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{summary()}\n")
    except pytest.UsageError as error:
        sys.exit(str(error))
