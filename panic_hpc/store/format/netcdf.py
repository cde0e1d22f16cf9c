"""Attributes and dimension scales that make a dataset readable as netCDF: for people and xarray.

panic_hpc itself reads none of them.
"""

from collections.abc import Iterator, Mapping

import h5py
import numpy as np

from panic_hpc.store.format.column import Column

RUN_AXES = ("run", "run_edge")
# The netCDF library's own mark: readers show such a scale as an axis and not as an array.
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable. {:10d}"


def describe_all(file: h5py.File, columns: Mapping[str, Column]) -> None:
    """Write long names, units, codes and dimension scales of the arrays that `columns` name."""
    scales: dict[str, h5py.Dataset] = {}
    for column in columns.values():
        dataset = file[column.name]
        _write_attributes(dataset, column)
        for axis, (place, size) in enumerate(zip(scale_places(column), dataset.shape, strict=True)):
            if place not in scales:
                scales[place] = _new_scale(file, place, size)
            h5py.h5ds.attach_scale(dataset.id, scales[place].id, axis)


def scale_places(column: Column) -> Iterator[str]:
    """Yield where in the file the scale of each axis lies.

    Axes of an embedding model's arrays are its own, as their lengths are; runs are everybody's.
    """
    for axis in column.axes:
        yield axis if axis in RUN_AXES else f"{column.home}{axis}"


def _new_scale(file: h5py.File, place: str, size: int) -> h5py.Dataset:
    # Big-endian float as the netCDF library writes them; nothing is ever stored in it.
    scale = file.create_dataset(place, shape=(size,), dtype=">f4", track_times=False)
    h5py.h5ds.set_scale(scale.id, _NO_VARIABLE.format(size).encode())
    return scale


def _write_attributes(dataset: h5py.Dataset, column: Column) -> None:
    dataset.attrs["long_name"] = column.meaning
    if column.unit:
        dataset.attrs["units"] = column.unit
    if column.codes:
        # The words of the CF conventions: masks where bits combine, values else.
        kind = "flag_masks" if column.dtype == "<u2" else "flag_values"
        dataset.attrs[kind] = np.array(list(column.codes.values()), column.dtype)
        dataset.attrs["flag_meanings"] = " ".join(column.codes)
