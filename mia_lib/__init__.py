"""Does a speaker-identification model leak whose voice it was trained on? From recordings to rates with intervals."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
"""How long the threads of an operation wait for each other before they give way: without it every operation of a stack waits
for whoever else uses a core, and training beside one busy process takes ten times as long. Read when torch is loaded."""
