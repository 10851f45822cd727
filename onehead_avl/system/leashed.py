"""``python -m onehead_avl.system.leashed MODULE ARGUMENTS``: run a module that ends with the process that started it.

The starting process holds the other end of standard input. When that is closed, by the process or by its death however
sudden, the module is asked to stop as by SIGTERM, and ended if it does not.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE = 20.0
"""Seconds in which to stop where a run can be continued."""


def main() -> None:
    """Run the module that the command line names, with the rest of it, as ``python -m`` would."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    main()
