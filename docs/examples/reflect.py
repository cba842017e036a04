#!/usr/bin/env python3
"""A gRPC client that knows nothing beforehand: it asks the service for its contract (reflection), then lists the open
consultations. Needs `grpcio` and `grpcio-reflection`.
usage: reflect.py 127.0.0.1:8080 SESSION_TOKEN"""
import sys
import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, token = sys.argv[1:]
channel = grpc.insecure_channel(address)
reflection = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(reflection)
services = sorted(reflection.get_services())
print("services:", *services, file=sys.stderr)
assert not any("internal" in service for service in services), "services between roles must not be seen"

method = pool.FindServiceByName("yitang.v1.ConsultationService").FindMethodByName("ListConsultations")
ask = message_factory.GetMessageClass(method.input_type)
answer = message_factory.GetMessageClass(method.output_type)
call = channel.unary_unary(
    f"/{method.containing_service.full_name}/{method.name}",
    request_serializer=ask.SerializeToString,
    response_deserializer=answer.FromString,
)
states = pool.FindEnumTypeByName("yitang.v1.ConsultationState").values_by_name
request = ask(states=[states["CONSULTATION_STATE_OPEN"].number])
for consultation in call(request, metadata=[("authorization", f"Bearer {token}")], timeout=10).consultations:
    print(consultation.id, consultation.title)
