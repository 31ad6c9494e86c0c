"""Arrays on a torch device that numpy's functions work on, so that every metric is written once.

Numpy hands a call over to an argument that says how it is done (NEP 13 and NEP 18). A
`DeviceArray` says: by the function of torch that means the same, there where the array lies.
What stands in no table below raises, and so does a way back to numpy: nothing but single numbers
leaves the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional


class DeviceArray(torch.Tensor):
    """A tensor for numpy's functions, with those methods of an array that the metrics use."""

    @classmethod
    def of(cls, x: npt.ArrayLike, device: str | torch.device) -> DeviceArray:
        """An array or a number, of its own type, on a device."""
        tensor = torch.as_tensor(np.ascontiguousarray(x) if np.ndim(x) else np.asarray(x))
        return tensor.to(device, non_blocking=True).as_subclass(cls)

    def __array_ufunc__(
        self,
        function: np.ufunc,
        method: str,
        *inputs: Any,
        out: tuple[Any, ...] = (None,),
        where: Any = True,
    ) -> Any:
        if method != "__call__" or function not in _ELEMENTWISE:
            return NotImplemented
        result = self._elementwise(function, inputs)
        if where is not True:
            result = torch.where(where, result, out[0])
        return result if out[0] is None else out[0].copy_(result)

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        inputs: Sequence[Any],
        options: dict[str, Any],
    ) -> Any:
        if function in _ELEMENTWISE:
            return self._elementwise(function, inputs)
        if function not in _FUNCTIONS:
            return NotImplemented
        return _FUNCTIONS[function](*inputs, **options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array on a device is not brought back to numpy")

    def astype(self, dtype: npt.DTypeLike) -> DeviceArray:
        """A copy of another type."""
        return self.to(_dtype(dtype), copy=True)  # type: ignore[return-value]

    def view(self, dtype: npt.DTypeLike) -> DeviceArray:  # type: ignore[override]
        """The same bytes read as another type."""
        return super().view(_dtype(dtype))  # type: ignore[return-value]

    def looked_up(self, table: npt.ArrayLike) -> DeviceArray:
        """The entries of a table at these whole numbers."""
        return self.of(table, self.device).take(self.long())  # type: ignore[return-value]

    def correlated(self, column: npt.ArrayLike, row: npt.ArrayLike, border: str) -> DeviceArray:
        """H x W correlated with the window ``column x row``, as large as it was.

        ``border`` is what lies outside: ``constant`` zeros, or the picture in ``reflect``ion
        about its edge pixels. Tap by tap, so that it is the same arithmetic on every device.
        """
        column, row = np.asarray(column), np.asarray(row)
        sides = [n for taps in (row, column) for n in (len(taps) // 2, (len(taps) - 1) // 2)]
        padded = functional.pad(self[None], sides, mode=border)[0]
        return _swept(_swept(padded, column, 0), row, 1)

    def _elementwise(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
        here = (x if isinstance(x, DeviceArray) else self.of(x, self.device) for x in inputs)
        return _ELEMENTWISE[function](*here)


def _swept(x: Any, taps: npt.NDArray[np.float64], axis: int) -> Any:
    size = x.shape[axis] - len(taps) + 1
    total = torch.zeros_like(x.narrow(axis, 0, size))
    for start, tap in enumerate(taps):
        total.add_(x.narrow(axis, start, size), alpha=float(tap))
    return total


def _dtype(dtype: npt.DTypeLike) -> torch.dtype:
    return getattr(torch, np.dtype(dtype).name)


def _sum(x: Any, axis: Any = None, dtype: Any = None) -> Any:
    return torch.sum(x, axis, dtype=None if dtype is None else _dtype(dtype))


def _empty_like(x: Any, dtype: Any = None, shape: Any = None) -> Any:
    return x.new_empty(
        x.shape if shape is None else shape, dtype=x.dtype if dtype is None else _dtype(dtype)
    )


def _pad(x: Any, widths: Sequence[Sequence[int]]) -> Any:
    return functional.pad(x, [n for pair in reversed(widths) for n in pair])


def _tensordot(x: Any, y: Any, axes: int) -> Any:
    return torch.tensordot(DeviceArray.of(x, y.device), y, axes)


_ELEMENTWISE: dict[Callable[..., Any], Callable[..., Any]] = {
    np.abs: torch.abs, np.add: torch.add, np.arctan: torch.arctan,
    np.bitwise_and: torch.bitwise_and, np.divide: torch.divide, np.exp: torch.exp,
    np.isnan: torch.isnan, np.log: torch.log, np.maximum: torch.maximum,
    np.minimum: torch.minimum, np.multiply: torch.multiply, np.sqrt: torch.sqrt,
    np.square: torch.square, np.subtract: torch.subtract, np.where: torch.where,
}  # fmt: skip

_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.clip: torch.clip,
    np.concatenate: torch.cat,
    np.copy: lambda x: x.clone(memory_format=torch.contiguous_format),
    np.diff: lambda x, axis: torch.diff(x, dim=axis),
    np.empty_like: _empty_like,
    np.flatnonzero: lambda x: torch.nonzero(x.flatten())[:, 0],
    np.flip: lambda x, axis: torch.flip(x, (axis,)),
    np.full_like: torch.full_like,
    np.gradient: torch.gradient,
    np.max: lambda x, axis: torch.amax(x, axis),
    np.mean: torch.mean,
    np.min: lambda x, axis: torch.amin(x, axis),
    np.moveaxis: torch.movedim,
    np.pad: _pad,
    np.partition: lambda x, _, axis: torch.sort(x.flatten() if axis is None else x)[0],
    np.stack: lambda arrays, axis=0: torch.stack(arrays, axis),
    np.std: lambda x: torch.std(x, correction=0),
    np.sum: _sum,
    np.take: lambda x, places, axis: torch.index_select(x, axis, places),
    np.tensordot: _tensordot,
    np.vdot: lambda x, y: torch.vdot(x.flatten(), y.flatten()),
    np.zeros_like: torch.zeros_like,
    np.fft.fft2: torch.fft.fft2,
    np.fft.ifft2: torch.fft.ifft2,
    np.fft.irfft2: torch.fft.irfft2,
    np.fft.rfft2: torch.fft.rfft2,
}
