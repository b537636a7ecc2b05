"""The command line in Chinese, as it is: python tests/docs/chinese_transcript.py writes docs/zh/command-line.md.

Every command of the document is run; a test compares what it says today with the document, times left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "zh" / "command-line.md"
COLUMNS = 100
_TIMED = re.compile(r"GiB|\d (?:ms|s)\b|/s\b|\d 毫秒|\d 秒|每秒")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Step:
    """A command, what is said before it, and how it ends."""

    text: str
    command: str
    exit_code: int = 0


STEPS = (
    Step(
        "# 命令行实录\n\n下面的命令都真的执行过，输出原样照录；用的是自带的演示模型，所以文件很小。"
        "\n换成 BELLE 模型，命令和输出的样子都一样。\n\n"
        "## 安装\n\n`pip install '.[desktop]'` 之后，看看装好没有：",
        "belle-edge --version",
    ),
    Step(
        "## 转换\n\n来源是一个文件夹。先看看它是哪个模型，依据是什么：",
        "belle-edge identify belle-demo",
    ),
    Step("再转换：", "belle-edge convert belle-demo -o belle.gguf"),
    Step("文件里有什么，运行要多少内存：", "belle-edge info belle.gguf"),
    Step(
        "## 聊天\n\n只问一句：",
        'belle-edge generate belle.gguf "54加42等于多少？" --temperature 0',
    ),
    Step(
        "多轮对话直接运行 `belle-edge chat belle.gguf`。问题也可以从管道来，每行一个：",
        "printf '你好\\n请告诉我日本的首都。\\n' | belle-edge chat belle.gguf --temperature 0",
    ),
    Step(
        "## 成批处理\n\n表格里每行一个问题，答案写进新的表格；停下来以后，同一条命令接着做：",
        "printf 'id,text\\n1,日本的首都是哪里？\\n2,“高”的反义词是什么？\\n' > questions.csv"
        " && belle-edge batch belle.gguf questions.csv -o answers.csv --temperature 0 && cat answers.csv",
    ),
    Step(
        "给评论分类。不做抽样，取概率最大的类别；每行还有各类别的概率：",
        "printf '这家餐厅的菜很好吃，服务也很好！\\n质量太差了，用了一天就坏了。\\n' > comments.txt"
        " && belle-edge batch belle.gguf comments.txt -o labels.jsonl"
        " --template '这句评论是正面的还是负面的？{text}' --choice 正面 --choice 负面"
        ' && grep -o \'"answer": "[^"]*"\' labels.jsonl',
    ),
    Step(
        "## 常见的错误\n\n错误只有一行：哪里错了，应该是什么，怎么办。\n\n文件名写错了：",
        "belle-edge chat belle-7b.gguf",
        1,
    ),
    Step(
        "文件没下载完，或者复制时断了：",
        "head -c 1000000 belle.gguf > cut.gguf; belle-edge chat cut.gguf",
        1,
    ),
    Step("输出文件已经有了，不会悄悄覆盖：", "belle-edge convert belle-demo -o belle.gguf", 1),
    Step("问题比模型的上下文还长，不会悄悄截断：", 'belle-edge generate belle.gguf "$(cat long.txt)"', 1),
)


def transcript(folder: Path) -> str:
    """The document, from commands that are run in `folder`, which is empty."""
    from belle_edge.demo import checkpoint_path

    shutil.copytree(checkpoint_path(), folder / "belle-demo")
    (folder / "long.txt").write_text("请告诉我日本的首都。" * 60, encoding="utf-8")
    parts = []
    for step in STEPS:
        parts.append(f"{step.text}\n\n```\n$ {step.command}\n{output(step, folder)}```\n")
    return "\n".join(parts)


def output(step: Step, folder: Path) -> str:
    """What a terminal would show, without the spaces at the ends of lines. AssertionError for another exit code."""
    program = f'belle-edge() {{ "{sys.executable}" -m belle_edge "$@"; }}; set -o pipefail; {step.command}'
    environment = {
        **os.environ,
        "BELLE_LANGUAGE": "zh",
        "BELLE_CACHE": str(folder / "cache"),
        "COLUMNS": str(COLUMNS),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    done = subprocess.run(
        ["bash", "-c", program],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == step.exit_code, done.stdout
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def without_times(text: str) -> str:
    """Lines that say how long something took, or how fast it was, without their numbers."""
    return "\n".join(_NUMBER.sub("…", line) if _TIMED.search(line) else line for line in text.splitlines())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        DOCUMENT.write_text(transcript(Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
