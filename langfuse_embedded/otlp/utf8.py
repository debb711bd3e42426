"""Repair of texts that are not UTF-8 inside a protobuf trace export.

The protobuf runtime refuses a whole message for one such text, while the reference server reads it with
replacement characters. So the message is parsed a second time by a twin of its type in which every text is
a byte string, repaired there, and written back. Only broken exports pay for this.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import DESCRIPTOR, ExportTraceServiceRequest


def repair_utf8(body: bytes) -> bytes:
    """Return the export with U+FFFD in place of bytes that are not UTF-8.

    Raises `google.protobuf.message.DecodeError` when the body is no such message at all.
    """
    twin = _twin_type()()
    twin.ParseFromString(body)
    _repair(twin)
    return twin.SerializeToString()


@cache
def _twin_type() -> type[Message]:
    pool = descriptor_pool.DescriptorPool()
    _add_with_bytes(pool, DESCRIPTOR, set())
    name = ExportTraceServiceRequest.DESCRIPTOR.full_name
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _add_with_bytes(pool: descriptor_pool.DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    """Add a file and what it imports to the pool, with every text field turned into bytes."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_with_bytes(pool, dependency, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    pending = list(proto.message_type)
    while pending:
        message = pending.pop()
        pending.extend(message.nested_type)
        for field in message.field:
            if field.type == FieldDescriptor.TYPE_STRING:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    pool.Add(proto)


_TRUE_BYTES = frozenset({"trace_id", "span_id", "parent_span_id", "bytes_value"})


def _repair(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for child in value if _is_repeated(value) else [value]:
                _repair(child)
        elif field.type == FieldDescriptor.TYPE_BYTES and field.name not in _TRUE_BYTES:
            if isinstance(value, bytes):
                setattr(message, field.name, _clean(value))
            else:
                value[:] = [_clean(item) for item in value]


def _is_repeated(value: Any) -> bool:
    return not isinstance(value, Message)


def _clean(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()
