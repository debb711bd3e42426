"""The writer: the only one that writes `events.db`, with one commit for all requests that wait.

    server  --requests-->  mapper  --rows-->  writer  --answers-->  server
            (client.py)    (mapper.py)        (loop.py)             (client.py)

Mapper and writer are processes of their own, because decoding and mapping a span is pure Python: in the
server it would hold the interpreter against the readers. `process.py` starts the writer, which forks the
mapper; when one of the two dies, both end and are started again. Commands are functions (`commands.py`);
`context.py` is what they work with, `preparation.py` what happens to an export before it reaches them.
"""
