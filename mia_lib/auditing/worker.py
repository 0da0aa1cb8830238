"""The process in which somebody's model answers: what crashes or hangs there can be ended (`-m mia_lib.auditing.worker`)."""

import os
import queue
import signal
import sys
import threading
from typing import IO

from mia_lib.auditing.frames import receive, send
from mia_lib.features.foreign.models import load_model, one_line
from mia_lib.support.errors import MiaError, UsageError


def _listen(questions: IO[bytes], waiting: queue.Queue) -> None:
    """Pass questions on, and end the process when nobody asks any more, whatever the model is at."""
    try:
        while True:
            waiting.put(receive(questions)[1])
    except (EOFError, OSError):
        os._exit(0)


def serve(name: str, device: str) -> None:
    """Load the model `name`, then answer each array that comes in on standard input on what was standard output.

    Whatever the model prints goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    waiting: queue.Queue = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    try:
        model = load_model(name, device)
    except MiaError as error:
        send(answers, error=str(error), usage=isinstance(error, UsageError))
        return
    send(answers, batch=model.batch, samples=model.samples)
    while True:
        waves = waiting.get()
        try:
            send(answers, model(waves))
        except MiaError as error:
            send(answers, error=str(error), wrong=True)
        except (Exception, SystemExit) as error:
            send(answers, error=one_line(error))


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
