"""Fuzzes one target guided by coverage: `python -m tests.fuzz TARGET SECONDS`; without arguments it names the targets.

Needs atheris, which `make fuzz` installs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".fuzz")  # what this run learned, and what it broke on; `make clean` forgets it


def main(name: str, seconds: str) -> None:
    """Fuzz for a while; a case that breaks the target ends the run and stays in `.fuzz/`."""
    with atheris.instrument_imports(include=["mailbridge"]):
        from tests.fuzz.targets import TARGETS, WORDS

    learned = FOUND / name
    learned.mkdir(parents=True, exist_ok=True)
    words = FOUND / f"{name}.dict"
    words.write_text("".join('"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n' for word in WORDS[name]))
    options = [
        f"-max_total_time={seconds}",
        f"-dict={words}",
        f"-artifact_prefix={FOUND / name}-",
        "-timeout=10",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(learned), str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        from tests.fuzz.targets import TARGETS

        print(*TARGETS, sep="\n")
