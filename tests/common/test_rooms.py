"""The layers of the package: which folder may import which."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from conftest import PROJECT

# Imports only go down this list, or stay in a folder
ROOMS = ("sample", "page", "inference", "sharing", "training", "evaluation", "data", "common")
MAY_IMPORT = ("train", "model")  # of scripts: model.py is layers alone, of which train.py builds its networks


def complaints(root):
    """What is wrong with the imports of the project in `root`: a list of texts."""
    scripts = {path.stem: path for path in root.glob("*.py")}
    package = {
        ".".join(path.relative_to(root).with_suffix("").parts): path
        for path in (root / "first_impression").rglob("*.py")
    }
    found = []
    for name, path in scripts.items():
        for other in imports(path, name, scripts) - {name}:
            if (name, other) != MAY_IMPORT:
                found.append(f"the script {name} imports the script {other}")
    beside = {}  # what each module imports of its own room
    for name, path in package.items():
        found += [f"{name} imports the script {other}" for other in imports(path, name, scripts)]
        room, others = room_of(name), imports(path, name, package)
        beside[name] = {other for other in others if room_of(other) == room}
        if room not in ROOMS and (others or name != "first_impression.__init__"):
            found.append(f"{name} is in no room")
        for other in others if room in ROOMS else ():
            if room_of(other) not in ROOMS[ROOMS.index(room) :]:
                found.append(f"{name} imports {other}, which is above it")
    try:
        TopologicalSorter(beside).prepare()
    except CycleError as error:
        found.append(f"a cycle: {' -> '.join(error.args[1])}")
    return found


def room_of(name):
    """The room of a module of the package; "" for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 2 else ""


def imports(path, name, known):
    """The `known` modules that the file of the module `name` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            origin = ".".join(base + (node.module.split(".") if node.module else []))
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    found |= {f"{module}.__init__" for module in found}
    return found & known.keys()


def test_imports_go_down_and_no_script_is_imported():
    assert complaints(PROJECT) == []
