"""Which versions made a number."""

import importlib.metadata
import platform

PACKAGES = (
    "mia-lib",
    "torch",
    "torchaudio",
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "papermill",
)


def versions() -> dict[str, str]:
    """Versions of Python, of the machine's system and of the packages that decide the numbers."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
