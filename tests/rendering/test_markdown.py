"""What of Markdown is understood, and what it becomes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("markdown_it", reason="pip install '.[server]' brings it")

from belle_edge.rendering import render

from .texts import ANSWER

REL = 'rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb", "<p>a<br>\nb</p>"),
        ("**注意：**请看", "<p><strong>注意：</strong>请看</p>"),
        ("请看**“引用”**文字", "<p>请看<strong>“引用”</strong>文字</p>"),
        ("这是**《书》**和*（斜体）*。", "<p>这是<strong>《书》</strong>和<em>（斜体）</em>。</p>"),
        ("**bold**text and a * b * c", "<p><strong>bold</strong>text and a * b * c</p>"),
        ('**"bold"**text', '<p>**"bold"**text</p>'),
        ("snake_case_name __init__", "<p>snake_case_name <strong>init</strong></p>"),
        ("~~no~~ ~~~ yes", "<p><s>no</s> ~~~ yes</p>"),
        ("<b>x</b> &lt; &amp;", "<p>&lt;b&gt;x&lt;/b&gt; &lt; &amp;</p>"),
        ("[a](https://x.y)", f'<p><a href="https://x.y" {REL}>a</a></p>'),
        ("<mailto:a@b.c>", f'<p><a href="mailto:a@b.c" {REL}>mailto:a@b.c</a></p>'),
        ("![a *b*](https://x.y)", f'<p><a href="https://x.y" class="image" {REL}>a b</a></p>'),
        ("[![a](https://x.y)](https://z.w)", f'<p><a href="https://z.w" {REL}>a</a></p>'),
        ("![](https://x.y)", f'<p><a href="https://x.y" class="image" {REL}>https://x.y</a></p>'),
        ("[a]: https://x.y\n\n[a]", "<p>[a]: https://x.y</p>\n<p>[a]</p>"),
        ("|a|b|\n|:-|-:|\n|1|2|", '<th class="left">a</th>\n<th class="right">b</th>'),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        (
            "```cpp\nint x;\n```",
            'data-language="cpp"><figcaption>cpp</figcaption><pre><code><span class="kt">int</span>',
        ),
        ("    code", "<pre><code>code\n</code></pre></figure>"),
        (">" * 30 + " deep", '<p class="plain">&gt;&gt;'),
        ("costs $5 and $6", "<p>costs $5 and $6</p>"),
        ("US$5 or $HOME/$USER", "<p>US$5 or $HOME/$USER</p>"),
        ("a \\$x\\$ b", "<p>a $x$ b</p>"),
        ("`$x$`", "<p><code>$x$</code></p>"),
        ("$\\badcommand{$", '<code class="formula-source">\\badcommand{</code>'),
        ("a $$x$$ b", '<math display="block" alttext="x"><mrow><mi>x</mi></mrow></math>'),
        ("如下：\n$$\nx\n$$\n完", '<p>如下：</p>\n<p><math display="block"'),
        ("$$\nx\n\ny\n$$", "<p>$$<br>\nx</p>\n<p>y<br>\n$$</p>"),
        ("\\begin{cases} a & b \\\\ c & d \\end{cases}", "<mtable>"),
        ("", ""),
        (" \n\n", ""),
    ],
)
def test_markdown(text: str, html: str) -> None:
    assert html in "".join(render(text))
    if not html:
        assert render(text) == []


def test_blocks_are_those_of_the_text() -> None:
    begins = [block.split(">")[0] for block in render(ANSWER)]
    assert begins == [
        *("<h1", "<p", "<p", "<ol", "<table", '<figure class="code" data-language="python"', "<blockquote"),
        *('<figure class="code" data-language=""', "<h2", "<p", "<p"),
    ]


def test_threads_render_the_same() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert set(map(tuple, threads.map(render, [ANSWER] * 64))) == {tuple(render(ANSWER))}
