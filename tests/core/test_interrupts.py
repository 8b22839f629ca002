"""Ctrl-C is kept back until it does no harm."""

from __future__ import annotations

import signal
import threading

import pytest

from ppgssl.core.interrupts import postponed_interrupt


def test_an_interrupt_is_noted_instead_of_raised():
    with postponed_interrupt() as is_interrupted:
        assert not is_interrupted()
        signal.raise_signal(signal.SIGINT)
        assert is_interrupted()


def test_a_second_interrupt_is_obeyed_at_once():
    with postponed_interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_interrupts_work_as_before():
    before = signal.getsignal(signal.SIGINT)
    with postponed_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_interrupts_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with postponed_interrupt() as is_interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not is_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_can_train_too():
    seen = []

    def work():
        with postponed_interrupt() as is_interrupted:
            seen.append(is_interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
