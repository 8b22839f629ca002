"""Connection to a Dask cluster, and the checks that its workers can do the work."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

from ppgssl.core.errors import ConfigError

_CONNECT_S = 20


def connect(scheduler: str, *, folder: Path | None = None, reads: Sequence[Path] = ()) -> Any:
    """A client of the cluster whose scheduler has this address (``tcp://host:port``).

    This process writes into ``folder``, which all workers must see as it is; they must have the folders ``reads``.
    ConfigError if the cluster cannot be reached, has no workers, or a worker has another version of ppgssl, several
    threads or not the folders.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise ConfigError("--scheduler needs the package `distributed`: pip install 'ppgssl[dask]'") from None
    # Lost workers and connections are reported by this package.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        get_address_host_port(scheduler, strict=True)  # Client would report a wrong one at the end of the process too
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"--scheduler {scheduler}: no Dask cluster with workers answers there ({type(error).__name__}). Start one, "
            "for example: dask scheduler, and on each machine: dask worker tcp://HOST:8786 --nworkers auto --nthreads 1"
        ) from None
    try:
        _check(client, scheduler, folder, reads)
    except BaseException:
        client.close()
        raise
    return client


def workers_per_machine(client: Any) -> int:
    """Workers of the machine that has most of them."""
    machines = Counter(urlsplit(address).hostname for address in client.nthreads())
    return max(machines.values(), default=1)


def _check(client: Any, scheduler: str, folder: Path | None, reads: Sequence[Path]) -> None:
    versions = client.run(_own_version)
    for name, found in versions.items():
        if found != _own_version():
            raise ConfigError(
                f"--scheduler {scheduler}: worker {name} has ppgssl {found}, and here it is {_own_version()}. "
                "Install the same version on all machines."
            )
    for name, n_threads in client.nthreads().items():
        if n_threads > 1:
            raise ConfigError(
                f"--scheduler {scheduler}: worker {name} works on {n_threads} tasks at once in one process, and a task "
                "needs a process of its own. Start the workers with: dask worker ADDRESS --nworkers auto --nthreads 1"
            )
    for path in reads:
        _check_seen(client, scheduler, path, path)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".seen-") as file:  # a folder of the same name will not do
            _check_seen(client, scheduler, folder, Path(file.name))


def _check_seen(client: Any, scheduler: str, folder: Path, path: Path) -> None:
    for name, is_seen in client.run(os.path.exists, os.path.abspath(path)).items():
        if not is_seen:
            raise ConfigError(
                f"--scheduler {scheduler}: worker {name} has no folder {folder}, or another one of that name. All "
                "workers must see it under the same path, for example on a network drive."
            )


def _own_version() -> str:
    return version("ppgssl")
