"""Tasks of lm-eval run on a model: offline, with a journal of answers, and a table beside published figures."""
