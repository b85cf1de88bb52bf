"""``%%grain_compute`` in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.magics.arguments import example_of

if TYPE_CHECKING:
    from tests.magics.shells import Notebook


@pytest.fixture
def filled(notebook: Notebook) -> Notebook:
    """Return a notebook with x = 0..7, z = -1 and a = 0.5."""
    notebook("%grain_alloc x --from np.arange(8,dtype='f4')\n%grain_alloc z 8 --fill -1\na = 0.5")
    return notebook


def values(notebook: Notebook, name: str = "z") -> list[float]:
    return list(np.asarray(notebook.names[name]).ravel())


@pytest.mark.parametrize("lang", ["python", "cpp"])
def test_names_are_inferred(filled: Notebook, lang: str) -> None:
    """Catches a number passed as an int, a local taken for a param, an index that is missing."""
    semi = ";" if lang == "cpp" else ""
    local = "float t" if lang == "cpp" else "t"
    filled(f"%%grain_compute --lang {lang}\n{local} = a * x[i]{semi}\nz[i] = t + n{semi}")
    assert values(filled) == [8 + 0.5 * k for k in range(8)]


def test_two_indices_by_the_highest_that_is_read(filled: Notebook) -> None:
    filled("%grain_alloc m 2 3\n")
    filled("%%grain_compute\nm[i, j] = 10 * i + j")
    assert values(filled, "m") == [0, 1, 2, 10, 11, 12]


def test_params_options_and_times(filled: Notebook) -> None:
    """Catches --n ignored, or a param that the namespace overrides."""
    cell = "%%grain_compute --param a=2 --n 3 --time --fast --name twice\nz[i] = a * x[i]"
    assert filled(cell).kernel == "twice"
    assert values(filled) == [0, 2, 4, -1, -1, -1, -1, -1]
    filled("%%grain_compute --repeat 3\nz[i] += 1")
    assert values(filled) == [3, 5, 7, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("option", ["--repeat True", "--repeat 0", "--repeat 2.0", "--n False"])
def test_what_counts_nothing_is_no_count(filled: Notebook, option: str) -> None:
    """Catches True that runs a cell once, and a float that is cut."""
    error = filled.refused(f"%%grain_compute {option}\nz[i] = x[i]")
    assert f"{option}: give a whole number" in str(error)
    assert values(filled)[1] == -1


def test_counts_of_numpy_are_counts(filled: Notebook) -> None:
    filled("%%grain_compute --repeat np.int64(2) --n np.uint8(3)\nz[i] += 1")
    assert values(filled)[:4] == [1, 1, 1, -1]


def test_noblock_gives_the_completion(filled: Notebook) -> None:
    assert filled("%%grain_compute --noblock\nz[i] = x[i]").result().kernel == "cell"
    assert filled("%%grain_compute --noblock --into c\nz[i] = -x[i]") is None
    filled.names["c"].result()
    assert values(filled)[1] == -1


def test_an_equal_cell_adds_no_kernel(filled: Notebook) -> None:
    """Catches a compile at each run of a cell, or at each value of a number."""
    filled("%%grain_compute\nz[i] = a * x[i]")
    before = gl.manager().kernels()
    kernels = [use.versions for use in before]
    filled("a = 0.25")
    result = filled("%%grain_compute --time\nz[i] = a * x[i]  # again")
    assert result.cache_hit
    assert repr(result).startswith("z ← cell(x, a)  compiled once  queue ")
    assert values(filled)[4] == 1
    assert sorted(use.versions for use in gl.manager().kernels()) == sorted(kernels)


def test_a_cell_that_is_run_again_means_what_its_names_mean_now(filled: Notebook) -> None:
    """Would catch: what the cell came to the first time, although a name is another thing now."""
    cell = "%%grain_compute\nz[i] = abs(a * x[i])"
    filled("a = -2")
    filled(cell)
    assert values(filled)[:3] == [0, 2, 4]
    filled("a = 3.0")
    filled(cell)
    assert values(filled)[:3] == [0, 3, 6]
    filled("%grain_alloc x --from np.arange(8) --dtype float64")
    filled("x.write(5).result()")
    filled(cell)
    assert values(filled)[:3] == [15, 15, 15]
    filled("a = np.zeros(8)")
    assert "a is a NumPy array on the host" in str(filled.refused(cell))
    filled("a = x")
    assert "used as a number" in str(filled.refused(cell))
    filled("a = 1.0\ndef abs(v):\n    return v + 100")
    filled(cell)
    assert values(filled)[:3] == [105, 105, 105]
    filled("def abs(v):\n    return v + 200")
    filled(cell)
    assert values(filled)[:3] == [205, 205, 205]
    # What a function of the notebook reads may change without the function.
    filled("shift = 1.0\ndef moved(v):\n    return v + shift")
    filled("%%grain_compute\nz[i] = moved(x[i])")
    filled("shift = 2.0")
    filled("%%grain_compute\nz[i] = moved(x[i])")
    assert values(filled)[:3] == [7, 7, 7]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("z[i] = w", "w is not defined"),
        ("z[i] = sorted(x)[i]", "kernels have no sorted; of Python's own functions they have abs"),
        ("z[i] = px[i]", "px is a NumPy array on the host: %grain_alloc x --from px"),
        ("z[i] = x", "used as a number"),
        ("z[i] = a[i]", "a is a float, no resident array"),
        ("x = 1.0\nz[i] = x[i]", "is a number in this body, and it is indexed"),
        ("t = x[i]", "the body stores nothing"),
        ("i[0] = 1", "is a number in this body"),
        ("z[i] = (", "line 2"),
        (
            "z[i] = holder.b * x[i]",
            "by name: assign b = holder.b before the cell and use b",
        ),
        ("z[i] = 1\nholder.b.c[i] = 1", "line 3: holder.b.c is an attribute of a Holder"),
        ("nosuch[i] = 1", "nosuch is not defined: %grain_alloc nosuch 1024"),
    ],
)
def test_a_refused_body_leaves_the_grain_untouched(filled: Notebook, body: str, words: str) -> None:
    """Catches an upload or a store before the whole body is understood."""
    filled.names["px"] = np.zeros(8)
    filled("class Holder: b = 2.0\nholder = Holder()")
    messages = filled("%grain_metrics").total_messages_processed
    error = filled.refused(f"%%grain_compute\n{body}")
    assert isinstance(error, gl.GpuResError)
    assert words in str(error)
    assert filled("%grain_metrics").total_messages_processed == messages
    assert set(gl.manager().grain().handles) == {"x", "z"}


def test_help_and_example(filled: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    filled("%%grain_compute -h\nz[i] = 1")
    assert capsys.readouterr().out.startswith("usage: %%grain_compute ")
    assert values(filled) == [-1] * 8
    filled(example_of(filled.shell.find_cell_magic("grain_compute")))
    assert values(filled)[2] == 1


@pytest.mark.parametrize("lang", ["python", "cpp"])
def test_a_param_that_the_body_does_not_use_is_refused(filled: Notebook, lang: str) -> None:
    """Catches a typo that computes with the notebook's value instead."""
    cell = f"%%grain_compute --lang {lang} --param b=1\nz[i] = a * x[i];"
    assert "--param b: the body has no number of that name; it has a" in str(filled.refused(cell))


