"""lm-eval's own command, with our engine among its models."""

from __future__ import annotations

from .registration import register


def main() -> None:
    """`lm_eval …` as lm-eval documents it; `--model belle-edge` is ours."""
    register()
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
