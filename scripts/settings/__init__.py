"""The settings of the stack: one typed table, the `.env` file, and everything generated from both.

`settings.toml` is the place to add a setting, and `table.py` reads it; `kinds.py` says what values are right,
`defaults.py` which follow from others; `values.py` reads and checks them; `envfile.py` reads and writes
`.env`; `render.py` generates `.env.example` and the reference page.
"""
