"""Reads the arrays of a checkpoint that torch.save wrote before PyTorch 1.6, without PyTorch.

Such a file is five pickles (a magic number, a protocol, facts about the machine, the object, the
list of storage keys) and then the storages: a count as int64 and the numbers. A pickle is a
program; this reader knows the three names a state dict needs and refuses every other.
"""
import collections
import pickle
import struct

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


class _Tensor:
    """A window onto a storage whose numbers come later in the file."""

    def __init__(self, storage, offset, size, stride, *_):
        self.key, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self, storages):
        data = storages[self.key]
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride))
        if min(self.size, default=1) < 1 or min(self.stride, default=0) < 0 or not 0 <= last < len(data):
            raise ValueError(f"a tensor of shape {self.size} leaves its storage of {len(data)} numbers")
        steps = [s * data.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(data[self.offset:], self.size, steps).copy()


class _Reader(pickle.Unpickler):
    def __init__(self, file, types):
        super().__init__(file)
        self.types = types  # storage key -> element type

    def find_class(self, module, name):
        if module == "torch" and name in TYPES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _Tensor
        raise pickle.UnpicklingError(f"the checkpoint names {module}.{name}; a state dict needs no such thing")

    def persistent_load(self, pid):
        _, storage_type, key, _, _, view = pid
        if view is not None:
            raise pickle.UnpicklingError(f"storage {key} is a view of another; save the checkpoint anew")
        self.types[key] = TYPES[storage_type]
        return key


def read(path):
    """The state dict of `path` as name -> numpy array; "module." of DataParallel is stripped."""
    with open(path, "rb") as file:
        types = {}
        magic, _, _, content, keys = (_Reader(file, types).load() for _ in range(5))
        if magic != MAGIC:
            raise ValueError(f"{path} is no checkpoint of torch.save before PyTorch 1.6")
        storages = {}
        for key in keys:
            count, = struct.unpack("<q", file.read(8))
            width = np.dtype(types[key]).itemsize
            storages[key] = np.frombuffer(file.read(count * width), types[key])
            if len(storages[key]) != count:
                raise ValueError(f"{path} is truncated: storage {key} has {len(storages[key])} of {count} numbers")
    state = content.get("state_dict", content)
    return {name.removeprefix("module."): tensor.array(storages) for name, tensor in state.items()}
