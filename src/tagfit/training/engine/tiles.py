"""Tiles of a matrix product, as vector instructions.

A tile of c is kept in registers while the sum runs: for each term a few vectors of b, each times a value of each row
of a (Goto & van de Geijn 2008). Compilers do not find this from loops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, typing
from numba.core.base import BaseContext
from numba.extending import intrinsic

#: of this file: compiled loops that were cached with other tiles are not used
DIGEST = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]

_FEATURES = llvm.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))

#: a signature, and what writes the instructions
Typed = tuple[typing.Signature, Callable[..., ir.Value]]

#: bytes of a vector register, and rows of a tile, so that two vectors a row fit into the registers there are
BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx2") else 16
ROWS = 8 if _WIDE or BYTES == 16 else 6


def _tile(rows: int, vectors: int, masked: bool) -> Callable[..., None]:
    """A function that compiled loops call to compute `rows` x `vectors` registers of c."""

    def typed(
        typingctx: typing.BaseContext,
        a: types.Array,
        a_row: types.Integer,
        a_term: types.Integer,
        b: types.Array,
        b_term: types.Integer,
        c: types.Array,
        c_row: types.Integer,
        terms: types.Integer,
        columns: types.Integer,
        more: types.Boolean,
    ) -> Typed:
        """c (+)= a @ b, for a[row * a_row + term * a_term], b[term * b_term + column], c[row * c_row + column].

        Args:
            a, b, c: flat arrays of one dtype that begin at the tile.
            columns: of the tile, where it is masked.
            more: whether to add to what c holds.
        """
        signature = types.void(a, a_row, a_term, b, b_term, c, c_row, terms, columns, more)

        def generate(
            context: BaseContext, builder: ir.IRBuilder, signature: typing.Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            kinds = signature.args
            number = context.get_value_type(kinds[0].dtype)
            lanes = BYTES // kinds[0].dtype.bitwidth * 8
            vector = ir.VectorType(number, lanes)
            align = kinds[0].dtype.bitwidth // 8

            def pointer(position: int) -> ir.Value:
                return context.make_array(kinds[position])(context, builder, arguments[position]).data

            def whole(position: int) -> ir.Value:
                return context.cast(builder, arguments[position], kinds[position], types.int64)

            a, b, c = pointer(0), pointer(3), pointer(5)
            a_row, a_term, b_term, c_row, terms, columns, more = (whole(n) for n in (1, 2, 4, 6, 7, 8, 9))
            int64 = ir.IntType(64)

            def at(base: ir.Value, *indices: ir.Value) -> ir.Value:
                place = indices[0]
                for index in indices[1:]:
                    place = builder.add(place, index)
                return builder.gep(base, [place])

            mask_kind, int32 = ir.VectorType(ir.IntType(1), lanes), ir.IntType(32)

            def splat(value: ir.Value) -> ir.Value:
                undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
                single = builder.insert_element(undefined, value, ir.Constant(int32, 0))
                zeros = ir.Constant(ir.VectorType(int32, lanes), [0] * lanes)
                return builder.shuffle_vector(single, undefined, zeros)

            nothing = ir.Constant(vector, [0.0] * lanes)
            if masked:
                numbers = ir.Constant(ir.VectorType(int64, lanes), list(range(lanes)))
                mask = builder.icmp_signed("<", numbers, splat(columns))
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

            def load(base: ir.Value) -> ir.Value:
                place = builder.bitcast(base, vector.as_pointer())
                if masked:
                    return builder.call(read, [place, ir.Constant(int32, align), mask, nothing])
                return builder.load(place, align=align)

            def store(value: ir.Value, base: ir.Value) -> None:
                place = builder.bitcast(base, vector.as_pointer())
                if masked:
                    builder.call(write, [value, place, ir.Constant(int32, align), mask])
                else:
                    builder.store(value, place, align=align)

            def constant(value: int) -> ir.Value:
                return ir.Constant(int64, value)

            sums = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(rows)]
            places = [
                [at(c, builder.mul(constant(row), c_row), constant(number * lanes)) for number in range(vectors)]
                for row in range(rows)
            ]
            adds = builder.icmp_signed("!=", more, constant(0))
            registers = list(product(range(rows), range(vectors)))
            with builder.if_else(adds) as (yes, no):
                with yes:
                    for row, number_ in registers:
                        builder.store(load(places[row][number_]), sums[row][number_])
                with no:
                    for row, number_ in registers:
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
            for row, number_ in registers:
                store(builder.load(sums[row][number_]), places[row][number_])
            return context.get_dummy_value()

        return signature, generate

    typed.__name__ = f"tile_{rows}_{vectors}{'_masked' if masked else ''}"
    made: Callable[..., None] = intrinsic(typed)
    return made


double_tile = _tile(ROWS, 2, False)
tile = _tile(ROWS, 1, False)
narrow_tile = _tile(ROWS, 1, True)
row_tile = _tile(1, 1, True)


@intrinsic  # type: ignore[untyped-decorator]
def power_of_2(typingctx: typing.BaseContext, exponent: types.Integer) -> Typed:
    """2 to an int32 from -126 to 127, as float32, made of its bits."""

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: typing.Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        int32 = ir.IntType(32)
        bits = builder.shl(builder.add(arguments[0], ir.Constant(int32, 127)), ir.Constant(int32, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate
