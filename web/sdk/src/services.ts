// The services of the contract over gRPC-Web: what needs no socket.
import { Code, ConnectError, type Client as ServiceClient, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ConnectionLost, RefusalCode, RefusalError } from "./errors.js";
import { AccountService } from "./gen/account_pb.js";
import { RefusalSchema } from "./gen/common_pb.js";
import { ConsultationService } from "./gen/consultation_pb.js";
import { ConversationService } from "./gen/conversation_pb.js";
import { DirectoryService } from "./gen/directory_pb.js";
import type { HttpOptions } from "./http.js";

export interface Services {
  account: ServiceClient<typeof AccountService>;
  consultations: ServiceClient<typeof ConsultationService>;
  conversations: ServiceClient<typeof ConversationService>;
  directory: ServiceClient<typeof DirectoryService>;
}

/** A service's error as ours: the refusal among its details, or a line that broke. */
export function errorOf(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const refusal = error.findDetails(RefusalSchema)[0];
  if (refusal) return RefusalError.of(refusal);
  switch (error.code) {
    case Code.Unauthenticated:
      return new RefusalError(RefusalCode.UNAUTHENTICATED, "请先登录。", "Please sign in.");
    case Code.Unavailable:
    case Code.Unknown:
    case Code.DeadlineExceeded:
    case Code.Canceled:
    case Code.Aborted:
      return new ConnectionLost(error.rawMessage);
    default:
      return new RefusalError(RefusalCode.UNSPECIFIED, "请求未被接受。", error.rawMessage);
  }
}

export function servicesOf(options: HttpOptions): Services {
  const authorise: Interceptor = (next) => async (request) => {
    if (options.token) request.header.set("authorization", `Bearer ${options.token}`);
    return next(request);
  };
  const transport = createGrpcWebTransport({
    baseUrl: options.url,
    useBinaryFormat: true,
    defaultTimeoutMs: options.timeoutMs,
    interceptors: [authorise],
    fetch: (input, init) => options.fetch(input, { ...init, credentials: "include" }),
  });
  return {
    account: withOurErrors(createClient(AccountService, transport)),
    consultations: withOurErrors(createClient(ConsultationService, transport)),
    conversations: withOurErrors(createClient(ConversationService, transport)),
    directory: withOurErrors(createClient(DirectoryService, transport)),
  };
}

function withOurErrors<T extends object>(client: T): T {
  return new Proxy(client, {
    get(target, name, receiver) {
      const method: unknown = Reflect.get(target, name, receiver);
      if (typeof method !== "function") return method;
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(method, target, args);
        if (!(answer instanceof Promise)) return answer;
        return answer.catch((error: unknown) => {
          throw errorOf(error);
        });
      };
    },
  });
}
