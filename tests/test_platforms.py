"""Modules that POSIX alone has are optional: everything can be imported on Windows too."""

from __future__ import annotations

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, sys
import filelock, torch, joblib, matplotlib  # whose own use of these modules depends on the system

POSIX = ("fcntl", "resource", "pwd", "grp", "termios", "syslog", "pty", "tty")
for name in POSIX:
    sys.modules[name] = None
import signal
for name in ("SIGKILL", "pthread_sigmask", "SIGHUP", "SIGALRM"):
    if hasattr(signal, name):
        delattr(signal, name)
import ppgssl
for module in pkgutil.walk_packages(ppgssl.__path__, "ppgssl."):
    importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith("ppgssl.")]))
"""


def test_all_modules_can_be_imported_without_those_that_posix_alone_has():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200
