"""Columns handed to DuckDB as an Arrow stream: the C data interface and the capsule protocol, in plain ctypes.

DuckDB reads the arrays where they are; no library of Arrow is needed. Texts go in as one buffer with the places of
their ends, at a third of the cost of a parameter that is split inside DuckDB, and without what a parameter costs (for
each, DuckDB looks twice for pandas on the whole path).
The specification: Apache Arrow, "The Arrow C data interface", "The Arrow C stream interface", "The Arrow PyCapsule
Interface".
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visavis.store.texts import Texts

_Pointer = ctypes.c_void_p


class _Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", _Pointer),
        ("dictionary", _Pointer),
        ("release", _Pointer),
        ("private_data", _Pointer),
    )


class _Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", _Pointer),
        ("children", _Pointer),
        ("dictionary", _Pointer),
        ("release", _Pointer),
        ("private_data", _Pointer),
    )


class _Stream(ctypes.Structure):
    _fields_ = (
        ("get_schema", _Pointer),
        ("get_next", _Pointer),
        ("get_last_error", _Pointer),
        ("release", _Pointer),
        ("private_data", _Pointer),
    )


_FORMATS = {
    np.dtype(np.int8): b"c",
    np.dtype(np.int16): b"s",
    np.dtype(np.int32): b"i",
    np.dtype(np.int64): b"l",
    np.dtype(np.uint8): b"C",
    np.dtype(np.uint16): b"S",
    np.dtype(np.uint32): b"I",
    np.dtype(np.uint64): b"L",
    np.dtype(np.float32): b"f",
    np.dtype(np.float64): b"g",
    np.dtype("datetime64[us]"): b"tsu:",
    np.dtype(np.bool_): b"b",
}
_TEXT, _STRUCT = b"U", b"+s"  # texts with ends of 64 bits
_NULLABLE, _UNKNOWN = 2, -1

_Column = np.ndarray[Any, Any] | Sequence[str]


class ArrowColumns:
    """Columns of one length; an empty text and a NaN are NULL. Whoever reads from it must keep it until all is read.

    Raises TypeError for an array of a type that stands in none of our tables.
    """

    def __init__(self, columns: Mapping[str, _Column]) -> None:
        self.shape = tuple((name, _kind(column)) for name, column in columns.items())
        """Names and types."""
        parts = [
            _Part(len(column), _numbers(column) if isinstance(column, np.ndarray) else _texts(column))
            for column in columns.values()
        ]
        self.rows = _Part(len(next(iter(columns.values()))), [None], parts)
        self._streams: list[_Stream] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A stream of one piece, which holds all rows."""
        number = next(_numbers_of_streams)
        _open[number] = _Reading(self)
        stream = _Stream(*_CALLBACKS, number)
        self._streams.append(stream)
        return _capsule(ctypes.addressof(stream), b"arrow_array_stream", None)

    def close(self) -> None:
        """Nothing is read any more."""
        for stream in self._streams:
            _open.pop(stream.private_data, None)


class _Type:
    """The type of a column, or of all of them, as the interface wants them."""

    def __init__(self, kind: bytes, name: bytes, children: Sequence[_Type] = ()) -> None:
        self._children = children
        self._pointers = _pointers([child.structure for child in children])
        self.structure: ctypes.Structure = _Schema(
            kind, name, None, _NULLABLE, len(children), _address(self._pointers), None, _RELEASE_SCHEMA, None
        )


class _Part:
    """A column, or all of them, as the interface wants them."""

    def __init__(
        self, length: int, buffers: Sequence[np.ndarray[Any, Any] | None], children: Sequence[_Part] = ()
    ) -> None:
        self._buffers = buffers
        self._addresses = (_Pointer * len(buffers))(*(None if one is None else one.ctypes.data for one in buffers))
        self._children = children
        self._pointers = _pointers([child.structure for child in children])
        self.structure: ctypes.Structure = _Array(
            length,
            0 if buffers[0] is None else _UNKNOWN,
            0,
            len(buffers),
            len(children),
            ctypes.addressof(self._addresses),
            _address(self._pointers),
            None,
            _RELEASE_ARRAY,
            None,
        )


