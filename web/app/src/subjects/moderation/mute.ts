import { toast } from "../../kit/toasts";
import type { CommentContext } from "../../room/parts";
import { client } from "../../shell/client";
import { describeError } from "../../shell/errors";
import { t } from "./words";

const MUTE_MS = 10 * 60_000;

/** The author of a comment may not post in its room for ten minutes. */
export async function mute({ conversation, entry }: CommentContext): Promise<void> {
  try {
    await client.services.moderation.mutePerson({ id: conversation, person: entry.author, untilMs: BigInt(client.now() + MUTE_MS) });
    toast(t("moderation.muted"));
  } catch (error) {
    toast(describeError(error), true);
  }
}
