// What a program in Node gives to a Client: a socket (Node has one of its own from 22 on) and an outbox on the disk.
import { WebSocket as Ws } from "ws";
import type { SocketConstructor } from "../link.js";

export { FileStore } from "./store.js";

export const WebSocket = Ws as unknown as SocketConstructor;
