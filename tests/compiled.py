"""The modules that pyproject.toml lists for mypyc: what they must not hold, and whether they are machine code here.

It is a pytest plugin, too. `make compiled` names it (`-p tests.compiled`), so that no run counts as one of machine code
that was none; `python -m tests.compiled` says the same without a test.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

from tests.rooms import Module

ROOT = Path(__file__).parent.parent
# A signal is heard where Python's interpreter enters a function: this one is there for that.
INTERPRETED = "mailbridge/sockets/signals.py"


def listed(root: Path = ROOT) -> list[str]:
    """The files that mypyc makes machine code of, from the project's folder."""
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    files: list[str] = config["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return files


def lost_on_mypyc(modules: Sequence[Module]) -> list[str]:
    """What a module of the list means in Python and not as machine code; and a module that is not there."""
    root = modules[0].root
    by_name = {module.path.relative_to(root).as_posix(): module for module in modules}
    complaints = (
        [f"pyproject.toml: {INTERPRETED} as machine code hears no signal"] if INTERPRETED in listed(root) else []
    )
    for name in listed(root):
        if module := by_name.get(name):
            complaints += [f"{module.at(line)} {why}" for line, why in _lost(module)]
        else:
            complaints.append(f"pyproject.toml: mypyc shall compile {name}, which is not there")
    return complaints


def _lost(module: Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Raise) and node.cause is not None:
            yield node.lineno, "mypyc forgets what an error comes from: set its __cause__ before it is raised"
        # Without bases it may have them; below Generic, ABC and their like it cannot even be imported.
        if (
            isinstance(node, ast.ClassDef)
            and node.bases
            and "slots=True" in "".join(map(ast.unparse, node.decorator_list))
        ):
            yield node.lineno, f"{node.name} has bases: compiled it cannot have slots=True, and needs it not"


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
