"""`belle-edge desktop`: the chat page in a window of its own, once for each user; its entry in the system's menu.

Everything here needs the extra `server`; a window needs pywebview, which the extra `desktop` brings.
"""

TITLE = "BELLE Edge"
APPLICATION_ID = "belle-edge"  # ties a window to its menu entry and icon
