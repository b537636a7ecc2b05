"""C-Eval's and CMMLU's published files as tasks for lm-eval: one YAML file with all of their subjects.

    python examples/evaluation/local_exams.py ceval FOLDER > tasks/ceval.yaml
    python -m belle_edge.quality.harness --model belle-edge --model_args path=belle-7b.gguf \\
        --tasks ceval_local --include_path tasks --num_fewshot 5

FOLDER holds what ceval-exam.zip or cmmlu_v1_0_1.zip unpacks to: dev/, val/, test/ with a CSV file per subject.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lm_eval.tasks import TaskManager

# Of each exam: what its tasks in lm-eval are called, and by split the name of a subject's file.
EXAMS = {
    "ceval": ("ceval-valid_", {"dev": "dev/{}_dev.csv", "val": "val/{}_val.csv"}),
    "cmmlu": ("cmmlu_", {"dev": "dev/{}.csv", "test": "test/{}.csv"}),
}


def tasks_of(exam: str, folder: Path) -> list[dict[str, object]]:
    """Those whose files are all there."""
    prefix, files = EXAMS[exam]
    found: list[dict[str, object]] = []
    for name in sorted(TaskManager().all_subtasks):
        if name.startswith(prefix):
            paths = {split: folder / file.format(name.removeprefix(prefix)) for split, file in files.items()}
            if all(path.is_file() for path in paths.values()):
                data_files = {split: str(path.resolve()) for split, path in paths.items()}
                found.append({"task": name, "dataset_kwargs": {"data_files": data_files}})
    return found


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in EXAMS:
        sys.exit(f"expected {' or '.join(EXAMS)}, and a folder")
    exam, folder = sys.argv[1], Path(sys.argv[2])
    tasks = tasks_of(exam, folder)
    if not tasks:
        sys.exit(f"{folder}: expected files as {' and '.join(EXAMS[exam][1].values())}, found none")
    group = {
        "group": f"{exam}_local",
        "dataset_path": "csv",
        "dataset_name": None,
        "task": tasks,
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    print(json.dumps(group, ensure_ascii=False, indent=1))  # JSON is YAML


if __name__ == "__main__":
    main()
