"""Answers as models write them, and pieces from which random ones are made."""

from __future__ import annotations

import random

ANSWER = r"""# 标题 and `code`

第一段 **粗体** *斜体* `code` $x^2$ 和 \(\frac{a}{b}\)，价格 $5 and $6。<b>no element</b>
次行 [a link](https://example.org/b "title") ![a picture](https://example.org/y.png) ~~no~~

$$
\sum_{i=1}^n i = \frac{n(n+1)}{2}
$$

1. first
2. second **bold**

   a paragraph of the second

| a | b |
|---|:-:|
| 1 | 2 |

```python
def f(x):
    return "<b>" + x  # 注释
```

> a quote
> \[ \begin{pmatrix}1 & 2\\3&4\end{pmatrix} \]

    indented code

Heading
---
\begin{align}
a &= b \\
c &= d
\end{align}
The end
"""

PIECES = [
    *(
        "a",
        "b c",
        "你好",
        " ",
        "  ",
        "    ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "12) ",
        "> ",
    ),
    *(
        "# ",
        "## ",
        "#",
        "---",
        "***",
        "___",
        "===",
        "\n---\n",
        "\n===\n",
        "`",
        "``",
        "```",
        "~~~",
        "```py\n",
        "\n```\n",
    ),
    *(
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "[",
        "]",
        "](",
        "](http://a.b)",
        "![",
        "<",
        ">",
        "<http://a.b>",
        "&amp;",
        "&",
    ),
    *(
        "|",
        "| a | b |\n",
        "|---|---|\n",
        "|:-:|",
        "| 1 | 2 |\n",
        "$",
        "$$",
        "$x$",
        "$$x$$",
        "\n$$\n",
        "\\(",
        "\\)",
        "\\[",
    ),
    *(
        "\\]",
        "\n\\[\n",
        "\\begin{align}\n",
        "\\end{align}\n",
        "\\frac{1}{2}",
        "\\",
        "\\\\",
        "<script>",
        "</p>",
        "\x00",
        "\u202e",
    ),
    *("\ud800", "[a]: http://x\n", "[a]", "<!--", "-->", "\u2028", "\x0b"),
]


def random_text(seed: int, n_pieces: int = 40) -> str:
    """A text that is no answer of a model, but has all that Markdown has."""
    chance = random.Random(seed)
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, n_pieces)))
