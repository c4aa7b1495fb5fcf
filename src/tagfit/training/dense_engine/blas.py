"""Matrix products inside compiled loops: SciPy's BLAS, called by its address.

`scipy.linalg.cython_blas` is SciPy's public door to the BLAS that it ships. The address is handed in as a number, so
that compiled code that calls it can be cached: it lies elsewhere in every process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 (its threads can be limited only once it is loaded)
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic


def address_of(dtype: np.dtype[Any]) -> int:
    """Where the general matrix product of float32 or float64 begins."""
    name = {4: "sgemm", 8: "dgemm"}[dtype.itemsize]
    address: int = get_cython_function_address("scipy.linalg.cython_blas", name)
    return address


@intrinsic  # type: ignore[untyped-decorator]
def product(
    typingctx: Any, address: Any, turn_a: Any, turn_b: Any, m: Any, n: Any, k: Any, a: Any, b: Any, c: Any
) -> Any:
    """c = a @ b, as Fortran sees it: (m, n) = (m, k) @ (k, n), columns first, a or b turned where `turn` is not 0.

    Args:
        a, b, c: contiguous arrays of one dtype; c must not overlap the others.
    """
    signature = types.void(address, turn_a, turn_b, m, n, k, a, b, c)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integers = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(arguments[:6], signature.args[:6], strict=True)
        ]
        where, turned_a, turned_b, rows, columns, inner = integers
        number = context.get_value_type(signature.args[6].dtype)
        int32, byte = ir.IntType(32), ir.IntType(8)

        def stored(value: Any, kind: Any) -> Any:
            place = cgutils.alloca_once(builder, kind)
            builder.store(value, place)
            return place

        def whole(value: Any) -> Any:
            return stored(builder.trunc(value, int32), int32)

        def letter(turned: Any) -> Any:
            is_turned = builder.icmp_signed("!=", turned, ir.Constant(turned.type, 0))
            return stored(builder.select(is_turned, ir.Constant(byte, ord("T")), ir.Constant(byte, ord("N"))), byte)

        def leading(turned: Any, usual: Any, otherwise: Any) -> Any:
            is_turned = builder.icmp_signed("!=", turned, ir.Constant(turned.type, 0))
            return whole(builder.select(is_turned, otherwise, usual))

        pointers = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[6:], arguments[6:], strict=True)
        ]
        one, zero = stored(ir.Constant(number, 1.0), number), stored(ir.Constant(number, 0.0), number)
        call = [
            letter(turned_a), letter(turned_b), whole(rows), whole(columns), whole(inner), one,
            pointers[0], leading(turned_a, rows, inner), pointers[1], leading(turned_b, inner, columns), zero,
            pointers[2], whole(rows),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in call])
        builder.call(builder.inttoptr(where, kind.as_pointer()), call)
        return context.get_dummy_value()

    return signature, generate
