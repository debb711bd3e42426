"""The settings of the stack: one typed table, the `.env` file, and everything generated from both.

`table.py` is the place to add a setting; `kinds.py` says what values are right; `values.py` reads and checks
them; `envfile.py` reads and writes `.env`; `render.py` generates `.env.example` and the reference page.
"""
