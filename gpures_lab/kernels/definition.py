"""``@gl.kernel``, ``@gl.reduction`` and ``gl.cpp_kernel``: from a body to a ``Kernel``."""

from __future__ import annotations

import ast
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from gpures_lab._core import _native
from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels.cpp.declaration import CppBody, read_cpp_body
from gpures_lab.kernels.definition_rules import (
    check_index_kernel,
    check_reduction,
    leading_indices,
)
from gpures_lab.kernels.function import Function, function_from_tree, read_function
from gpures_lab.kernels.identity import kernel_identity
from gpures_lab.kernels.numbers import number_of
from gpures_lab.kernels.source import Source

if TYPE_CHECKING:
    from gpures_lab.kernels.cuda.device_kernel import DeviceKernel

__all__ = ["Kernel", "cpp_kernel", "kernel", "kernel_from_source", "reduction"]


class Kernel(_native.KernelBase):
    """What Compute runs: a body with its captures, before any dtype is known.

    Attributes
    ----------
    name
        Of the function, or as given.
    kind
        ``"index"``, ``"reduction"`` or ``"block"``.
    language
        ``"python"`` or ``"cpp"``.
    indices
        1 to 3: how many of ``i``, ``j``, ``k`` the body has.
    parameters
        What a call binds, in declared order: arrays, then params by name. Without indices, and
        without a reduction's accumulator.
    defaults
        Params that a call may leave out, with their values.
    checked
        Whether out-of-range accesses are skipped and reported, unless a call says otherwise.
    source
        Text of the body.
    captures
        What the body refers to outside itself, with its value as text.
    init
        What a reduction's accumulator starts from.
    identity
        Digest of all of this: defining an equal body with equal captures again gives the same.
    definition
        The front end's own view of the body.
    """

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        language: str,
        indices: int,
        parameters: tuple[str, ...],
        defaults: Mapping[str, Any],
        checked: bool,
        source: str,
        captures: Mapping[str, str],
        init: Any,
        definition: Function | CppBody,
    ) -> None:
        self.name = name
        self.kind = kind
        self.language = language
        self.indices = indices
        self.parameters = parameters
        self.defaults = dict(defaults)
        self.checked = checked
        self.source = source
        self.captures = dict(captures)
        self.init = init
        self.definition = definition
        self.identity = kernel_identity(kind, language, indices, checked, init, definition.identity)
        self._bind_native(name, checked, False)

    def __int__(self) -> int:
        """Return its number, for rows of `gl.messages`."""
        return number_of(self)

    @property
    def versions(self) -> int:
        """How many compiled versions of it this process holds, one a choice of dtypes."""
        return self._native_counts()["versions"]

    def _scalars(self, inputs: int, outputs: int) -> tuple[tuple[str, ...], dict[str, Any]]:
        from gpures_lab.kernels.specialize import scalars

        return scalars(self, inputs, outputs)

    def _check_call(self, inputs: int, outputs: int, params: tuple[str, ...]) -> None:
        from gpures_lab.kernels.binding import bind

        bind(self, inputs, outputs, params)

    def _specialize(self, *call: Any) -> tuple[Any, ...]:
        from gpures_lab.kernels.specialize import specialize

        return specialize(self, *call)

    def _for_device(self, *call: Any) -> DeviceKernel:
        from gpures_lab.kernels.cuda.compilation import compile_device
        from gpures_lab.kernels.specialize import signature_of

        return compile_device(self, signature_of(self, *call))

    def __repr__(self) -> str:
        first = ["i", "j", "k"][: self.indices] if self.kind == "index" else ["acc"]
        unchecked = "" if self.checked else ", unchecked"
        names = ", ".join([*first, *self.parameters])
        return f"<{self.kind} kernel {self.name}({names}){unchecked}>"


@overload
def kernel(function: Callable[..., Any], /) -> Kernel: ...


@overload
def kernel(*, checked: bool = True) -> Callable[[Callable[..., Any]], Kernel]: ...


def kernel(
    function: Callable[..., Any] | None = None, /, *, checked: bool = True
) -> Kernel | Callable[[Callable[..., Any]], Kernel]:
    """Make an index-space kernel of a plain function.

    Parameters
    ----------
    function
        Leading parameters ``i`` (``j``, ``k``) are the indices; then inputs, outputs, and params
        by name. It is called for every index, in any order.
    checked
        True: an access out of range is skipped and becomes an error completion.

    Returns
    -------
    Kernel
        Nothing is compiled yet; the body and what it captures have been read.

    Raises
    ------
    CompileError
        The body uses what kernels do not have; the message shows the line.
    """
    if function is None:
        return lambda inner: _index_kernel(_plain(inner), checked)
    return _index_kernel(_plain(function), checked)


