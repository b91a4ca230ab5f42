"""Pickles read without Python's unpickler: a machine that knows data and calls nothing.

`pickletools` splits the file into opcodes, which it never executes. Only opcodes that build
arrays, lists, dicts, tuples, bytes, text and numbers are acted upon here. The names that a pickled
array refers to are recognised, not looked up, so that no function of the file's choosing runs and
no array is made that is larger than the file.
"""

import math
import pickletools
import re
import struct
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NoReturn

import numpy as np

from sweep.errors import DataError

EXPECTED = "arrays, lists, dicts, tuples, bytes, text and numbers, nothing else"
MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
    struct.error,
)


class _Name(Enum):
    """The names that may occur in a pickle of arrays."""

    RECONSTRUCT = auto()
    FROM_BUFFER = auto()
    ARRAY = auto()
    DTYPE = auto()
    ENCODE = auto()
    BYTES = auto()


_NAMES = {
    ("numpy", "ndarray"): _Name.ARRAY,
    ("numpy", "dtype"): _Name.DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _Name.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _Name.FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _Name.FROM_BUFFER,
    ("_codecs", "encode"): _Name.ENCODE,
    ("builtins", "bytes"): _Name.BYTES,
    ("__builtin__", "bytes"): _Name.BYTES,
}


class _DType:
    """An element type while its byte order is not known yet."""

    def __init__(self, code: str) -> None:
        if not re.fullmatch(r"b1|[iu][1248]|f[248]", code):
            raise ValueError("array elements that are neither numbers nor truth values")
        self.code = code
        self.order = "="

    def resolve(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


def load(data: bytes, where: str) -> object:
    """Read one pickle, of any protocol, Python 2's included.

    Args:
        data: The whole pickle.
        where: The file it comes from, for messages.

    Returns:
        The value. Python 2's strings come back as bytes.

    Raises:
        DataError: The pickle is damaged, or asks for anything but plain data.
    """
    machine = _Machine(where)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
        return machine.result()
    except MALFORMED as error:
        raise DataError(
            "a pickle is damaged",
            where=where,
            received=f"{type(error).__name__}: {error}",
            next_step="get the file again from its publisher",
        ) from error


class _Machine:
    """The stack machine that a pickle is a program for, with the harmless opcodes only."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _HANDLERS:
            _HANDLERS[name](self, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            self.refuse(f"the instruction {name}")

    def result(self) -> object:
        """The value left when the pickle has ended."""
        (value,) = self.stack
        return value

    def refuse(self, what: str) -> NoReturn:
        raise DataError(
            f"a pickle asks for {what}, which plain data has no need of",
            where=self.where,
            expected=EXPECTED,
            next_step="do not trust this file; get it again from its publisher",
        )

    def take_marked(self) -> list[Any]:
        """Remove and return what was pushed since the last mark."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type) -> Any:
        """The value on top, which must be exactly of this kind."""
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"a {type(self.stack[-1]).__name__} where a {kind.__name__} belongs")
        return self.stack[-1]

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def string(self, text: str) -> None:
        self.stack.append(text.encode("latin-1"))

    def make(self, build: Callable[[list[Any]], Any]) -> None:
        self.stack.append(build(self.take_marked()))

    def make_tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError("the stack is empty")
        values = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(values)

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        self.top(list).append(value)

    def appends(self, _: Any) -> None:
        values = self.take_marked()
        self.top(list).extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.top(dict)[key] = value

    def set_items(self, _: Any) -> None:
        values = self.take_marked()
        self.top(dict).update(_pairs(values))

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.push_name(module, name)

    def name_from_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_name(module, name)

    def push_name(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is not text")
        known = _NAMES.get((module, name))
        if known is None:
            self.refuse(f"{module}.{name}"[:200])
        self.stack.append(known)

    def reduce(self, _: Any) -> None:
        arguments = self.stack.pop()
        called = self.stack.pop()
        match called, arguments:
            case _Name.RECONSTRUCT, (_Name.ARRAY, (0,), b"b" | "b"):
                self.stack.append(np.empty(0, np.uint8))
            case _Name.DTYPE, (str(code), False | 0, True | 1):
                self.stack.append(_DType(code))
            case _Name.DTYPE, (bytes(code), False | 0, True | 1):
                self.stack.append(_DType(code.decode("ascii")))
            case _Name.FROM_BUFFER, (bytes() | bytearray() as raw, _DType() as kind, shape, order):
                array = np.frombuffer(bytes(raw), kind.resolve())
                self.stack.append(array.reshape(_shape(shape), order=_order(order)))
            case _Name.ENCODE, (str(text), "latin1" | b"latin1"):
                self.stack.append(text.encode("latin-1"))
            case _Name.BYTES, ():
                self.stack.append(b"")
            case _:
                raise TypeError(f"a call that no plain data makes: {called!r}"[:200])

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        match self.stack[-1], state:
            case _DType() as kind, (int(), "<" | ">" | "|" | b"<" | b">" | b"|" as order, *_):
                kind.order = order if isinstance(order, str) else order.decode("ascii")
            case np.ndarray() as array, (1, shape, _DType() as kind, fortran, bytes(raw)):
                dtype, shape = kind.resolve(), _shape(shape)
                if len(raw) != dtype.itemsize * math.prod(shape):
                    raise ValueError(f"{len(raw)} bytes in an array of shape {shape}")
                checked: Any = (1, shape, dtype, bool(fortran), raw)
                array.__setstate__(checked)
            case _:
                raise TypeError("a state that no plain data has")


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _shape(shape: object) -> tuple[int, ...]:
    if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        raise TypeError("an array shape that is not a tuple of sizes")
    return shape


def _order(order: object) -> Any:
    if order not in ("C", "F", b"C", b"F"):
        raise ValueError("an array order that is neither C nor F")
    return order if isinstance(order, str) else "C" if order == b"C" else "F"


_LITERALS = frozenset(
    "INT LONG BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT UNICODE SHORT_BINUNICODE "
    "BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "STRING": _Machine.string,
    "BINSTRING": _Machine.string,
    "SHORT_BINSTRING": _Machine.string,
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "LIST": lambda machine, _: machine.make(list),
    "DICT": lambda machine, _: machine.make(_pairs),
    "TUPLE": lambda machine, _: machine.make(tuple),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "MEMOIZE": _Machine.memoize,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
