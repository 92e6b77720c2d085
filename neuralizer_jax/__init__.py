"""In-context neuroimage analysis: Neuralizer (Czolbe and Dalca, CVPR 2023) in JAX.

The names below are imported on first use, so that `import neuralizer_jax` and `neuralizer --help` are fast.

Example:
    >>> from neuralizer_jax import load_weights
    >>> model, params = load_weights("small")
"""

import importlib

__version__ = "0.1.0"

_WHERE = {
    "Example": "volumes.scan",
    "ImageExample": "volumes.image_task",
    "InputError": "errors",
    "Neuralizer": "model",
    "Prediction": "inference.prediction",
    "Scan": "volumes.scan",
    "UNet": "unet",
    "VolumePrediction": "volumes.volume_prediction",
    "load_weights": "weights",
    "predict": "inference.predict",
    "predict_image": "volumes.image_task",
    "predict_volume": "volumes.predict",
    "read_example": "volumes.read_scan",
    "read_scan": "volumes.read_scan",
    "restore": "volumes.restoration",
    "save_weights": "weights",
    "strip_skull": "volumes.skull_stripping",
    "use_compilation_cache": "compilation_cache",
    "view": "volumes.view",
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
