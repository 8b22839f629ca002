"""A file that crashes its library, or takes too much, is refused, and the next one is read."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest
import scipy.io

from ppgssl.core.errors import ReadError
from ppgssl.readers import isolated, isolated_child
from ppgssl.readers.isolated import LibraryError, call, end_process

CRASHES = {
    "os.abort()": "crashes the reader, signal 6",
    "os._exit(3)": "the reader failed",
    "1 / 0": "ZeroDivisionError",
}


@pytest.fixture
def path(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"ppg": np.arange(5.0)})
    return tmp_path / "a.mat"


@pytest.fixture
def with_body(tmp_path, monkeypatch):
    """A process whose function ``crash`` does what a text says, and whose function ``sound`` returns 1."""

    def put(body):
        program = isolated_child.__file__
        copy = tmp_path / "program.py"
        more = "{'crash': crash, 'sound': lambda path: 1} | {"
        crash = f"def crash(path):\n    {body}\n\nFUNCTIONS: dict[str, Callable[..., Any]] = {more}"
        with open(program, encoding="utf-8") as file:
            copy.write_text(file.read().replace("FUNCTIONS: dict[str, Callable[..., Any]] = {", crash))
        monkeypatch.setattr(isolated_child, "__file__", str(copy))
        end_process()

    yield put
    end_process()


def test_plain_values_and_arrays_come_back(path):
    (variable,) = call("array_variables", path)
    assert (variable["name"], variable["shape"]) == ("ppg", [1, 5])
    np.testing.assert_array_equal(call("array_samples", path, "ppg", []), [np.arange(5.0)])


def test_one_process_serves_all_files_until_it_is_ended(path):
    call("array_variables", path)
    first = isolated._process
    call("array_variables", path)
    assert isolated._process is first
    end_process()
    assert first.popen.poll() is not None


@pytest.mark.parametrize("body", CRASHES)
def test_a_crash_is_an_error_and_the_next_file_is_read(path, with_body, body):
    with_body(body)
    with pytest.raises(LibraryError, match=CRASHES[body]):
        call("crash", path)
    assert call("sound", path) == 1


def test_a_process_that_died_between_two_files_is_replaced(path, with_body):
    with_body("pass")
    call("sound", path)
    os.kill(isolated._process.popen.pid, signal.SIGKILL)
    isolated._process.popen.wait()
    assert call("sound", path) == 1


def test_memory_and_time_are_bounded(path, with_body, monkeypatch):
    with_body("return len(bytes(10**10))")
    with pytest.raises(LibraryError, match="MemoryError"):
        call("crash", path)
    with_body("import time; time.sleep(60)")
    monkeypatch.setattr(isolated, "_SECONDS", 0.2)
    with pytest.raises(LibraryError, match="takes too long"):
        call("crash", path)


def test_what_a_library_prints_is_no_answer(path, with_body):
    with_body("os.write(1, b'warning'); return 1")
    assert call("crash", path) == 1


def test_threads_and_forks_do_not_mix_their_answers(path, with_body):
    with_body("return os.getpid()")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(call("crash", path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [answers[0]] * 8
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(call, ("crash", path)) != answers[0]
    assert call("crash", path) == answers[0]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ReadError, match="there is no such file"):
        call("array_variables", tmp_path / "a.mat")
