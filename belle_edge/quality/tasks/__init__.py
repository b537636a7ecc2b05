"""Our tasks for lm-eval: a YAML file each, over local JSON lines; how a record is read, asked and scored."""
