"""What of the folder in which a command is given keeps Python from its work, in words that say what to do about it."""

import os
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from mia_lib.support.errors import MiaError


def check_here() -> None:
    """Raise MiaError where the working folder is gone: libraries that ask for it end the process without a reason."""
    try:
        os.getcwd()
    except OSError as error:
        raise MiaError(
            f"the folder in which this was started is gone ({error.strerror}): go to one that exists"
        ) from None


def in_the_way() -> str:
    """The file of the working folder that Python has taken for a package of its name, which is installed too; "" if none."""
    here, installed = Path.cwd(), packages_distributions()
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        path = path.parent if path.name == "__init__.py" else path
        if path.parent == here and name in installed and name != __package__.partition(".")[0]:
            return str(path)
    return ""
