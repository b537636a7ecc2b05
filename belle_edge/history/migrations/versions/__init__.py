"""One file per step. A step that was released is never changed: histories of people have it behind them."""
