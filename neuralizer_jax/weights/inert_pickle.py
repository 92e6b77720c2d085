"""Reads a pickle as data. In: the bytes of a pickle. Out: its values, with a `Made` for every object it describes.

A pickle is a program for a stack machine: unpickling imports what it names and calls what it says. The machine here
runs the same program but has nothing to import with and nothing to call. A name is a `Global`, an object is a `Made`
that remembers its class, arguments and state, and what either of them means is for the caller to decide.
"""

import pickletools
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field

MAX_OPCODES = 1_000_000  # a checkpoint of 1,000 tensors with its Adam state has about 100,000


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
    """An object as the pickle describes it: of class or function `origin`, from `args`, then filled.

    `called` tells a call of `origin`, which may mean anything, from a bare object of a class that only got filled.
    """

    origin: str
    args: tuple
    called: bool = True
    state: object = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)


def read_pickle(program: bytes, allowed_calls: frozenset[str]) -> tuple[object, set[str]]:
    """Run a pickle's program without importing or calling anything.

    An object made without a call (`Class.__new__`, then its state: what Python writes for a plain holder of data) is
    recorded for any class. A call is recorded only of a name in `allowed_calls`, such as "collections.OrderedDict".

    Returns the value and the names of all classes and functions that the pickle mentions.

    Raises:
        Refused: a call of another name, or an instruction that no checkpoint has.
        ValueError, LookupError, TypeError, AttributeError: the program is damaged.
    """
    machine = _Machine(allowed_calls)
    with warnings.catch_warnings():  # of escapes in the text of instructions that are refused anyway
        warnings.simplefilter("ignore")
        for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
            if count >= MAX_OPCODES:
                raise Refused(f"a pickle of more than {MAX_OPCODES:,} instructions")
            machine.step(opcode.name, argument)
    return machine.stack[-1], machine.names


class _Machine:
    """The stack, the marks in it, the memo, and every name met."""

    def __init__(self, allowed_calls):
        self.allowed_calls = allowed_calls
        self.stack, self.marks, self.memo, self.names = [], [], {}, set()

    def step(self, name, argument):
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                stack.append(argument)
            case "NONE":
                stack.append(None)
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
            case "INST":  # a call, as OBJ is; protocols 0 and 1 write them, torch.save does not
                self.push_global(*argument.split(" ", 1))
                stack.append(Made(self.allowed(stack.pop()), tuple(self.pop_to_mark())))
            case "OBJ":
                called, *args = self.pop_to_mark()
                stack.append(Made(self.allowed(called), tuple(args)))
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
        path = f"{module}.{name}"
        self.names.add(path)
        self.stack.append(Global(path))

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
            # Only keys whose hash is cheap: to hash a tuple nested a million deep would end the process.
            for part in key if isinstance(key, tuple) else (key,):
                if not isinstance(part, str | bytes | int | float | Global | None):
                    raise Refused(f"the pickle has a {type(part).__name__} in the key of a dictionary")
            items[key] = value
