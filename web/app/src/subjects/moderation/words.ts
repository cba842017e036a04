// Words of moderation. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";

export const words = {
  moderation: {
    hide: ["隐藏", "Hide"],
    hideReason: ["隐藏原因（会向所有人显示）", "Why it is hidden (everyone will see this)"],
    mute: ["禁言 10 分钟", "Mute for 10 minutes"],
    muted: ["已禁言 10 分钟。", "Muted for 10 minutes."],
  },
} as const;

export const t = createTranslator(words, kit);
