"""Eight float32 lanes at a time, for Numba kernels.

LLVM's loop vectoriser does not turn a window of nine voxels into packed arithmetic, and its straight-line
vectoriser is switched off in Numba. These intrinsics say what is wanted; they compile to AVX on x86-64 and to pairs
of NEON operations on arm64. Each has a plain NumPy twin of the same name, which is what runs, and what a debugger
shows, under NUMBA_DISABLE_JIT=1.

Numba's cache does not notice a change in this file: `make clean` after one.

Nothing is checked here. Arrays are C-contiguous float32 and offsets count elements from their start, whatever their
shape. The accumulator's offset must be a multiple of eight in a 32-byte aligned array; table offsets may be any.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ruo2_voxel.typing import FloatArray

LANES = 8
ALIGNMENT = 64  # bytes: a cache line, two vectors

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INT32 = ir.IntType(32)
_INT32S = ir.VectorType(_INT32, LANES)

_LARGEST = 120.0  # keeps 2^x a normal float32 number
_ROUNDER = 1.5 * 2.0**23  # float32 numbers of this size are whole: adding it rounds
_SMALLEST = -40.0  # below, 0: products of three such numbers would be subnormal, and each cost a hundred cycles
# 2^r on [-1/2, 1/2]: interpolation at Chebyshev nodes, largest relative error 1.1e-7.
_POLYNOMIAL = np.polynomial.chebyshev.Chebyshev.interpolate(lambda r: np.exp2(r), 5, domain=[-0.5, 0.5])
_EXP2 = _POLYNOMIAL.convert(kind=np.polynomial.Polynomial, domain=[-1, 1]).coef.tolist()


def aligned_zeros(size: int) -> FloatArray:
    """One-dimensional float32 zeros whose first element lies on a cache line."""
    buffer = np.zeros(size + ALIGNMENT // 4, dtype=np.float32)
    shift = (-buffer.ctypes.data % ALIGNMENT) // 4
    return buffer[shift : shift + size]


def exp2_lanes(table: FloatArray, at: int, x: Any, c0: Any, c1: Any, c2: Any) -> None:
    """table[at:at+8] = 2^(c0 + c1 d + c2 d^2) for d = x, x + 1, ..., x + 7.

    Relative error below 3e-7; 0 where that is less than 2^-40, and never more than 2^120.
    """
    d = x + np.arange(LANES, dtype=np.float32)
    exponent = np.clip((c2 * d + c1) * d + c0, -_LARGEST, _LARGEST)
    table.reshape(-1)[at : at + LANES] = np.where(exponent < _SMALLEST, 0.0, np.exp2(exponent))


def add_rows(
    n_vectors: int,
    acc: FloatArray,
    at: int,
    stride: int,
    n_rows: int,
    scale: Any,
    weights: FloatArray,
    first_weight: int,
    table: FloatArray,
    first: int,
) -> None:
    """acc[at + j stride + l] += scale * weights[first_weight + j] * table[first + l].

    For rows j < n_rows and lanes l < 8 n_vectors; in a kernel n_vectors is a literal. Wide rows share the fetching of
    their weights.
    """
    lanes = n_vectors * LANES
    scaled = scale * table.reshape(-1)[first : first + lanes]
    for j in range(n_rows):
        acc.reshape(-1)[at + j * stride : at + j * stride + lanes] += weights.reshape(-1)[first_weight + j] * scaled


def add_product_rows(
    n_vectors: int,
    acc: FloatArray,
    at: int,
    stride: int,
    n_rows: int,
    scale: Any,
    weights: FloatArray,
    first_weight: int,
    table: FloatArray,
    first: int,
    factor: FloatArray,
    first_factor: int,
    factor_stride: int,
) -> None:
    """As `add_rows`, with each term times factor[first_factor + j factor_stride + l]."""
    lanes = n_vectors * LANES
    scaled = scale * table.reshape(-1)[first : first + lanes]
    for j in range(n_rows):
        own = factor.reshape(-1)[first_factor + j * factor_stride :][:lanes]
        target = acc.reshape(-1)[at + j * stride : at + j * stride + lanes]
        target += weights.reshape(-1)[first_weight + j] * scaled * own


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _lanes_at(builder: Any, data: Any, index: Any, lane: int = 0) -> Any:
    """Pointer to eight lanes that begin at element `index` + `lane`."""
    at = builder.add(index, ir.Constant(index.type, lane))
    return builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())


def _broadcast(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INT32S, [0] * LANES))


def _each(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)


def _call(builder: Any, name: str, *operands: Any) -> Any:
    signature = ir.FunctionType(_VECTOR, [_VECTOR] * len(operands))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, operands)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # fmuladd, not fma: without a fused instruction it becomes two operations, never a library call.
    return _call(builder, "fmuladd", a, b, c)


def _exp2(builder: Any, x: Any) -> Any:
    """2^x: a polynomial on the fraction, the whole part added to the exponent bits; 0 where negligible."""
    x = _call(builder, "minnum", x, _each(_LARGEST))
    negligible = builder.fcmp_ordered("<", x, _each(_SMALLEST))
    shifted = builder.fadd(x, _each(_ROUNDER))  # rounds to whole numbers, which then stand in the lowest bits
    fraction = builder.fsub(x, builder.fsub(shifted, _each(_ROUNDER)))
    power = _each(_EXP2[-1])
    for coefficient in reversed(_EXP2[:-1]):
        power = _multiply_add(builder, power, fraction, _each(coefficient))
    exponent = builder.shl(builder.bitcast(shifted, _INT32S), ir.Constant(_INT32S, [23] * LANES))
    value = builder.bitcast(builder.add(builder.bitcast(power, _INT32S), exponent), _VECTOR)
    return builder.select(negligible, _each(0.0), value)


@intrinsic
def _exp2_lanes(typing_context: Any, table: Any, at: Any, x: Any, c0: Any, c1: Any, c2: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        table, at, *scalars = args
        x, c0, c1, c2 = (_broadcast(builder, scalar) for scalar in scalars)
        d = builder.fadd(x, ir.Constant(_VECTOR, [float(lane) for lane in range(LANES)]))
        exponent = _multiply_add(builder, _multiply_add(builder, c2, d, c1), d, c0)
        target = _lanes_at(builder, _data(context, builder, signature.args[0], table), at)
        builder.store(_exp2(builder, exponent), target, align=4)
        return context.get_dummy_value()

    return types.void(table, types.intp, *[types.float32] * 4), generate


def _emit_rows(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Code of both kinds of rows: the scaled table stays in registers while the rows go by."""
    n_vectors = signature.args[0].literal_value
    arrays = {i: _data(context, builder, signature.args[i], args[i]) for i in (1, 6, 8, 10) if i < len(args)}
    _, _, at, stride, n_rows, scale, _, first_weight, _, first, *factor = args
    weight = builder.gep(arrays[6], [first_weight])
    each = _broadcast(builder, scale)
    scaled = [
        builder.fmul(each, builder.load(_lanes_at(builder, arrays[8], first, v * LANES), align=4))
        for v in range(n_vectors)
    ]
    with cgutils.for_range(builder, n_rows) as loop:
        own_weight = _broadcast(builder, builder.load(builder.gep(weight, [loop.index])))
        row = builder.add(at, builder.mul(loop.index, stride))
        for v in range(n_vectors):
            term = scaled[v]
            if factor:
                place = builder.add(factor[1], builder.mul(loop.index, factor[2]))
                own = builder.load(_lanes_at(builder, arrays[10], place, v * LANES), align=4)
                term = builder.fmul(term, own)
            target = _lanes_at(builder, arrays[1], row, v * LANES)
            total = _multiply_add(builder, own_weight, term, builder.load(target, align=32))
            builder.store(total, target, align=32)
    return context.get_dummy_value()


