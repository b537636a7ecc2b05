"""What an import brings, before it is written: chats with their trees, checked, parents first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from .records import Attachment, Chat, Message

MAX_CHATS = 50_000
MAX_MESSAGES = 500_000  # of one file
MAX_TEXT_CHARS = 64 << 20  # of one file, after branches were given texts of their own
MAX_BYTES = 128 << 20  # of a file, and of what lies compressed in it
MAX_CONTAINERS = 8 << 20  # objects and lists of a file


@dataclass(frozen=True)
class NewChat:
    """A chat, its messages with parents first, and the attachments of messages by their ids."""

    chat: Chat
    messages: Sequence[Message]
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Package:
    """All that a file brings."""

    chats: Sequence[NewChat]
    attachments: Sequence[tuple[Attachment, str]] = ()


def parents_first(
    parents: Mapping[str, str | None],
    fault: Callable[[str, str], Exception],
    times: Mapping[str, float] | None = None,
) -> list[str]:
    """Nodes of a forest so that parents stand before their children; otherwise by time, then as they were given.

    parents: node -> its parent, or None. fault: makes the error for (node, what is wrong with it): a parent that is
    not there, or a node that is its own ancestor.
    """
    children: dict[str | None, list[tuple[float, int, str]]] = defaultdict(list)
    for place, (node, parent) in enumerate(parents.items()):
        if parent is not None and parent not in parents:
            raise fault(node, "its parent is not in this chat")
        children[parent].append((times[node] if times else 0.0, place, node))
    order: list[str] = []
    ready = children[None]
    heapify(ready)
    while ready:
        node = heappop(ready)[2]
        order.append(node)
        for child in children[node]:
            heappush(ready, child)
    if len(order) < len(parents):
        seen = set(order)
        raise fault(next(node for node in parents if node not in seen), "it is its own ancestor")
    return order