def test_a_kernels_name_is_an_identifier(filled: Notebook) -> None:
    error = filled.refused("%%grain_compute --name 1x\nz[i] = x[i]")
    assert "a kernel's name is an identifier" in str(error)


@pytest.mark.parametrize("store", ["m[i, j]", "m[i][j]", "m(i, j)"])
def test_cpp_has_flat_subscripts(filled: Notebook, store: str) -> None:
    """Catches the comma operator, and 'the body stores nothing' said of a store."""
    filled("%grain_alloc m 2 3\n")
    error = filled.refused(f"%%grain_compute --lang cpp\n{store} = 10 * i + j;")
    assert "m[i * m.shape(1) + j]" in str(error)
    assert values(filled, "m") == [0] * 6


def test_adding_up_in_a_cell(filled: Notebook) -> None:
    """Catches the first sum that everybody writes, which gave the first element."""
    filled("%grain_alloc total 1\n")
    error = filled.refused("%%grain_compute\ntotal[0] += x[i]")
    assert "x has 8 elements" in str(error)
    assert "kernels/Sum" in str(error)
    error = filled.refused("%%grain_compute --n 8\ntotal[0] += x[i]")
    assert "8 indices" in str(error)
    filled("%%grain_compute --n 1\nfor q in range(x.size):\n    total[0] += x[q]")
    assert values(filled, "total") == [28]


@pytest.mark.parametrize(
    ("body", "cure"),
    [
        ("z[i] = math.sqrt(x[i])", "math is not defined; import math before"),
        ("z[i] = other.f(x[i])", "other is not defined; import or assign other before"),
        ("z[i] = sqrt(x[i])", "sqrt is not defined; import math before, and write math.sqrt"),
        ("z[i] = square(x[i])", "import numpy as np before, and write np.square"),
        ("z[i] = bump(x[i])", "bump is not defined; define that function before: def bump(…)"),
        ("z[i] = gain * x[i]", "gain is not defined; assign it, or give --param gain=…"),
        ("import math\nz[i] = math.sqrt(x[i])", "imports nothing: import it before"),
        ("f = lambda v: v * 2\nz[i] = f(x[i])", "defines no function: define it before, with def"),
        ("def f(v):\n    return v\nz[i] = f(x[i])", "defines no function"),
        ("z[i] = sum([x[q] for q in range(3)])", "has no comprehension: loop with for"),
        ("z[i] = cfg['g'] * x[i]", "cfg['g'] is an item of a dict"),
        ("z[i] = cfg['g'] * x[i]", "assign value = cfg['g'] before the cell"),
    ],
)
def test_what_is_said_of_names_is_about_them(filled: Notebook, body: str, cure: str) -> None:
    """Catches --param for a function, and a cure that would replace a dict."""
    filled("cfg = {'g': 2.0}")
    assert cure in str(filled.refused(f"%%grain_compute\n{body}"))
    assert filled.names["cfg"] == {"g": 2.0}


def test_no_cure_replaces_what_a_name_means(filled: Notebook) -> None:
    filled("cfg = {'g': 2.0}")
    for cell in ("%grain_write cfg 1", "%grain_read cfg", "%%grain_compute --out cfg\ncfg[i] = 1"):
        assert "%grain_alloc cfg" not in str(filled.refused(cell))


def test_a_completion_gets_no_name_that_python_needs(filled: Notebook) -> None:
    error = filled.refused("%%grain_compute --noblock --into print\nz[i] = x[i]")
    assert "Python's own" in str(error)
