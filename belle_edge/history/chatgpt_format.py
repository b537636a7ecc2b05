"""ChatGPT's export: conversations.json, a list of trees of nodes.

A node is a message, a part of one, or nothing that is shown. Nodes of one side in a row become one message: answers
with tools have several. Where such a row branches, each branch becomes a message of its own with the text before it.
Ids are made from theirs, so that a second import finds the same messages.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from .exchanged import MAX_CHATS, MAX_MESSAGES, MAX_TEXT_CHARS, NewChat, Package, parents_first
from .found_values import Found
from .history_errors import HistoryImportError
from .markdown_format import fenced
from .records import Chat, Message, Role

_NAMESPACE = uuid.UUID("8f6f2a52-5c0e-4c4b-9a51-0d5f3f0c7b11")
_MAX_PARTS = 10_000  # of one message
_HIDDEN = frozenset({"thoughts", "reasoning_recap", "user_editable_context", "model_editable_context"})


@dataclass
class _Node:
    """One node that is shown, as a link of the chain to its parent that is shown."""

    id: str
    role: Role
    text: str  # of the whole row of its side up to it
    created: float
    model: str | None
    above: _Node | None  # the last node of the row before
    children: list[_Node] = field(default_factory=list)  # in its own row and below

    @property
    def ends_row(self) -> bool:
        """Whether it is a message: nothing of its side follows, or something of the other side does as well."""
        return not self.children or any(child.role != self.role for child in self.children)


def read_conversations(root: Found) -> Package:
    """The chats of a list of conversations, or of a single one. Raises HistoryImportError."""
    single = isinstance(root.value, dict)
    chats, n_messages, n_chars = [], 0, 0
    for found in [root] if single else root.items(MAX_CHATS):
        chat = _conversation(found)
        chats.append(chat)
        n_messages += len(chat.messages)
        n_chars += sum(len(message.text) for message in chat.messages)
        root.bound(n_messages, MAX_MESSAGES)
        if n_chars > MAX_TEXT_CHARS:
            raise HistoryImportError(
                f"[import] {root.where}: expected texts of at most {MAX_TEXT_CHARS:,} characters, found more"
            )
    return Package(chats)


def _conversation(found: Found) -> NewChat:
    places = dict(found.field("mapping").entries(MAX_MESSAGES))
    parents = {id: place.field("parent").text_or_none() for id, place in places.items()}
    order = parents_first(
        parents,
        lambda node, fault: HistoryImportError(
            f"[import] {places[node].where}.parent: expected a node above it, but {fault}"
        ),
        {id: _time(place) for id, place in places.items()},
    )
    name = _name(found, order)
    created = found.field("create_time").time(0.0)
    chat_id = _id(name)
    shown: dict[str, _Node | None] = {}  # node -> it, or the nearest one above it that is shown
    system: list[str] = []
    n_chars = 0
    for id in order:
        above = shown[parents[id]] if parents[id] else None  # type: ignore[index]
        shown[id] = _node(places[id], _id(f"{name}/{id}"), above, created, system) or above
        node = shown[id]
        if node is not None and node is not above:
            n_chars += len(node.text)
        if n_chars > MAX_TEXT_CHARS:
            raise HistoryImportError(
                f"[import] {found.where}: expected texts of {MAX_TEXT_CHARS:,} characters at most"
            )
    nodes = [
        node for id in order if (node := shown[id]) is not None and node is not _above(shown, parents[id])
    ]
    messages = [_message(node, chat_id) for node in nodes if node.ends_row]
    known = {message.id for message in messages}
    chat = Chat(
        id=chat_id,
        title=" ".join(found.field("title").text("").split()),
        pinned=False,
        created=created,
        updated=found.field("update_time").time(max([created, *(message.created for message in messages)])),
        model=None,
        system="\n\n".join(system),
        settings={},
        leaf=_leaf(found.field("current_node"), shown, known) or (messages[-1].id if messages else None),
        draft="",
        deleted=None,
    )
    return NewChat(chat, messages)


def _time(place: Found) -> float:
    """When a node was made; 0 where that is not known: then it comes as soon as its parent is there."""
    message = place.field("message")
    return message.field("create_time").time(0.0) if message.present else 0.0


def _above(shown: dict[str, _Node | None], parent: str | None) -> _Node | None:
    return shown[parent] if parent is not None else None


def _name(found: Found, order: list[str]) -> str:
    """What the ids are made from: the id of the conversation, or for old exports its first node."""
    for field_name in ("conversation_id", "id"):
        place = found.field(field_name)
        if place.present:
            return place.text()
    return order[0] if order else found.field("title").text("")


def _id(name: str) -> str:
    return uuid.uuid5(_NAMESPACE, name).hex


def _node(place: Found, id: str, above: _Node | None, created: float, system: list[str]) -> _Node | None:
    """A node that is shown, joined to its row; None for others. The text of a system node goes to `system`."""
    message = place.field("message")
    if not message.present:
        return None
    author = message.field("author").field("role")
    text = _text(message)
    if author.value not in ("user", "assistant", "tool", "system"):
        raise author.error("user, assistant, tool or system")
    if not text.strip():
        return None
    if author.value == "system":
        system.append(text)
        return None
    role: Role = "user" if author.value == "user" else "assistant"
    if author.value == "tool":
        text = fenced(text)
    metadata = message.field("metadata")
    model = metadata.field("model_slug") if metadata.present else metadata
    same_row = above is not None and above.role == role
    node = _Node(
        id=id,
        role=role,
        text=f"{above.text}\n\n{text}" if above is not None and same_row else text,
        created=message.field("create_time").time(above.created if above else created),
        model=model.text_or_none(),
        above=above.above if above is not None and same_row else above,
    )
    if above is not None:
        above.children.append(node)
    return node


def _message(node: _Node, chat: str) -> Message:
    return Message(
        id=node.id,
        chat=chat,
        parent=node.above.id if node.above else None,
        role=node.role,
        text=node.text,
        state="finished",
        created=node.created,
        token_ids=(),
        answer_begin=None,
        decoded_end=None,
        model=node.model,
        settings={},
        timings={},
        layout={},
        error=None,
        dropped=[],
    )


def _leaf(current: Found, shown: dict[str, _Node | None], known: set[str]) -> str | None:
    """The message of the current node: it, or the end of the row that it is in."""
    if not current.present:
        return None
    if current.text() not in shown:
        raise current.error("a node of this conversation")
    node = shown[current.text()]
    while node is not None and node.id not in known:
        node = node.children[-1]
    return node.id if node else None


def _text(message: Found) -> str:
    """What is shown of a message, as Markdown; empty for what is not."""
    metadata, content = message.field("metadata"), message.field("content")
    if not content.present or (
        metadata.present and metadata.field("is_visually_hidden_from_conversation").value is True
    ):
        return ""
    kind = content.field("content_type").text("text")
    if kind in _HIDDEN:
        return ""
    if content.field("parts").present:
        parts = [_part(part) for part in content.field("parts").items(_MAX_PARTS)]
        return "\n\n".join(part for part in parts if part)
    text = next((place for name in ("text", "result") if (place := content.field(name)).present), None)
    if text is None:
        return f"[{kind}]"
    if kind == "code":
        language = content.field("language").text("")
        return fenced(text.text(), "" if language == "unknown" else language)
    return text.text()


def _part(part: Found) -> str:
    """A text; of pictures and recordings their text or their kind."""
    if part.value is None:
        return ""
    if isinstance(part.value, str):
        return part.value
    text = part.field("text")
    return text.text() if text.present else f"[{part.field('content_type').text('attachment')}]"