@intrinsic(prefer_literal=True)
def _add_rows(
    typing_context: Any,
    n_vectors: Any,
    acc: Any,
    at: Any,
    stride: Any,
    n_rows: Any,
    scale: Any,
    weights: Any,
    first_weight: Any,
    table: Any,
    first: Any,
) -> Any:
    i, f = types.intp, types.float32
    return types.void(n_vectors, acc, i, i, i, f, weights, i, table, i), _emit_rows


@intrinsic(prefer_literal=True)
def _add_product_rows(
    typing_context: Any,
    n_vectors: Any,
    acc: Any,
    at: Any,
    stride: Any,
    n_rows: Any,
    scale: Any,
    weights: Any,
    first_weight: Any,
    table: Any,
    first: Any,
    factor: Any,
    first_factor: Any,
    factor_stride: Any,
) -> Any:
    i, f = types.intp, types.float32
    return types.void(n_vectors, acc, i, i, i, f, weights, i, table, i, factor, i, i), _emit_rows


@overload(exp2_lanes, strict=False)
def _exp2_lanes_in_kernels(table: Any, at: Any, x: Any, c0: Any, c1: Any, c2: Any) -> Callable[..., None]:
    def run(table, at, x, c0, c1, c2):  # type: ignore[no-untyped-def]
        _exp2_lanes(table, at, x, c0, c1, c2)  # type: ignore[call-arg]

    return run


@overload(add_rows, strict=False, prefer_literal=True)
def _add_rows_in_kernels(
    n_vectors: Any,
    acc: Any,
    at: Any,
    stride: Any,
    n_rows: Any,
    scale: Any,
    weights: Any,
    first_weight: Any,
    table: Any,
    first: Any,
) -> Callable[..., None]:
    def run(n_vectors, acc, at, stride, n_rows, scale, weights, first_weight, table, first):  # type: ignore[no-untyped-def]
        _add_rows(  # type: ignore[call-arg]
            n_vectors, acc, at, stride, n_rows, scale, weights, first_weight, table, first
        )

    return run


@overload(add_product_rows, strict=False, prefer_literal=True)
def _add_product_rows_in_kernels(
    n_vectors: Any,
    acc: Any,
    at: Any,
    stride: Any,
    n_rows: Any,
    scale: Any,
    weights: Any,
    first_weight: Any,
    table: Any,
    first: Any,
    factor: Any,
    first_factor: Any,
    factor_stride: Any,
) -> Callable[..., None]:
    def run(  # type: ignore[no-untyped-def]
        n_vectors,
        acc,
        at,
        stride,
        n_rows,
        scale,
        weights,
        first_weight,
        table,
        first,
        factor,
        first_factor,
        factor_stride,
    ):
        _add_product_rows(  # type: ignore[call-arg]
            n_vectors,
            acc,
            at,
            stride,
            n_rows,
            scale,
            weights,
            first_weight,
            table,
            first,
            factor,
            first_factor,
            factor_stride,
        )

    return run
