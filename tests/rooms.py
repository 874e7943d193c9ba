"""Who may stand where: the house of DESIGN.md, read from the source alone.

`survey` reads a tree; every other public function looks at what it found and returns its complaints, one line each.
Nothing of the tree is imported, so a planted violation in a temporary folder is judged like the real thing.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CORE = "mailbridge"
FRAMEWORKS = {"mailbridge_django": "django", "mailbridge_flask": "flask"}
PACKAGES = (CORE, *FRAMEWORKS)
FOLDERS = (*PACKAGES, "example_project", "tests")

# From the ground up. An import runs down, or to the left on its own floor, or stays inside its own package.
# A name stands for the module or for the whole package; the longest name that fits decides.
_POOLS = ("processes", "lending", "lane", "batch", "pool", "pools", "__init__")
FLOORS = (
    ("compiling", "facts", "limits", "replies", "receipts", "pooling"),
    ("errors", "capabilities"),
    (
        "addresses",
        "wire",
        "auth",
        "parameters",
        "commands",
        "header",
        "content",
        "files",
        "serialising",
        "message",
        "preparing",
        "staging",
        "urls",
        "timeouts",
        "server",
        "transcript",
        "logs",
        "tls",
        "exchanges",
    ),
    ("states", "standing", "protocol"),
    ("conversations",),
    ("dialling", "translation", "sockets", "sync", "asyncio"),
    tuple(f"{driver}.{module}" for driver in ("sync", "asyncio") for module in _POOLS),
    ("smtplib", "check"),
    # The roof: the front door, and those who come in by it.
    ("__init__",),
    ("testing", "__main__"),
)

# Which floors and rooms may name a module of the standard library. `testing` may name them all.
ROOMS: dict[str, tuple[set[int], set[str]]] = {
    "socket": ({6, 8}, set()),
    "select": ({6, 8}, set()),
    "selectors": ({6, 8}, set()),
    "ssl": ({6, 8}, {"tls"}),
    "time": ({6, 7, 8}, set()),
    "threading": ({6, 7, 8}, {"tls"}),
    "asyncio": (set(), {"asyncio"}),
}
CLOCKS = re.compile(r"\b(datetime|date)\.(now|utcnow|today)$")
DATE_HEADER = re.compile(r"\b(formatdate|localtime|make_msgid)$")

MODULE_LINES = 400
FUNCTION_LINES = 40

DIRECTIVE = re.compile(
    r"(type|pyright):\s*ignore(\[[^\]]*\])?"
    r"|noqa(:\s*[A-Z]+\d+(,?\s*[A-Z]+\d+)*)?"
    r"|pragma:(\s*no\s*(cover|branch))?"
)
PRIVATE = re.compile(r"_(?!_)")
WORD = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True)
class Import:
    """One imported thing: `target` is its full dotted path, `name` what the module calls it."""

    target: str
    name: str
    line: int
    only_for_types: bool


@dataclass(frozen=True)
class Module:
    """One source file, with its dotted name (`mailbridge.sync.__init__` for a package's own file)."""

    root: Path
    path: Path

    @cached_property
    def name(self) -> str:
        return ".".join(self.path.relative_to(self.root).with_suffix("").parts)

    @cached_property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self))

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(self.root).as_posix()}:{line}:"


def survey(root: Path) -> list[Module]:
    """Every source file of the project under `root`."""
    return [Module(root, path) for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]


def _imports(module: Module) -> Iterator[Import]:
    for_types = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                yield Import(alias.name, name, node.lineno, id(node) in for_types)
        elif isinstance(node, ast.ImportFrom):
            above = module.name.split(".")[: -node.level] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(f"{source}.{alias.name}", alias.asname or alias.name, node.lineno, id(node) in for_types)


def _module_of(root: Path, target: str) -> str:
    """The module that `target` names or stands in: `mailbridge.errors.X` is in `mailbridge.errors`."""
    parts = target.split(".")
    for length in range(len(parts), 0, -1):
        path = root.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file():
            return ".".join(parts[:length])
        if path.is_dir() and length >= len(parts) - 1:
            return ".".join([*parts[:length], "__init__"])
    return target


def _room(module: str) -> str | None:
    """The name in FLOORS under which a module of the core stands."""
    rooms = {room for floor in FLOORS for room in floor}
    parts = module.split(".")[1:]
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms), None)


def _place(room: str) -> tuple[int, int]:
    """The floor of a room, from 1, and how far to the right it stands."""
    return next((number, floor.index(room)) for number, floor in enumerate(FLOORS, 1) if room in floor)


def room_of(module: Module) -> str | None:
    """Where a module of the core stands; None for the others and for those without a floor."""
    return _room(module.name) if module.package == CORE else None


def _core(modules: Sequence[Module]) -> Iterator[tuple[Module, str]]:
    """The modules of the core that have a room, with it."""
    for module in modules:
        if room := room_of(module):
            yield module, room


def homeless(modules: Sequence[Module]) -> list[str]:
    """Modules of the core that DESIGN.md gives no floor."""
    return [
        f"{module.at(1)} {module.name} stands on no floor: give it one in tests/rooms.py"
        for module in modules
        if module.package == CORE and room_of(module) is None
    ]


def upward_imports(modules: Sequence[Module]) -> list[str]:
    """Imports of the core that run up a floor, or to the right on their own."""
    complaints = []
    for module, room in _core(modules):
        for found in module.imports:
            target = _module_of(module.root, found.target)
            other = _room(target) if target.partition(".")[0] == CORE else None
            if other is not None and not _is_at_hand(other, room):
                complaints.append(f"{module.at(found.line)} {room} imports {other}, which is not below it")
    return complaints


def _is_at_hand(other: str, room: str) -> bool:
    """Whether `room` may import `other`: from below, from the left, from its own package on its own floor."""
    (floor, bay), (other_floor, other_bay) = _place(room), _place(other)
    same_package = other.partition(".")[0] == room.partition(".")[0]
    return other_floor < floor or (other_floor == floor and (same_package or other_bay < bay))


def circles(modules: Sequence[Module]) -> list[str]:
    """Imports that come back to where they began, lazy ones and those for types included."""
    graph = {
        module.name: {_module_of(module.root, found.target) for found in module.imports} - {module.name}
        for module in modules
        if module.package in PACKAGES
    }
    complaints, done = [], set[str]()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            complaints.append("an import circle: " + " -> ".join([*trail[trail.index(name) :], name]))
        elif name not in done:
            for target in sorted(graph.get(name, ())):
                walk(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())
    return complaints


def strangers(modules: Sequence[Module]) -> list[str]:
    """Sockets, TLS, threads, clocks and asyncio outside their rooms."""
    complaints = []
    for module, room in _core(modules):
        for found in module.imports:
            top = found.target.partition(".")[0]
            if top in ROOMS and not found.only_for_types and not _may_name(room, top):
                complaints.append(f"{module.at(found.line)} {room} must not name {top}")
        complaints += [f"{module.at(line)} {room} must not ask {clock}" for clock, line in _clocks(module, room)]
    return complaints


def _may_name(room: str, library: str) -> bool:
    floors, rooms = ROOMS[library]
    top = room.partition(".")[0]
    return top == "testing" or top in rooms or _place(room)[0] in floors


def _clocks(module: Module, room: str) -> Iterator[tuple[str, int]]:
    """Calls that ask what time it is, where no clock may stand. Date and Message-ID are written in `header`."""
    if _may_name(room, "time"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if CLOCKS.search(called) or (DATE_HEADER.search(called) and room != "header"):
                yield called, node.lineno


def hidden_doors(modules: Sequence[Module]) -> list[str]:
    """Names at the front door that would hide our `smtplib` and `asyncio` behind the standard ones."""
    complaints = []
    for module in modules:
        if module.name == f"{CORE}.__init__":
            stores = [node for node in ast.walk(module.tree) if isinstance(node, ast.Name)]
            bound = [(node.id, node.lineno) for node in stores if isinstance(node.ctx, ast.Store)]
            bound += [(found.name, found.line) for found in module.imports]
            complaints += [
                f"{module.at(line)} {CORE} must not bind the name {name}"
                for name, line in bound
                if name in {"smtplib", "asyncio"}
            ]
    return complaints


def trespassers(modules: Sequence[Module]) -> list[str]:
    """The core naming a framework, a framework naming the other one or a private thing of the core."""
    everybody = {*FRAMEWORKS, *FRAMEWORKS.values(), "blinker"}
    complaints = []
    for module in modules:
        if module.package not in PACKAGES:
            continue
        own = {module.package, FRAMEWORKS.get(module.package), *({"blinker"} if module.package != CORE else ())}
        for found in module.imports:
            top, *rest = found.target.split(".")
            if top in everybody - own:
                complaints.append(f"{module.at(found.line)} {module.package} must not know {top}")
            elif top == CORE != module.package and any(PRIVATE.match(part) for part in rest):
                complaints.append(f"{module.at(found.line)} {found.target} is private to {CORE}")
    return complaints


def busy_doors(modules: Sequence[Module]) -> list[str]:
    """A framework's `__init__.py` that does more than import and say `__all__`."""
    return [
        f"{module.at(node.lineno)} {module.name} defines something: it may only import"
        for module in modules
        if module.name in {f"{package}.__init__" for package in FRAMEWORKS}
        for node in module.tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    ]


def loose_settings(modules: Sequence[Module]) -> list[str]:
    """`settings` said outside `conf.py`, `current_app` said outside `extension.py` and `cli.py`."""
    complaints = []
    for module in modules:
        if module.package == "mailbridge_django" and module.path.name != "conf.py":
            complaints += [
                f"{module.at(found.line)} only conf.py says django.conf"
                for found in module.imports
                if f"{found.target}.".startswith("django.conf.")
            ]
        if module.package == "mailbridge_flask" and module.path.name not in {"extension.py", "cli.py"}:
            complaints += [
                f"{module.at(line)} only extension.py and cli.py say current_app"
                for name, line in _names(module)
                if name == "current_app"
            ]
    return complaints


def _names(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
    for found in module.imports:
        yield found.target.rpartition(".")[2], found.line


def giants(modules: Sequence[Module]) -> list[str]:
    """Modules over 400 lines anywhere, and in the packages functions over 40, their docstring not counted."""
    complaints = []
    for module in modules:
        if (lines := len(module.text.splitlines())) > MODULE_LINES:
            complaints.append(f"{module.at(1)} {lines} lines, more than {MODULE_LINES}")
        if module.package in PACKAGES:
            complaints += [
                f"{module.at(node.lineno)} {node.name}() has {size} lines, more than {FUNCTION_LINES}"
                for node in ast.walk(module.tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (size := _length(node)) > FUNCTION_LINES
            ]
    return complaints


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if ast.get_docstring(node) is not None else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def silent_exceptions(modules: Sequence[Module]) -> list[str]:
    """A `type: ignore`, `noqa` or `pragma` that gives no reason on its line."""
    return [
        f"{module.at(token.start[0])} say why: {token.string}"
        for module in modules
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type == tokenize.COMMENT
        and DIRECTIVE.search(token.string)
        and not WORD.search(DIRECTIVE.sub("", token.string))
    ]


def unspoken_tests(modules: Sequence[Module]) -> list[str]:
    """A test without the one sentence that says what it shows."""
    return [
        f"{module.at(node.lineno)} {node.name} has no docstring"
        for module in modules
        if module.package == "tests"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]


CHECKS = (
    homeless,
    upward_imports,
    circles,
    strangers,
    hidden_doors,
    trespassers,
    busy_doors,
    loose_settings,
    giants,
    silent_exceptions,
    unspoken_tests,
)
