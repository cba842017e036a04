// The services of the contract over gRPC-Web: what needs no socket.
import { AccountService } from "./gen/account_pb.js";
import { ConsultationService } from "./gen/consultation_pb.js";
import { ConversationService } from "./gen/conversation_pb.js";
import { DirectoryService } from "./gen/directory_pb.js";
import { DisplayService } from "./gen/display_pb.js";
import { ModerationService } from "./gen/moderation_pb.js";
import { PollService } from "./gen/poll_pb.js";
import { type ServiceClient, createServiceClient } from "./grpc.js";
import type { HttpOptions } from "./http.js";

export interface Services {
  account: ServiceClient<typeof AccountService>;
  consultations: ServiceClient<typeof ConsultationService>;
  conversations: ServiceClient<typeof ConversationService>;
  directory: ServiceClient<typeof DirectoryService>;
  displays: ServiceClient<typeof DisplayService>;
  moderation: ServiceClient<typeof ModerationService>;
  polls: ServiceClient<typeof PollService>;
}

export function createServices(options: HttpOptions): Services {
  return {
    account: createServiceClient(AccountService, options),
    consultations: createServiceClient(ConsultationService, options),
    conversations: createServiceClient(ConversationService, options),
    directory: createServiceClient(DirectoryService, options),
    displays: createServiceClient(DisplayService, options),
    moderation: createServiceClient(ModerationService, options),
    polls: createServiceClient(PollService, options),
  };
}
