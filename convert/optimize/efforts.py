"""How carefully rows may be rounded; the command line reads this, so it imports nothing."""

EFFORTS = ("fast", "best")
