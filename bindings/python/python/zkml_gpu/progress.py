"""What is told of long work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ._types import Progress


class Bar(Protocol):
    """A progress bar, as tqdm has it."""

    def set_description_str(self, desc: str) -> object:
        """Shows words before the bar."""

    def update(self, n: int) -> object:
        """Counts so many more."""


def show_on(bar: Bar) -> Progress:
    """A callback for ``progress=`` that names each step on a bar, such as tqdm's, and counts it as it ends.

    >>> from tqdm import tqdm                                        # doctest: +SKIP
    >>> with tqdm(unit=" steps") as bar:                             # doctest: +SKIP
    ...     proof = zkml_gpu.prove(key, x, progress=zkml_gpu.show_on(bar))
    """

    def show(step: str, seconds: float | None) -> None:
        if seconds is None:
            bar.set_description_str(step)
        else:
            bar.update(1)

    return show
