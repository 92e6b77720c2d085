"""The path at which release 0.1 had `SliceStore`, for scripts written for it. New code imports `store.records`."""

from input_pipeline.store.records import SliceStore

__all__ = ["SliceStore"]
