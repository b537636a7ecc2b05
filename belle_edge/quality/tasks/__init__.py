"""Our tasks for lm-eval: a YAML file each, over local JSON lines; what a record is, how it is asked, how it is scored."""
