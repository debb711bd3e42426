"""The message types of a trace export, with texts and attributes left as bytes.

They are made from the official descriptors, with two changes that protobuf's wire format allows, because a
text, a message and bytes all look alike on the wire:

- Texts are bytes. The runtime refuses a whole export for one text that is not UTF-8, while the reference
  server reads it with replacement characters.
- `attributes` are a list of bytes, each an encoded `KeyValue`. Making one Python object for every key and
  every value costs three times what all the rest of decoding does, and most attributes repeat: see
  `attributes.py`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError as WireError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import DESCRIPTOR, ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

__all__ = ["WireError", "parse_attribute", "parse_export"]

_FIELD = descriptor_pb2.FieldDescriptorProto


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    """Add a file and what it imports to the pool, with texts and attributes turned into bytes."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    pending = list(proto.message_type)
    while pending:
        message = pending.pop()
        pending.extend(message.nested_type)
        for field in message.field:
            if field.type == FieldDescriptor.TYPE_STRING or field.name == "attributes":
                field.type = _FIELD.TYPE_BYTES
                field.ClearField("type_name")
    pool.Add(proto)


_POOL = descriptor_pool.DescriptorPool()
_add(_POOL, DESCRIPTOR, set())


def _message_type(full_name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full_name))


parse_export = _message_type(ExportTraceServiceRequest.DESCRIPTOR.full_name).FromString
"""Return an `ExportTraceServiceRequest` of these types; raise `WireError` for other bytes."""

parse_attribute = _message_type(KeyValue.DESCRIPTOR.full_name).FromString
"""Return a `KeyValue` of these types; raise `WireError` for other bytes."""