@functools.lru_cache(maxsize=256)
def _whole(shape: tuple[tuple[str, bytes], ...]) -> _Type:
    return _Type(_STRUCT, b"", [_Type(kind, name.encode()) for name, kind in shape])


def _kind(column: _Column) -> bytes:
    if not isinstance(column, np.ndarray):
        return _TEXT
    if column.dtype not in _FORMATS:
        raise TypeError(f"no table has a column of {column.dtype}")
    return _FORMATS[column.dtype]


def _pointers(structures: Sequence[ctypes.Structure]) -> Any:
    return (_Pointer * len(structures))(*map(ctypes.addressof, structures)) if structures else None


def _address(pointers: Any) -> int | None:
    return None if pointers is None else ctypes.addressof(pointers)


def _numbers(column: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any] | None]:
    """The buffers of an array: which values are there, and the values."""
    values = np.ascontiguousarray(column)
    if values.dtype == np.bool_:
        return [None, np.packbits(values, bitorder="little")]
    there = values == values if values.dtype.kind == "f" else None
    return [None if there is None or there.all() else np.packbits(there, bitorder="little"), values]


def _texts(column: Sequence[str]) -> list[np.ndarray[Any, Any] | None]:
    """The buffers of texts: which are there, where each begins and the last one ends, and all of them."""
    texts = column if isinstance(column, Texts) else Texts.of(column)
    there = np.packbits(texts.ends[1:] > texts.ends[:-1], bitorder="little")
    # Never without a buffer, be it of nothing.
    return [there, texts.ends, texts.data if len(texts.data) else np.zeros(1, dtype=np.uint8)]


class _Reading:
    """A stream that is being read."""

    __slots__ = ("columns", "given")

    def __init__(self, columns: ArrowColumns) -> None:
        self.columns = columns
        self.given = False


_open: dict[int, _Reading] = {}
_numbers_of_streams = itertools.count(1)


def _get_schema(stream: Any, out: Any) -> int:
    whole = _whole(_open[stream.contents.private_data].columns.shape).structure
    ctypes.memmove(out, ctypes.addressof(whole), ctypes.sizeof(whole))
    return 0


def _get_next(stream: Any, out: Any) -> int:
    reading = _open[stream.contents.private_data]
    if reading.given:
        out.contents.release = None  # the end
    else:
        reading.given = True
        whole = reading.columns.rows.structure
        ctypes.memmove(out, ctypes.addressof(whole), ctypes.sizeof(whole))
    return 0


def _get_last_error(_: Any) -> None:
    """There are none."""


def _release(structure: Any) -> None:
    """The structures belong to us, until the columns are closed."""
    structure.contents.release = None


_ToSchema, _ToArray, _ToStream = (ctypes.POINTER(kind) for kind in (_Schema, _Array, _Stream))
_functions: tuple[Any, ...] = (
    ctypes.CFUNCTYPE(ctypes.c_int, _ToStream, _ToSchema)(_get_schema),
    ctypes.CFUNCTYPE(ctypes.c_int, _ToStream, _ToArray)(_get_next),
    ctypes.CFUNCTYPE(ctypes.c_char_p, _ToStream)(_get_last_error),
    ctypes.CFUNCTYPE(None, _ToStream)(_release),
    ctypes.CFUNCTYPE(None, _ToSchema)(_release),
    ctypes.CFUNCTYPE(None, _ToArray)(_release),
)
*_CALLBACKS, _RELEASE_SCHEMA, _RELEASE_ARRAY = (ctypes.cast(one, _Pointer).value for one in _functions)
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = (_Pointer, ctypes.c_char_p, _Pointer)

__all__ = ["ArrowColumns"]
