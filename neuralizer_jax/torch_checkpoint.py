"""Reads a PyTorch or Lightning checkpoint without PyTorch and without running what is pickled in it.

In: a file of `torch.save` (PyTorch 1.6 or later). Out: its tensors as NumPy arrays and its hyper-parameters as plain values.
`inert_pickle` turns the pickle into data and refuses calls of anything but the names below; no name is ever imported.
What may be in a checkpoint and is not understood, such as a class of somebody's configuration, is left unread and listed.
"""

import itertools
import struct
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import ml_dtypes
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.inert_pickle import Made, PersistentId, Global, Refused, read_pickle
