#: Defines a model, which stays registered: a test imports it in a process of its own.
collect_ignore = ["affine.py"]
