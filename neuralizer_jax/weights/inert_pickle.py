"""Reads a pickle as data: its bytes in, plain values out, with a `Made` for every object that it describes.

A pickle is a program for a stack machine. Unpickling imports the names in it and calls them. The machine here runs the
same program without importing or calling anything: a name becomes a `Global`, an object becomes a `Made` with its
class, arguments and state, and the caller decides what they mean.

A `pickle.Unpickler` whose `find_class` returns stubs would be shorter, but not as safe. It allocates its memo by the
index in the file (gigabytes from five bytes), hashes any key (a deeply nested tuple overflows the C stack and ends the
process), sets attributes on the stubs, and takes objects of the `copyreg` extension registry from a cache without
asking `find_class`. Here, instructions that `torch.save` does not write are refused, and their number is limited.
"""

import pickletools
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field

MAX_OPCODES = 1_000_000  # a checkpoint of 1,000 tensors with its Adam state has about 100,000 instructions


class Refused(ValueError):
    """The pickle holds something that is not allowed. The message is one line, without the name of the file."""


@dataclass(frozen=True)
class Global:
    """The name of a class or function, such as "argparse.Namespace". It is never imported."""

    path: str


@dataclass(frozen=True)
class PersistentId:
    """A reference to data outside the pickle, such as the storage of a tensor."""

    value: object


@dataclass(eq=False)
class Made:
    """Description of an object: `origin` is its class or the function that makes it, `args` are the arguments.

    `called` is True if the pickle calls `origin`, and False if it makes a bare object of the class and only fills it.
    """

    origin: str
    args: tuple
    called: bool = True
    state: object = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)


def read_pickle(program: bytes, allowed_calls: frozenset[str]) -> object:
    """Runs the program of a pickle without importing or calling anything.

    Objects made without a call (`Class.__new__` and a state, as Python writes plain holders of data) are recorded for
    any class. Calls are recorded only for the names in `allowed_calls`, such as "collections.OrderedDict".

    Raises:
        Refused: a call of another name, or an instruction that no checkpoint has.
        ValueError, LookupError, TypeError, AttributeError: the program is damaged.

    Example:
        >>> import pickle
        >>> read_pickle(pickle.dumps({"lr": 0.5}), frozenset())
        {'lr': 0.5}
        >>> read_pickle(pickle.dumps(print), frozenset())
        Global(path='builtins.print')
    """
    machine = _Machine(allowed_calls)
    with warnings.catch_warnings():  # about escapes in text of instructions that are refused anyway
        warnings.simplefilter("ignore")
        for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
            if count >= MAX_OPCODES:
                raise Refused(f"a pickle of more than {MAX_OPCODES:,} instructions")
            machine.step(opcode.name, argument)
    return machine.stack[-1]


class _Machine:
    def __init__(self, allowed_calls):
        self.allowed_calls = allowed_calls
        self.stack, self.marks, self.memo = [], [], {}

    def step(self, name, argument):
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT" | "NONE":  # argument None
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_SET":
                stack.append(Made("builtins.set", ([],)))
            case "FROZENSET":
                stack.append(Made("builtins.frozenset", (self.pop_to_mark(),)))
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(self.pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                start = len(stack) - int(name[-1])
                stack[start:] = [tuple(stack[start:])]
            case "MARK":
                self.marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "APPEND":
                self.extend([stack.pop()])
            case "APPENDS":
                self.extend(self.pop_to_mark())
            case "ADDITEMS":
                members = self.pop_to_mark()
                stack[-1].args[0].extend(members)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.set_items([key, value])
            case "SETITEMS":
                self.set_items(self.pop_to_mark())
            case "BINPERSID":
                stack.append(PersistentId(stack.pop()))
            case "GLOBAL":
                self.push_global(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                qualified_name, module = stack.pop(), stack.pop()
                self.push_global(module, qualified_name)
            case "NEWOBJ":
                args, made_class = stack.pop(), stack.pop()
                stack.append(Made(made_class.path, args, called=False))
            case "REDUCE":
                args, called = stack.pop(), stack.pop()
                stack.append(Made(self.allowed(called), args))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Made):
                    raise Refused(f"the pickle gives a state to a {type(stack[-1]).__name__}, which has none")
                stack[-1].state = state
            case _:
                raise Refused(f"the pickle has the instruction {name}, which torch.save does not write")

    def pop_to_mark(self):
        start = self.marks.pop()
        popped = self.stack[start:]
        del self.stack[start:]
        return popped

    def push_global(self, module, name):
        # Protocol 2 spells the names of the standard library as Python 2 did: __builtin__.set.
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        self.stack.append(Global(f"{module}.{name}"))

    def allowed(self, called):
        if isinstance(called, Global) and called.path in self.allowed_calls:
            return called.path
        shown = called.path if isinstance(called, Global) else f"something from a {type(called).__name__}"
        shown = shown.encode("unicode_escape").decode()[:100]
        raise Refused(f"refused to build {shown}; a checkpoint may hold only tensors and plain containers")

    def extend(self, values):
        target = self.stack[-1]
        (target if isinstance(target, list) else target.elements).extend(values)

    def set_items(self, flat):
        target = self.stack[-1]
        items = target if isinstance(target, dict) else target.items
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            # Hashing a tuple that is nested a million deep would end the process.
            for part in key if isinstance(key, tuple) else (key,):
                if not isinstance(part, str | bytes | int | float | Global | None):
                    raise Refused(f"the pickle has a {type(part).__name__} in the key of a dictionary")
            items[key] = value
