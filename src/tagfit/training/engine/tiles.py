"""Tiles of a matrix product, as vector instructions.

A tile of c is kept in registers while the sum runs: for each term a few vectors of b, each times a value of each row
of a (Goto & van de Geijn 2008). Compilers do not find this from loops.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: of this file: compiled loops that were cached with other tiles are not used
DIGEST = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]

_FEATURES = llvm.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))

#: bytes of a vector register, and rows of a tile, so that two vectors a row fit into the registers there are
BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx2") else 16
ROWS = 8 if _WIDE or BYTES == 16 else 6


def _tile(rows: int, vectors: int, masked: bool) -> Any:
    """A function that compiled loops call to compute `rows` x `vectors` registers of c."""

    def typed(typingctx: Any, a: Any, a_row: Any, a_term: Any, b: Any, b_term: Any, c: Any, c_row: Any, terms: Any,
              columns: Any, more: Any) -> Any:  # fmt: skip
        """c (+)= a @ b, for a[row * a_row + term * a_term], b[term * b_term + column], c[row * c_row + column].

        Args:
            a, b, c: flat arrays of one dtype that begin at the tile.
            columns: of the tile, where it is masked.
            more: whether to add to what c holds.
        """
        signature = types.void(a, a_row, a_term, b, b_term, c, c_row, terms, columns, more)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            number = context.get_value_type(kinds[0].dtype)
            lanes = BYTES // kinds[0].dtype.bitwidth * 8
            vector = ir.VectorType(number, lanes)
            align = kinds[0].dtype.bitwidth // 8

            def pointer(position: int) -> Any:
                return context.make_array(kinds[position])(context, builder, arguments[position]).data

            def whole(position: int) -> Any:
                return context.cast(builder, arguments[position], kinds[position], types.int64)

            a, b, c = pointer(0), pointer(3), pointer(5)
            a_row, a_term, b_term, c_row, terms, columns, more = (whole(n) for n in (1, 2, 4, 6, 7, 8, 9))
            int64 = ir.IntType(64)

            def at(base: Any, *indices: Any) -> Any:
                place = indices[0]
                for index in indices[1:]:
                    place = builder.add(place, index)
                return builder.gep(base, [place])

            def splat(value: Any) -> Any:
                single = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
                )
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)

            mask_kind, int32 = ir.VectorType(ir.IntType(1), lanes), ir.IntType(32)
            nothing = ir.Constant(vector, [0.0] * lanes)
            if masked:
                numbers = ir.Constant(ir.VectorType(int64, lanes), list(range(lanes)))
                single = builder.insert_element(ir.Constant(numbers.type, ir.Undefined), columns, ir.Constant(int32, 0))
                zeros = ir.Constant(ir.VectorType(int32, lanes), [0] * lanes)
                limit = builder.shuffle_vector(single, ir.Constant(numbers.type, ir.Undefined), zeros)
                mask = builder.icmp_signed("<", numbers, limit)
                suffix = f"v{lanes}f{align * 8}.p0"
                place = vector.as_pointer()
                read = cgutils.get_or_insert_function(
                    builder.module,
                    ir.FunctionType(vector, [place, int32, mask_kind, vector]),
                    f"llvm.masked.load.{suffix}",
                )
                write = cgutils.get_or_insert_function(
                    builder.module,
                    ir.FunctionType(ir.VoidType(), [vector, place, int32, mask_kind]),
                    f"llvm.masked.store.{suffix}",
                )

            def load(base: Any) -> Any:
                place = builder.bitcast(base, vector.as_pointer())
                if masked:
                    return builder.call(read, [place, ir.Constant(int32, align), mask, nothing])
                return builder.load(place, align=align)

            def store(value: Any, base: Any) -> None:
                place = builder.bitcast(base, vector.as_pointer())
                if masked:
                    builder.call(write, [value, place, ir.Constant(int32, align), mask])
                else:
                    builder.store(value, place, align=align)

            def constant(value: int) -> Any:
                return ir.Constant(int64, value)

            sums = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(rows)]
            places = [
                [at(c, builder.mul(constant(row), c_row), constant(number * lanes)) for number in range(vectors)]
                for row in range(rows)
            ]
            adds = builder.icmp_signed("!=", more, constant(0))
            with builder.if_else(adds) as (yes, no):
                with yes:
                    for row in range(rows):
                        for number_ in range(vectors):
                            builder.store(load(places[row][number_]), sums[row][number_])
                with no:
                    for row in range(rows):
                        for number_ in range(vectors):
                            builder.store(nothing, sums[row][number_])
            with cgutils.for_range(builder, terms) as loop:
                term = loop.index
                begin = builder.mul(term, b_term)
                loaded = [load(at(b, begin, constant(number_ * lanes))) for number_ in range(vectors)]
                across = builder.mul(term, a_term)
                for row in range(rows):
                    value = splat(builder.load(at(a, builder.mul(constant(row), a_row), across)))
                    for number_ in range(vectors):
                        times = builder.fmul(value, loaded[number_], flags=("contract",))
                        total = builder.fadd(builder.load(sums[row][number_]), times, flags=("contract",))
                        builder.store(total, sums[row][number_])
            for row in range(rows):
                for number_ in range(vectors):
                    store(builder.load(sums[row][number_]), places[row][number_])
            return context.get_dummy_value()

        return signature, generate

    typed.__name__ = f"tile_{rows}_{vectors}{'_masked' if masked else ''}"
    return intrinsic(typed)


double_tile = _tile(ROWS, 2, False)
tile = _tile(ROWS, 1, False)
narrow_tile = _tile(ROWS, 1, True)
row_tile = _tile(1, 1, True)


@intrinsic  # type: ignore[untyped-decorator]
def power_of_2(typingctx: Any, exponent: Any) -> Any:
    """2 to an int32 from -126 to 127, as float32, made of its bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        int32 = ir.IntType(32)
        bits = builder.shl(builder.add(arguments[0], ir.Constant(int32, 127)), ir.Constant(int32, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate
