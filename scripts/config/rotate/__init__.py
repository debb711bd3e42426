"""`make rotate`: give a secret a new value: plan, apply, verify, undo."""
