"""What is asked of the machine, and what is done where it refuses."""

from collections.abc import Callable

import pytest
import torch

from pseudoword import device
from pseudoword.device import pick_device

Asked = list[tuple[int, int]]


def libc(most: int, asked: Asked) -> Callable[[str], Callable[[int, int], int]]:
    """A C library that maps apart, at most, from `most` bytes on."""

    def mallopt(option: int, value: int) -> int:
        asked.append((option, value))
        return int(option != device.M_MMAP_THRESHOLD or value <= most)

    return lambda name: mallopt


@pytest.mark.parametrize(("most", "mapped"), [(2**31, [2**30]), (2**25, [2**30, 2**25])])
def test_memory_is_kept_as_far_as_libc_can(
    most: int, mapped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Asked = []
    monkeypatch.setattr(device, "_of_libc", libc(most, asked))
    device.keep_memory()
    sizes = [value for option, value in asked if option == device.M_MMAP_THRESHOLD]
    assert sizes == mapped and len(asked) == len(mapped) + 2


def test_what_libc_refuses_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other option alone would keep glibc from raising the first one by itself."""
    asked: Asked = []
    monkeypatch.setattr(device, "_of_libc", libc(0, asked))
    device.keep_memory()
    assert {option for option, _ in asked} == {device.M_MMAP_THRESHOLD}


@pytest.mark.parametrize("kind", ["linux", "darwin"])
def test_a_system_without_such_a_library_goes_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError("no dynamic linker")

    monkeypatch.setattr(device.sys, "platform", kind)
    monkeypatch.setattr("ctypes.CDLL", refuse)
    device.keep_memory()
    assert device._of_libc("mallopt") is None


def test_a_gpu_that_is_full_is_not_told_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(torch.OutOfMemoryError):
        pick_device("cpu")
