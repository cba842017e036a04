// Frames as JSON: for where something between does not let binary through. Loaded when it is needed, which is rarely.
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type ClientFrame, ClientFrameSchema, type ServerFrame, ServerFrameSchema } from "./gen/socket_pb.js";

export function encodeJson(frame: ClientFrame): string {
  return toJsonString(ClientFrameSchema, frame);
}

/** Throws where the frame is not of the contract. What a later contract adds is passed over. */
export function decodeJson(text: string): ServerFrame {
  return fromJsonString(ServerFrameSchema, text, { ignoreUnknownFields: true });
}
