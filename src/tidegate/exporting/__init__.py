"""Models for other runtimes: a bundle as one ONNX file. Needs `pip install 'tidegate[onnx]'`."""

from tidegate.errors import MissingExtraError

try:
    import onnx
    import onnxruntime
except ImportError as error:
    missing = (error.name or "onnx").partition(".")[0]
    raise MissingExtraError(needed_for="exporting a model", missing=missing, extra="onnx") from None

__all__ = ["onnx", "onnxruntime"]
