"""Reads a pickle as data. In: the bytes of a pickle. Out: its values, with a `Made` for every object it describes.

A pickle is a program for a stack machine: unpickling imports what it names and calls what it says. The machine here runs the
same program but has nothing to import with and nothing to call. A name is a `Global`, an object is a `Made` that
remembers its class, arguments and state, and what either of them means is for the caller to decide.
"""

import pickletools
from dataclasses import dataclass, field

MAX_OPCODES = 1_000_000  # a checkpoint of 1,000 tensors with its Adam state has about 150,000
_KEYS = (str, bytes, int, float, bool, type(None))


class Refused(ValueError):
    """A pickle asks for something it does not get. The message is one line, without the file's name."""


@dataclass(frozen=True)
class Global:
    """A class or function that a pickle names, such as "argparse.Namespace". It is a name and stays one."""

    path: str


@dataclass(frozen=True)
class PersistentId:
    """A reference to something stored outside the pickle, as the pickle has it."""

    value: object


@dataclass(eq=False)
class Made:
    """An object as the pickle describes it: of class or function `origin`, called with `args`, then filled."""

    origin: str
    args: tuple
    state: object = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)


def read_pickle(program: bytes, allowed_calls: frozenset[str]) -> tuple[object, set[str]]:
    """Run a pickle's program without importing or calling anything.

    Objects made without a call (`Class.__new__`, then state: what Python writes for plain data holders) are accepted
    for any class. A call is accepted only of a name in `allowed_calls`, and is recorded, not made.

    Returns the value and the names of all classes and functions in the pickle.

    Raises:
        Refused: a call of another name, or a program that a checkpoint does not contain. A damaged program also
            raises ValueError, IndexError, KeyError, TypeError or AttributeError.
    """
    stack: list = []
    marks: list[int] = []
    memo: dict[int, object] = {}
    names: set[str] = set()

    def pop_to_mark():
        start = marks.pop()
        popped = stack[start:]
        del stack[start:]
        return popped

    def push_global(module, name):
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)  # Python 2's, in protocol 2
        names.add(f"{module}.{name}")
        stack.append(Global(f"{module}.{name}"))

    for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if count >= MAX_OPCODES:
            raise Refused(f"a pickle of more than {MAX_OPCODES:,} instructions")
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                start = len(stack) - int(opcode.name[-1])
                stack[start:] = [tuple(stack[start:])]
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_SET":
                stack.append(Made("builtins.set", ([],)))
            case "APPEND":
                value = stack.pop()
                _elements(stack[-1]).append(value)
            case "APPENDS":
                values = pop_to_mark()
                _elements(stack[-1]).extend(values)
            case "ADDITEMS":
                values = pop_to_mark()
                stack[-1].args[0].extend(values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _items(stack[-1])[_key(key)] = value
            case "SETITEMS":
                flat = pop_to_mark()
                items = _items(stack[-1])
                for key, value in zip(flat[::2], flat[1::2], strict=True):
                    items[_key(key)] = value
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPERSID":
                stack.append(PersistentId(stack.pop()))
            case "GLOBAL":
                push_global(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                push_global(module, name)
            case "NEWOBJ":
                args, made_class = stack.pop(), stack.pop()
                stack.append(Made(made_class.path, args))
            case "REDUCE":
                args, called = stack.pop(), stack.pop()
                _allow_call(called, allowed_calls)
                stack.append(Made(called.path, args))
            case "INST" | "OBJ":  # calls too, in the notation of protocols 0 and 1, which torch.save does not write
                called = Global(argument.replace(" ", ".", 1)) if opcode.name == "INST" else pop_to_mark()[0]
                _allow_call(called, frozenset())
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Made):
                    raise Refused(f"a state for a {type(stack[-1]).__name__}, which has none")
                stack[-1].state = state
            case other:
                raise Refused(f"the pickle instruction {other}, which torch.save does not write")
    return stack[-1], names


def _allow_call(called, allowed_calls):
    if not isinstance(called, Global):
        raise Refused(f"a call of a {type(called).__name__}")
    if called.path not in allowed_calls:
        raise Refused(f"refused to build {called.path!a}; a checkpoint may hold only tensors and plain containers")


def _elements(target):
    return target if isinstance(target, list) else target.elements


def _items(target):
    return target if isinstance(target, dict) else target.items


def _key(key):
    """Keep to keys whose hash is cheap: hashing a tuple nested a million deep ends the process."""
    flat = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, (*_KEYS, Global)) for part in flat):
        raise Refused(f"a {type(key).__name__} that is not plain as the key of a dictionary")
    return key