def reduction(function: Callable[..., Any] | None = None, /, *, init: Any) -> Any:
    """Make a reduction of ``def total(acc, v): return acc + v``, used as ``@gl.reduction(init=0)``.

    Parameters
    ----------
    function
        First parameter the accumulator, which has the output's dtype; then one value of each
        input; then params by name. Returns the new accumulator.
    init
        A Python or NumPy number: what the accumulator starts from, and the result over nothing.

    Raises
    ------
    CompileError
        The body uses what kernels do not have, or does not return on every path.
    """

    def decorate(inner: Callable[..., Any]) -> Kernel:
        body = read_function(_plain(inner))
        check_reduction(body, init)
        return _python_kernel(body, kind="reduction", parameters=body.parameters[1:], init=init)

    return decorate if function is None else decorate(function)


def cpp_kernel(
    name: str, parameters: str, body: str, *, indices: int = 1, checked: bool = True
) -> Kernel:
    """Make a kernel of C++ statements, run for every index.

    Parameters
    ----------
    name
        What errors and metrics call it.
    parameters
        As in C++: ``"const float* x, float* z, float w"``. Pointers to const are inputs, other
        pointers outputs, everything else params.
    body
        Statements; ``i`` (``j``, ``k``) and ``n``, the count of indices, are given. Subscripts
        are flat; ``x.size()`` and ``x.shape(d)`` too in a checked body.
    indices
        1 to 3.
    checked
        True: an out-of-range access is skipped and reported, and pointers can only be subscripted.

    Raises
    ------
    CompileError
        A declaration or a use of a pointer that kernels do not have. The compiler's own errors
        come at the first call.
    """
    definition = read_cpp_body(name, parameters, body, indices, checked)
    return Kernel(
        name=name,
        kind="index",
        language="cpp",
        indices=indices,
        parameters=definition.names,
        defaults={},
        checked=checked,
        source=body,
        captures={},
        init=None,
        definition=definition,
    )


def kernel_from_source(
    name: str,
    body: str,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: Sequence[str] = (),
    namespace: Mapping[str, Any],
    indices: int = 1,
    filename: str = "<cell>",
    first_line: int = 1,
    checked: bool = True,
) -> Kernel:
    """Make an index-space kernel of bare Python statements, such as the body of a cell.

    ``n`` is the count of indices, unless the body assigns it or it is one of the arguments.

    Parameters
    ----------
    inputs, outputs, params
        Names in the body that a call binds, in this order.
    namespace
        Where the other names are looked up, now.
    filename, first_line
        Where errors say the body is.
    """
    if not name.isidentifier():
        raise InvalidOption(f"a kernel's name is an identifier, such as blur; {name!r} is none")
    source = Source(name, filename, first_line, textwrap.dedent(body))
    try:
        statements = ast.parse(source.text).body
    except SyntaxError as reason:
        raise source.error(f"{reason.msg}", reason.lineno) from reason
    if not statements:
        raise source.error("the body is empty")
    names = [*"ijk"[:indices], *inputs, *outputs, *params]
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(arg=each) for each in names],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    tree = ast.FunctionDef(name=name, args=arguments, body=statements, decorator_list=[])
    definition = function_from_tree(source, tree, ({}, namespace), count="n")
    check_index_kernel(definition, indices)
    return _python_kernel(
        definition, indices=indices, parameters=tuple(names[indices:]), checked=checked
    )


def _plain(function: Callable[..., Any]) -> types.FunctionType:
    if not isinstance(function, types.FunctionType):
        raise CompileError(
            f"a kernel is made of a plain function, not of a {type(function).__name__}"
        )
    return function


def _index_kernel(function: types.FunctionType, checked: bool) -> Kernel:
    body = read_function(function)
    indices = leading_indices(body)
    check_index_kernel(body, indices)
    return _python_kernel(
        body, indices=indices, parameters=body.parameters[indices:], checked=checked
    )


def _python_kernel(
    body: Function,
    *,
    kind: str = "index",
    indices: int = 1,
    parameters: tuple[str, ...],
    checked: bool = True,
    init: Any = None,
) -> Kernel:
    return Kernel(
        name=body.source.name,
        kind=kind,
        language="python",
        indices=indices,
        parameters=parameters,
        defaults=body.defaults,
        checked=checked,
        source=body.source.text,
        captures=body.capture_texts(),
        init=init,
        definition=body,
    )
