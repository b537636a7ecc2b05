"""One row per way of asking: the common shape of everything the task tables produce."""

from collections.abc import Iterator

Row = tuple[str, str, str, str]  # task, instruction, answer, key of the split


def phrase(
    task: str, phrasings: tuple[str, ...], answer: str, key: str | None = None, **slots: object
) -> Iterator[Row]:
    """Yield one item per phrasing; without a key of its own each instruction is its own key."""
    for phrasing in phrasings:
        instruction = phrasing.format(**slots)
        yield task, instruction, answer, key if key is not None else instruction
