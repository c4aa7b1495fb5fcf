import numpy as np
import pytest

from tagfit.io.memory_maps import release


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_what_a_released_map_holds_stays(tmp_path, mode):
    values = np.arange(100_000, dtype=np.float32).reshape(1000, 100)
    values.tofile(tmp_path / "values")
    x = np.memmap(tmp_path / "values", np.float32, mode, shape=values.shape)
    if mode != "r":
        x[5] = values[5] = -1
    for view in (x, x[10:20], np.asarray(x), np.ascontiguousarray(x)):
        release(view)
    assert (x == values).all()


def test_released_pages_leave_memory(tmp_path):
    np.ones(50_000_000, np.uint8).tofile(tmp_path / "ones")
    x = np.memmap(tmp_path / "ones", np.uint8, "r")
    assert int(x.sum()) == 50_000_000
    before = resident_kb()
    release(np.asarray(x)[100:])
    assert resident_kb() < before - 40_000


def resident_kb():
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    except OSError:
        pytest.skip("only Linux says how much is resident")


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((4, 4))[::2].T, np.zeros(0)])
def test_other_arrays_stay_as_they_are(x):
    before = x.copy()
    release(x)
    assert (x == before).all()
