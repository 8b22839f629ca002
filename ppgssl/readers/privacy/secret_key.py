"""The secret key of a hospital's pseudonyms: where it is read, and what is wrong with where it lies."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ppgssl.core.config.cohort import PseudonymKey
from ppgssl.core.errors import ConfigError

# As many bytes as the hash has: a shorter key makes HMAC weaker than the hash (RFC 2104, section 3).
MIN_KEY_BYTES = 32
_MIN_DIFFERENT = 8
_MAKE_ONE = "Make one, and keep it where the data are not: openssl rand -hex 32 > KEYFILE; chmod 600 KEYFILE"


def load_key(place: PseudonymKey, cohort_file: Path) -> bytes:
    """Read the key, from a file or an environment variable, without the line ends after it.

    ConfigError if it is not there, cannot be read, or has fewer than ``MIN_KEY_BYTES`` bytes or hardly any that differ.
    No message shows the key.
    """
    content, name = _from_variable(place.key_env) if place.key_env else _from_file(place, cohort_file)
    key = content.rstrip(b"\r\n")
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(
            f"{cohort_file}: {name} holds {len(key)} bytes, and a key needs {MIN_KEY_BYTES} or more: a shorter one can "
            f"be found by trying, and with it every patient. {_MAKE_ONE}"
        )
    if len(set(key)) < _MIN_DIFFERENT:
        raise ConfigError(f"{cohort_file}: {name} holds hardly any different characters: no secret. {_MAKE_ONE}")
    return key


def _from_variable(name: str) -> tuple[bytes, str]:
    content = os.environ.get(name, "")
    if not content:
        raise ConfigError(
            f"`privacy.pseudonyms.key_env`: the environment variable {name} is not set, or empty. It must hold the key "
            f"of the pseudonyms: export {name}=... {_MAKE_ONE}"
        )
    return os.fsencode(content), f"the environment variable {name}"


def _from_file(place: PseudonymKey, cohort_file: Path) -> tuple[bytes, str]:
    path = key_path(place, cohort_file)
    try:
        return path.read_bytes(), f"the key file {path}"
    except FileNotFoundError:
        raise ConfigError(f"`privacy.pseudonyms.key_file`: there is no file {path}. {_MAKE_ONE}") from None
    except OSError as error:
        raise ConfigError(
            f"`privacy.pseudonyms.key_file`: {path} cannot be read ({error.strerror}). Whoever runs this must be "
            "allowed to."
        ) from None


def key_path(place: PseudonymKey, cohort_file: Path) -> Path:
    """Where the key file lies."""
    return (cohort_file.parent / Path(place.key_file or "").expanduser()).resolve()


def key_warnings(place: PseudonymKey, cohort_file: Path, folders: Sequence[tuple[str, Path]]) -> tuple[str, ...]:
    """What is wrong with where a key file lies, a sentence each: in one of ``folders``, or open to other users.

    ``folders`` are pairs of what a folder is, for messages, and where it is.
    """
    if place.key_file is None:
        return ()
    path = key_path(place, cohort_file)
    misplaced = [
        f"the key of the pseudonyms lies in {what} ({folder}): whoever is given that folder can find out who the "
        f"patients are. Move {path} elsewhere, and correct `privacy.pseudonyms.key_file`."
        for what, folder in folders
        if path.is_relative_to(folder.resolve())
    ]
    is_open = os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return (*misplaced, *([f"other users of this machine may read the key: chmod 600 {path}"] if is_open else []))
