"""Rules that hold for all kernels: pairs, homes, flags, and what happens with threads or without the compiler."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.kernels import _best, _co_rated, _top_k, _weights, layout, products, scores

HERE = Path(__file__).parent
SOURCES = sorted(Path(kernels.__file__).parent.glob("*.py"))
COMPILERS = {"serial", "summing", "lean"}
INTRINSICS = {
    "prefetch", "fetch_add", "copy_4", "copy_8", "copy_16", "reaching", "largest", "lowest_bit", "bit_count",
}  # fmt: skip


def compiled_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id in COMPILERS for d in node.decorator_list)
    ]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, timeout=300, env=os.environ | environment, check=False,
    )  # fmt: skip


def test_every_kernel_has_a_twin_and_every_twin_a_kernel() -> None:
    assert sorted(kernels.__all__) == sorted(reference.__all__)
    for name in kernels.__all__:
        if inspect.isclass(getattr(kernels, name)):
            continue
        own, twin = inspect.signature(getattr(kernels, name)), inspect.signature(getattr(reference, name))
        assert [(p.name, p.kind, p.default) for p in own.parameters.values()] == [
            (p.name, p.kind, p.default) for p in twin.parameters.values()
        ], name


@pytest.mark.parametrize("name", [name for name in kernels.__all__ if not inspect.isclass(getattr(kernels, name))])
def test_every_kernel_is_compared_with_its_twin(name: str) -> None:
    tests = [
        node
        for path in sorted(HERE.glob("test_*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and "twin" in node.name
    ]
    calls = [
        {
            f"{call.func.value.id}.{call.func.attr}"
            for call in ast.walk(test)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
        }
        for test in tests
    ]
    assert any({f"kernels.{name}", f"reference.{name}"} <= made for made in calls)


def test_every_public_function_of_a_module_is_public_in_the_package() -> None:
    public = [
        name
        for path in SOURCES
        if not path.stem.startswith("_")
        for name in importlib.import_module(f"visavis.kernels.{path.stem}").__all__
    ]
    assert sorted(public) == sorted(kernels.__all__) == sorted(kernels._HOMES)
    assert set(kernels.__all__) <= set(dir(kernels))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_numba_is_imported_and_flags_are_chosen_in_one_place(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert any((name or "").startswith("numba") for name in imported) == (path.stem == "_jit")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_kernel_calls_only_compiled_functions_of_its_own_file(path: Path) -> None:
    """numba's cache on disk does not notice edits to a helper in another file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compiled = compiled_functions(tree)
    own = {function.name for function in compiled}
    allowed = own | INTRINSICS | {"abs", "float", "int", "len", "max", "min", "range"}
    for function in compiled:
        called = {n.func.id for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert called <= allowed, function.name
        assert function.name.startswith("_")


@pytest.mark.parametrize(
    ("modules", "name"),
    [((_co_rated, scores, products), name) for name in ("_sift_down", "_keep", "_best_first")]
    + [((_top_k, _best), name) for name in ("_reached", "_log_likelihood")]
    + [((_weights, layout), "_mean")],
)
def test_what_is_written_twice_is_the_same_twice(modules: tuple[ModuleType, ...], name: str) -> None:
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    found = [[ast.unparse(f) for f in compiled_functions(tree) if f.name == name] for tree in trees]
    assert len(found[0]) == 1
    assert all(one == found[0] for one in found)


def test_importing_the_package_does_not_load_numba() -> None:
    code = (
        "import sys; from visavis import kernels; dir(kernels); assert 'numba' not in sys.modules; "
        "kernels.build_csr; assert 'numba' in sys.modules"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'cosine'"):
        kernels.cosine  # noqa: B018


TWO_THREADS = """
import threading
import numpy as np
from visavis import kernels

rng = np.random.default_rng(1)
rows, columns = rng.integers(0, 200, 3000), rng.integers(0, 60, 3000)
matrix = kernels.build_csr(rows, columns, rng.random(3000), 200, 60)
expected = kernels.cosine_top_k(*matrix, 60, 5)[1], kernels.adjusted_cosine_top_k(*matrix, 60, 5, reading="co_rated")[1]
failed = []

def work(number):
    for _ in range(30):
        if number % 2:
            right = np.array_equal(kernels.cosine_top_k(*matrix, 60, 5)[1], expected[0])
        else:
            answer = kernels.adjusted_cosine_top_k(*matrix, 60, 5, reading="co_rated")[1]
            right = np.array_equal(answer, expected[1])
        if not right:
            failed.append(number)

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
"""


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_kernels_that_use_all_cores_may_be_called_from_several_threads(layer: str) -> None:
    """numba's fallback layer, workqueue, ends the process when two threads enter parallel code at once."""
    done = run(TWO_THREADS, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


def test_the_first_compilation_is_told_once() -> None:
    code = (
        "import logging, sys; import numpy as np; from visavis import kernels; "
        "logging.basicConfig(level=logging.INFO, stream=sys.stdout, format='%(name)s: %(message)s'); "
        "kernels.place_rows; kernels.build_csr(*np.zeros((2, 1), np.int32), np.ones(1), 1, 1); "
        "kernels.item_layout(np.array([0, 1]), np.zeros(1, np.int32), None, 1)"
    )
    with tempfile.TemporaryDirectory() as cache:
        first, second = run(code, NUMBA_CACHE_DIR=cache), run(code, NUMBA_CACHE_DIR=cache)
    assert first.stdout.splitlines() == [
        "visavis.kernels: compiling kernels, once: later starts load them from the cache"
    ], first.stderr
    assert (second.stdout, second.returncode) == ("", 0), second.stderr


def test_kernels_equal_their_twins_without_the_compiler() -> None:
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        pytest.skip("the compiler is off already")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE), "-q", "-p", "no:cacheprovider", "-k", "like_its or like_their"],
        capture_output=True, text=True, timeout=300, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=False,
        cwd=HERE.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
