"""The layers of the package: which folder may import which."""

import ast
from graphlib import TopologicalSorter

from conftest import PROJECT

LAYERS = ("sample", "page", "inference", "sharing", "training", "evaluation", "data", "common")  # imports go down only
SCRIPTS = {path.stem: path for path in PROJECT.glob("*.py")}
MODULES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts): path
    for path in (PROJECT / "first_impression").rglob("*.py")
    if path.stem != "__init__"
}


def imports(path):
    """The names of all modules that a file imports anywhere in it, those of their attributes among them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module):
    return LAYERS.index(module.split(".")[1])


def test_imports_go_down_without_a_cycle():
    graph = {name: imports(path) & MODULES.keys() for name, path in MODULES.items()}
    assert not [(name, other) for name, others in graph.items() for other in others if layer(other) < layer(name)]
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_model_is_the_only_script_that_others_import():
    """model.py holds layers alone; train.py builds its networks from them, check_data.py one to measure the machine."""
    found = {(name, other) for name, path in (SCRIPTS | MODULES).items() for other in imports(path) & SCRIPTS.keys()}
    assert found == {("train", "model"), ("check_data", "model")}
