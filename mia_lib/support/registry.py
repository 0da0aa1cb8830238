"""Names for things that live one per file: put a module into the package, decorate it, and it is known everywhere."""

import importlib
import pkgutil

from mia_lib.support.errors import UsageError


class Registry:
    """Maps names to objects that the modules of one package register on import."""

    def __init__(self, kind: str, package: str):
        self.kind, self.package = kind, package
        self._entries: dict[str, object] = {}
        self._loaded = False

    def register(self, name: str):
        """Decorate a class or function to make it known as `name`."""

        def keep(entry):
            if self._entries.get(name, entry) is not entry and self._entries[name].__module__ != entry.__module__:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return keep

    def names(self) -> list[str]:
        """All registered names, sorted; imports every module of the package once."""
        if not self._loaded:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._loaded = True
        return sorted(self._entries)

    def get(self, name: str):
        """The entry called `name`; raises UsageError naming the known ones."""
        if name not in self.names():
            raise UsageError(f"unknown {self.kind} {name!r}: choose one of {', '.join(self.names())}")
        return self._entries[name]

    def describe(self) -> dict[str, str]:
        """Name -> first line of the entry's docstring."""
        return {name: (self._entries[name].__doc__ or "").strip().split("\n")[0] for name in self.names()}
