"""What a conversion says about a chat template that cannot be rendered."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from belle_edge.convert import convert

from ..hostile.checkpoints import write_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(
        tmp_path_factory.mktemp("source") / "checkpoint", hidden=64, n_layers=1, n_heads=2
    )


@pytest.mark.parametrize(
    ("template", "warning"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}", None),
        ("{% for m in messages %}{{ m.content | tojson }}{% break %}{% endfor %}", None),
        (
            "{{ 7**(10**8) }}",
            "refused at line 1: .* 60 bits: the template is kept, but only generate --raw",
        ),
        (
            "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}",
            "one turn only: .* after one answer",
        ),
        ("{% trans %}x{% endtrans %}", "broken at line 1: Encountered unknown tag 'trans'"),
    ],
)
def test_the_report_says_so(tmp_path: Path, checkpoint: Path, template: str, warning: str | None) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    (source / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    report = convert(source, None, dry_run=True)
    said = [text for text in report.warnings if text.startswith("[chat template]")]
    assert len(said) == (warning is not None)
    for text in said:
        assert re.search(warning or "nothing", text), text
        assert text.endswith("--family writes a family's own")
