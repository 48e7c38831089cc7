"""A shortage of memory, however it shows, is one line with the exit code 2 or 75."""

import errno
import resource
import subprocess
import sys

import pytest

from srgan.system import memory
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from srgan.system.files import writing
from srgan.system.memory import GB, Room
from tests.conftest import ROOT

ROOMY = [Room(6 * GB, 8 * GB, "this machine")]


def say() -> str:
    return "take --batch-size 4"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("Status: 1, message: could not create a primitive, in file mkl_transpose_op"),
        RuntimeError("OOM when allocating tensor with shape[64,64,64,128] and type float"),
        RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("failed to create cublas handle: the resource allocation failed"),
        RuntimeError("Dst tensor is not initialized."),  # a copy to a GPU that is full
    ],
)
def test_shortage_in_any_words_is_one_line_with_the_stage_and_the_remedy(error, monkeypatch):
    monkeypatch.setattr(memory, "rooms", lambda: ROOMY)
    with pytest.raises(UserError) as raised, memory.told("the GAN", say):
        raise error
    assert str(raised.value).startswith("out of memory in the GAN: ")
    assert str(raised.value).endswith(": take --batch-size 4")
    assert raised.value.exit_code == BAD_INPUT


def test_shortage_while_a_file_is_written_is_not_told_of_the_folder():
    with pytest.raises(UserError) as raised, memory.told("the store", say), writing("a"):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    assert str(raised.value).startswith("out of memory in the store: ")


def test_line_says_what_was_asked_for():
    asked = r"it asked for tensor with shape\[3,3\]"
    with pytest.raises(UserError, match=asked), memory.told("the GAN", say):
        raise RuntimeError("OOM when allocating tensor with shape[3,3] and type float")


def test_shortage_on_the_gpu_says_so_and_not_what_the_machine_has_left():
    text = "OOM when allocating tensor with shape[64,8] on /device:GPU:0 by allocator GPU_0_bfc"
    with pytest.raises(UserError) as raised, memory.told("the GAN", say):
        raise RuntimeError(text)
    what = "it asked for tensor with shape[64,8] on the GPU"
    assert str(raised.value) == f"out of memory in the GAN: {what}: take --batch-size 4"


@pytest.mark.parametrize("error", [ValueError("shape"), UserError("out of memory: told before")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised, memory.told("the GAN", say):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("room", "code"),
    [
        (Room(1 * GB, 16 * GB, "this machine", own=2 * GB), TRY_AGAIN),
        (Room(1 * GB, 16 * GB, "this machine", own=12 * GB), BAD_INPUT),
        (Room(1 * GB, 16 * GB, memory.ULIMIT, own=2 * GB), BAD_INPUT),
    ],
)
def test_exit_code_is_75_where_others_hold_the_memory(room, code):
    assert room.exit_code(4 * GB) == code


@pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")
class TestLinux:
    def child(self, text: str, limit: int = 400 << 20):
        """Python code under a limit of address space."""
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{text}"
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )

    @pytest.mark.parametrize("crash", ["libc.abort()", "ctypes.string_at(0)"])
    @pytest.mark.parametrize("thread", [False, True])
    def test_crash_of_a_library_under_a_limit_is_one_line(self, crash, thread):
        call = "threading.Thread(target=crash).start(); time.sleep(9)" if thread else "crash()"
        done = self.child(
            "import ctypes, threading, time\n"
            "from srgan.system import memory\n"
            "libc = ctypes.CDLL(None)\n"
            f"def crash(): {crash}\n"
            f"with memory.told('the GAN', lambda: 'take less'): {call}\n"
        )
        assert done.returncode == BAD_INPUT
        assert done.stderr.count("\n") == 1
        assert "out of memory in the GAN: " in done.stderr
        assert done.stderr.endswith("are free: take less\n")

    def test_crash_afterwards_ends_as_it_always_did(self):
        done = self.child(
            "import ctypes\nfrom srgan.system import memory\n"
            "with memory.told('the GAN', str): pass\n"
            "ctypes.CDLL(None).abort()\n"
        )
        assert done.returncode == -6

    def test_limit_of_address_space_is_the_tightest_room(self):
        done = self.child("from srgan.system import memory; print(memory.rooms()[0])")
        assert f"limit={400 << 20}, of='ulimit -v'" in done.stdout

    def test_start_without_address_space_is_refused_at_once(self):
        done = self.child(
            "from srgan.cli import main; sys.exit(main(['train', '--pretrain-steps', '0', "
            "'--gan-steps', '0']))",
            150 << 20,
        )
        assert done.returncode == BAD_INPUT
        assert done.stderr.count("\n") == 1
        assert "out of memory in --run train: its start takes" in done.stderr


@pytest.mark.parametrize(
    ("folder", "limit", "used", "prefix", "mapped"),
    [
        ("", "memory.max", "memory.current", "", "file_mapped"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_", "total_mapped_file"),
    ],
)
def test_cached_files_of_a_container_are_free_but_not_what_is_mapped(
    tmp_path, monkeypatch, folder, limit, used, prefix, mapped
):
    """A store that was read twice is active; it is given back all the same."""
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    group = tmp_path / folder
    group.mkdir(exist_ok=True)
    (group / limit).write_text(f"{3 << 20}\n")
    (group / used).write_text(f"{2500 << 10}\n")
    sizes = {"inactive_anon": 9, "inactive_file": 800 << 10, "active_file": 500 << 10}
    lines = [f"{prefix}{name} {size}" for name, size in sizes.items()]
    (group / "memory.stat").write_text("\n".join([*lines, f"{mapped} {100 << 10}"]) + "\n")
    (room,) = [room for room in memory.rooms() if room.of == "the control group"]
    assert room.free == (3 << 20) - (2500 << 10) + (1200 << 10)
