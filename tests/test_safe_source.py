"""Nothing in the project runs what it reads: every file's syntax tree is searched for ways to do so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "cyclegan").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])

FORBIDDEN = re.compile(
    r"""
      (pickle|cPickle|_pickle|dill|cloudpickle|marshal)\.(load|loads|Unpickler)
    | joblib\.load | shelve\..* | pandas\.read_pickle
    | yaml\.(load|load_all|unsafe_load|unsafe_load_all|full_load|full_load_all|Loader|UnsafeLoader|FullLoader)
    | builtins\.(eval|exec|compile|__import__)
    | os\.(system|popen)
    | torch\.hub(\.(?!get_dir$).*)? | torch\.jit\.load | torch\.package(\..*)?
    | shutil\.unpack_archive
    """,
    re.VERBOSE,
)
OBJECT_COLLECTIVES = re.compile(r"(all_gather|gather|broadcast|scatter|send|recv)_object(_list)?")  # they unpickle
BUILTINS = {"eval", "exec", "compile", "__import__"}


def unsafe(source: str) -> list[str]:
    """Every way in a module to run what a file says, as "line: name"."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    names = {  # what each imported name stands for
        alias.asname or (alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]): full
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for full in [_imported(node, alias)]
    }
    checked = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _torch_load_is_safe(node, names)}
    found = []
    for node in nodes:
        told = ""
        match node:
            case ast.ImportFrom():
                told = next((full for alias in node.names if _forbidden(full := f"{node.module}.{alias.name}")), "")
            case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                name = _dotted(node, names)
                told = name if _forbidden(name) or (name == "torch.load" and id(node) not in checked) else ""
            case ast.Call():
                told = _unsafe_keywords(node, names)
        found += [f"{node.lineno}: {told}"] if told else []  # type: ignore[attr-defined]  # every such node has a line
    return found


def _imported(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if isinstance(node, ast.ImportFrom):
        return f"{node.module}.{alias.name}"
    return alias.name if alias.asname else alias.name.split(".")[0]


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    """`pickle.load` for `load` after `from pickle import load`, and so on; of an expression, its last attributes."""
    match node:
        case ast.Attribute():
            return f"{_dotted(node.value, names)}.{node.attr}"
        case ast.Name():
            return names.get(node.id, f"builtins.{node.id}" if node.id in BUILTINS else node.id)
    return ""


def _forbidden(name: str) -> bool:
    return bool(FORBIDDEN.fullmatch(name) or OBJECT_COLLECTIVES.fullmatch(name.split(".")[-1]))


def _torch_load_is_safe(call: ast.Call, names: dict[str, str]) -> bool:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return _dotted(call.func, names) == "torch.load" and _is(given.get("weights_only"), True)


def _unsafe_keywords(call: ast.Call, names: dict[str, str]) -> str:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    extracts = _dotted(call.func, names).split(".")[-1] in ("extract", "extractall")
    if extracts and "filter" not in given and any(full.startswith("tarfile") for full in names.values()):
        return "tarfile without a filter"
    words = ("allow_pickle", "shell", "trust_remote_code")
    return next((word for word in words if word in given and not _is(given[word], False)), "")


def _is(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_nothing_in_the_project_runs_what_it_reads() -> None:
    assert len(SOURCES) > 40
    found = {str(path.relative_to(ROOT)): unsafe(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(b)",
        "from pickle import loads",
        "from pickle import Unpickler as U\nU(f)",
        "import marshal\nmarshal.loads(b)",
        "import shelve\nshelve.open(p)",
        "import dill\nmap(dill.loads, parts)",
        "import joblib\njoblib.load(p)",
        "import torch\ntorch.load(p)",
        "import torch\ntorch.load(p, weights_only=False)",
        "import torch\ntorch.load(p, weights_only=safe)",
        "from torch import load\nload(p)",
        "import torch\nread = torch.load",
        "import torch\ntorch.hub.load('a', 'b')",
        "from torch import hub",
        "import torch\ntorch.jit.load(p)",
        "import yaml\nyaml.load(t, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(t)",
        "import yaml\nyaml.full_load(t)",
        "from yaml import Loader",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "eval(t)",
        "exec(t)",
        "compile(t, 'x', 'exec')",
        "__import__(t)",
        "import subprocess\nsubprocess.run(t, shell=True)",
        "import os\nos.system(t)",
        "from os import popen",
        "import torch.distributed as dist\ndist.broadcast_object_list(o)",
        "from torch.distributed import all_gather_object",
        "import torch\ntorch.distributed.gather_object(o)",
        "import tarfile\ntarfile.open(p).extractall(q)",
        "import shutil\nshutil.unpack_archive(p)",
    ],
)
def test_each_way_to_run_what_a_file_says_is_found(source: str) -> None:
    assert unsafe(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p, weights_only=True)",
        "import pickle\ntry: f()\nexcept pickle.UnpicklingError: pass",
        "import yaml\nyaml.safe_load(t)",
        "import re, torch\nre.compile(t); torch.compile(network); network.eval()",
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "import subprocess\nsubprocess.run(['ls'])",
        "import tarfile\ntarfile.open(p).extractall(q, filter='data')",
        "from zipfile import ZipFile\nZipFile(p).extractall(q)",
        "import torch.distributed as dist\ndist.all_reduce(t)",
    ],
)
def test_what_runs_nothing_is_let_pass(source: str) -> None:
    assert not unsafe(source)
