// The services of the contract over gRPC-Web: what needs no socket.
import { AccountService } from "./gen/account_pb.js";
import { ConsultationService } from "./gen/consultation_pb.js";
import { ConversationService } from "./gen/conversation_pb.js";
import { DirectoryService } from "./gen/directory_pb.js";
import { type ServiceClient, clientOf } from "./grpc.js";
import type { HttpOptions } from "./http.js";

export interface Services {
  account: ServiceClient<typeof AccountService>;
  consultations: ServiceClient<typeof ConsultationService>;
  conversations: ServiceClient<typeof ConversationService>;
  directory: ServiceClient<typeof DirectoryService>;
}

export function servicesOf(options: HttpOptions): Services {
  return {
    account: clientOf(AccountService, options),
    consultations: clientOf(ConsultationService, options),
    conversations: clientOf(ConversationService, options),
    directory: clientOf(DirectoryService, options),
  };
}
