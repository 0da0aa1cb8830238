"""Code that was typed into a notebook or a script: it has no module that others could import, only its text."""

import inspect
import marshal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any

TYPED = ("__main__", "__mp_main__")
"""What the module of a running notebook or script is called, here and in worker processes."""
PLAIN = (bool, int, float, str, bytes, tuple, type(None))


def _functions(maker: Any) -> list[Callable]:
    """A function itself; of a class the functions that its body defines."""
    if not isinstance(maker, type):
        return [maker]
    inside = (getattr(value, "__func__", getattr(value, "fget", value)) for value in vars(maker).values())
    return [value for value in inside if inspect.isfunction(value)]


def _text(function: Callable) -> str:
    """The source as it stands, or what it was compiled to where the source is gone."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return marshal.dumps(function.__code__).hex()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _named(maker: Any) -> Iterator[tuple[str, Any]]:
    """What functions and bases of something typed refer to, by name and value."""
    known = vars(sys.modules[maker.__module__])
    for function in _functions(maker):
        yield from ((name, known[name]) for name in _names(function.__code__) if name in known)
    if isinstance(maker, type):
        yield from ((base.__name__, base) for base in maker.__bases__)
        yield from ((name, value) for name, value in vars(maker).items() if not name.startswith("__"))


def typed_code(maker: Any) -> tuple[set[str], set[str]]:
    """Texts of a typed function or class and of all typed that it names, plain constants too; and modules that it names."""
    texts: set[str] = set()
    modules: set[str] = set()
    done: set[int] = set()
    waiting = [maker if inspect.isfunction(maker) or isinstance(maker, type) else type(maker)]
    while waiting:
        typed = waiting.pop()
        if id(typed) in done:
            continue
        done.add(id(typed))
        texts |= {typed.__qualname__, *map(_text, _functions(typed))}
        for name, value in _named(typed):
            if isinstance(value, ModuleType):
                modules.add(value.__name__)
            elif isinstance(value, PLAIN):
                texts.add(f"{name} = {value!r}")
            elif inspect.isfunction(value) or isinstance(value, type):
                waiting += [value] if value.__module__ in TYPED else []
                modules |= {value.__module__} - set(TYPED)
    return texts, modules
