"""The writer process: the only one that writes `events.db`, with one commit for all requests that wait.

A process of its own, because decoding and mapping a span is pure Python: in the server it would hold the
interpreter against the readers, and a second core is there.
"""
