"""The one place that imports numba, chooses compiler flags and starts threads.

No signatures (they would compile at import) and no fastmath (NaN has a meaning), but for the order of a sum. A kernel
and the compiled helpers it calls live in one file, because the cache on disk notices edits in the kernel's own file
only; the intrinsics here are the exception. Where the compiler is off (`NUMBA_DISABLE_JIT=1`) plain functions stand
in for them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, event, types
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("visavis.kernels")

LANES = 64
"""What `reaching` looks at in one step: a bit each of the widest integer."""

# Not told to the type checker by numba.
_config: Any = numba.config
_cgutils: Any = cgutils
_event: Any = event


_WITHOUT_COUNTING: Any = {"_nrt": False}


def serial(function: Callable[P, R]) -> Callable[P, R]:
    """Compile for one thread, without the interpreter's lock; as in NumPy, x / 0 is infinite or NaN."""
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def summing(function: Callable[P, R]) -> Callable[P, R]:
    """As `serial`, but sums may be added up in any order, in several lanes at once; NaN keeps its meaning."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})(function)
    return cast(Callable[P, R], compiled)


def lean(function: Callable[P, R]) -> Callable[P, R]:
    """`serial` for the inner steps of a kernel, called from compiled code only: they allocate nothing, and arrays are
    lent to them. Counting who holds an array, in one step that no thread can split, would take longer than many of them
    take themselves."""
    compiler: Any = numba.njit(cache=True, nogil=True, error_model="numpy", **_WITHOUT_COUNTING)
    return cast(Callable[P, R], compiler(function))


def thread_count() -> int:
    """How many threads model building uses (`NUMBA_NUM_THREADS`, by default one a core)."""
    return int(_config.NUMBA_NUM_THREADS)


def in_threads(work: Callable[[int], None], n_threads: int) -> None:
    """`work(0)` … `work(n_threads − 1)` at once; the first error is raised when all have ended.

    Ordinary threads that run serial kernels: they need none of numba's threading layers, one of which ends the
    process when two threads enter it, so any number of callers may build at the same time.
    """
    if n_threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(n_threads - 1, thread_name_prefix="visavis-kernel") as pool:
        others = [pool.submit(work, number) for number in range(1, n_threads)]
        work(0)
    for other in others:
        other.result()


class _TellOnce(event.Listener):
    """Says when numba compiles, once a process: otherwise a first fit just seems to hang."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def on_start(self, event: Any) -> None:
        if not self._told.is_set():
            self._told.set()
            log.info("compiling kernels, once: later starts load them from the cache")

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


_event.register("numba:compile", _TellOnce())


def _prefetch(_typing: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        function = _cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag]), "llvm.prefetch.p0"
        )
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        # For reading, to be kept in every cache, of data.
        builder.call(function, [address, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


def _fetch_add(_typing: Any, array: Any, amount: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, arguments[1], "monotonic")

    return types.int64(array, types.int64), generate


def _copying(width: int) -> Any:
    def copy(_typing: Any, out: Any, to: Any, source: Any, begin: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            piece = ir.VectorType(ir.IntType(8), width).as_pointer()

            def place(of: int) -> Any:
                data = context.make_array(signature.args[of])(context, builder, arguments[of]).data
                return builder.bitcast(builder.gep(data, [arguments[of + 1]]), piece)

            builder.store(builder.load(place(2), align=1), place(0), align=1)
            return context.get_dummy_value()

        return types.void(out, types.intp, source, types.intp), generate

    return copy


def _copying_plainly(width: int) -> Any:
    def copy(out: Any, to: int, source: Any, begin: int) -> None:
        out[to : to + width] = source[begin : begin + width]

    return copy


def _reaching(_typing: Any, array: Any, place: Any, least: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0].dtype
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lanes = ir.VectorType(context.get_data_type(kind), LANES)
        nothing, first = ir.Constant(lanes, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), lanes.as_pointer())
        values = builder.load(address, align=kind.bitwidth // 8)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        limit = builder.shuffle_vector(builder.insert_element(nothing, arguments[2], first), nothing, everywhere)
        compare = builder.icmp_signed if kind.signed else builder.icmp_unsigned
        return builder.bitcast(compare(">=", values, limit), ir.IntType(LANES))

    return types.uint64(array, place, array.dtype), generate


def _largest(_typing: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0].dtype
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        number = context.get_data_type(kind)
        lanes = ir.VectorType(number, LANES)
        name = f"llvm.vector.reduce.{'smax' if kind.signed else 'umax'}.v{LANES}i{kind.bitwidth}"
        function = _cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [lanes]), name)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), lanes.as_pointer())
        return builder.call(function, [builder.load(address, align=kind.bitwidth // 8)])

    return array.dtype(array, place), generate


def _lowest_bit(_typing: Any, bits: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


def _bit_count(_typing: Any, bits: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def _prefetch_plainly(array: Any, index: Any) -> None:
    pass


def _fetch_add_plainly(array: Any, amount: int) -> int:
    before = int(array[0])
    array[0] = before + amount
    return before


def _reaching_plainly(array: Any, place: Any, least: Any) -> Any:
    return np.packbits(array[place : int(place) + LANES] >= least, bitorder="little").view(np.uint64)[0]


def _largest_plainly(array: Any, place: Any) -> Any:
    return array[place : int(place) + LANES].max()


def _lowest_bit_plainly(bits: Any) -> Any:
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


def _bit_count_plainly(bits: Any) -> Any:
    return np.uint64(int(bits).bit_count())


prefetch: Callable[..., None] = _prefetch_plainly if _config.DISABLE_JIT else intrinsic(_prefetch)
"""`prefetch(array, index)`: ask for the cache line of `array[index]`; the index must lie in the array."""

fetch_add: Callable[..., int] = _fetch_add_plainly if _config.DISABLE_JIT else intrinsic(_fetch_add)
"""`fetch_add(counter int64 [1], amount)`: add in one step that no thread can split; answers what was there before."""

copy_4, copy_8, copy_16 = (
    _copying_plainly(width) if _config.DISABLE_JIT else intrinsic(_copying(width)) for width in (4, 8, 16)
)
"""`copy_8(out, to, source, begin)`: 8 bytes at once, from one array of bytes to another; all must lie in them."""

reaching: Callable[..., np.uint64] = _reaching_plainly if _config.DISABLE_JIT else intrinsic(_reaching)
"""`reaching(array, place, least)`: bit n tells whether `array[place + n] >= least`, for `LANES` integers at once."""

largest: Callable[..., np.int32] = _largest_plainly if _config.DISABLE_JIT else intrinsic(_largest)
"""`largest(array, place)`: of the `LANES` integers from `array[place]` on."""

lowest_bit: Callable[..., np.uint64] = _lowest_bit_plainly if _config.DISABLE_JIT else intrinsic(_lowest_bit)
"""Which is the lowest bit that is set; of 0 nothing is told."""

bit_count: Callable[..., np.uint64] = _bit_count_plainly if _config.DISABLE_JIT else intrinsic(_bit_count)
"""How many bits are set."""

__all__ = [
    "LANES",
    "bit_count",
    "copy_4",
    "copy_8",
    "copy_16",
    "fetch_add",
    "in_threads",
    "largest",
    "lean",
    "lowest_bit",
    "prefetch",
    "reaching",
    "serial",
    "summing",
    "thread_count",
]
