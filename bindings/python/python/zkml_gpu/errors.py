"""Exceptions: one for each cause, sorted by whose move it is.

    Error
    ├── BadInputError           yours: an argument or a file is wrong
    │   ├── FileError, FileSizeError, ArtifactError, InputError, ArgumentsError, ...
    │   └── ArrayError          ShapeError, ElementTypeError, ValuesError, SaturationError
    ├── UnsupportedError        nobody's yet: UnsupportedModelError, NoDeviceError, DeviceError, ForkError, ...
    ├── WouldNotFitError        the machine is too small, or the model too large
    ├── RejectedError           the proof does not hold
    └── BugError                ours: PanicError

They are the classes of the command line's exit codes. The text has the problem and, after a line that begins with
``hint:``, what to do. Options that hints name are those of the command line; arguments here have the same names with
underscores.
"""

from __future__ import annotations

__all__ = [
    "ArgumentTypeError",
    "ArgumentsError",
    "ArrayError",
    "ArtifactError",
    "AuditError",
    "BadInputError",
    "BugError",
    "DeviceError",
    "ElementTypeError",
    "EmbeddedWeightsError",
    "EnvironmentVariableError",
    "Error",
    "FileError",
    "FileSizeError",
    "ForkError",
    "HashError",
    "InaccurateError",
    "InferencesError",
    "InputError",
    "InvalidModelError",
    "MissingBackendError",
    "NoDeviceError",
    "OtherArchitectureError",
    "PanicError",
    "PrivateWeightsError",
    "QuantiseError",
    "RejectedError",
    "SaturatesError",
    "SaturationError",
    "ShapeError",
    "SrsError",
    "UnknownBackendError",
    "UnsupportedError",
    "UnsupportedModelError",
    "ValuesError",
    "WouldNotFitError",
]


class Error(Exception):
    """What all exceptions of this package are."""

    #: The class by its name for programs, as the command line's JSON has it.
    error_class: str = "bug"

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        #: The cause, by its name in the library.
        self.kind = kind

    @property
    def problem(self) -> str:
        """The text without the hint."""
        return str(self.args[0]).split("\nhint: ", 1)[0]

    @property
    def hint(self) -> str | None:
        """What to do about it, where something can be said."""
        parts = str(self.args[0]).split("\nhint: ", 1)
        return parts[1] if len(parts) == 2 else None

    def __str__(self) -> str:
        return str(self.args[0])


class BadInputError(Error, ValueError):
    """An argument or a file is wrong."""

    error_class = "bad_input"


class UnsupportedError(Error):
    """An operator, a model or a device is not supported."""

    error_class = "unsupported"


class WouldNotFitError(Error, MemoryError):
    """Keys or proof would need more memory, or more rows, than there are."""

    error_class = "would_not_fit"


class BugError(Error, RuntimeError):
    """A promise of the library was broken: please report it."""

    error_class = "bug"


class RejectedError(Error):
    """A proof does not hold: it shows nothing."""

    error_class = "rejected"


class PanicError(BugError):
    """The library panicked, and it was caught. Objects that were part of the call should not be used again."""


class FileError(BadInputError, OSError):
    """A file cannot be read or written."""


class FileSizeError(BadInputError):
    """A file is larger than any of its kind."""


class ArtifactError(BadInputError):
    """A file, or bytes, are not what they should be: damaged, cut, of another kind or version."""


class ArgumentsError(BadInputError):
    """Arguments that do not go together, or have no meaning."""


class ArgumentTypeError(BadInputError, TypeError):
    """An argument of a type that is not taken."""


class InputError(BadInputError):
    """An input or calibration file is not in the format."""


class ArrayError(BadInputError):
    """An array is no input of the model."""


class ShapeError(ArrayError):
    """An array has another shape than the model's input."""


class ElementTypeError(ArrayError, TypeError):
    """An array's elements are no numbers."""


class ValuesError(ArrayError):
    """An array holds NaN, an infinite number, a number beyond 32-bit floats, or no index where one is taken."""


class SaturationError(ArrayError):
    """Too much of an input lies beyond the calibrated range."""


class UnknownBackendError(BadInputError):
    """A back end's name that does not exist."""


class EnvironmentVariableError(BadInputError):
    """An environment variable that chooses nothing."""


class PrivateWeightsError(BadInputError):
    """Weights that are declared private would become public."""


class InaccurateError(BadInputError):
    """The quantised model is further from the float one than it may be."""


class OtherArchitectureError(BadInputError):
    """A retrained model is not of the same architecture."""


class SaturatesError(BadInputError):
    """Activations of a retrained model lie beyond the scales that they are to keep."""


class EmbeddedWeightsError(BadInputError):
    """Embedded weights are part of the circuit, which a retrained model cannot share."""


class InvalidModelError(BadInputError):
    """A model file is no valid ONNX model, or does not take these inputs."""


class QuantiseError(BadInputError):
    """The model cannot be quantised with these samples or bits."""


class InferencesError(BadInputError):
    """Another number of inputs than a proof is for."""


class SrsError(BadInputError):
    """A reference string was refused."""


class AuditError(BadInputError):
    """A key is not that of a model."""


class HashError(BadInputError):
    """A tensor has no hash."""


class UnsupportedModelError(UnsupportedError):
    """The model has an operator, or a form of one, that has no circuit."""


class NoDeviceError(UnsupportedError):
    """A device that this machine does not have, or that cannot be used."""


class MissingBackendError(UnsupportedError):
    """A back end that this package was built without."""


class DeviceError(UnsupportedError):
    """A device failed."""


class ForkError(UnsupportedError, RuntimeError):
    """The process was forked from one that had used this package, and its threads did not come along."""
