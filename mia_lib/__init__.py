"""Does a speaker-identification model leak whose voice it was trained on? From recordings to rates with intervals."""

import importlib
import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
"""How long the threads of an operation wait for each other before they give way: without it every operation of a stack waits
for whoever else uses a core, and training beside one busy process takes ten times as long. Read when torch is loaded."""

AUDITOR = {"audit": "api", "audit_signals": "api", "tpr_at_fpr": "scorer"}
"""What the auditor offers here, and in which of its modules; loaded when it is asked for, since torch comes with it."""


def __getattr__(name: str):
    if name not in AUDITOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.auditing.{AUDITOR[name]}"), name)
