// Words of moderation. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";

export const words = {
  moderation: {
    hide: ["隐藏", "Hide"],
    hideReason: ["隐藏原因（会向所有人显示）", "Why it is hidden (everyone will see this)"],
    unhide: ["恢复显示", "Show it again"],
    unhideHint: ["恢复后，所有人都能重新看到这条发言。", "Everybody will see this comment again."],
    unhideReason: ["恢复原因（可以不填，会向主持人显示）", "Why (may be empty; moderators will see this)"],
    mute: ["禁言 10 分钟", "Mute for 10 minutes"],
    muted: ["已禁言 10 分钟。", "Muted for 10 minutes."],
  },
  acts: {
    title: ["处置记录", "What moderators did"],
    none: ["还没有处置记录。", "Nothing was done here yet."],
    older: ["查看更早的记录", "Show earlier ones"],
    itself: ["系统自动", "By itself"],
    reason: ["原因：{reason}", "Why: {reason}"],
    hide: ["隐藏了第 {seq} 条发言", "Hid comment no. {seq}"],
    unhide: ["恢复了第 {seq} 条发言", "Showed comment no. {seq} again"],
    pollClosed: ["结束了表决", "Ended a poll"],
    state: ["协商状态改为：{state}", "Made the consultation: {state}"],
    added: ["加入了：{names}", "Added: {names}"],
    removed: ["移出了：{names}", "Removed: {names}"],
    other: ["其他操作", "Something else"],
    mute: ["将 {name} 禁言至 {time}", "Muted {name} until {time}"],
    unmute: ["解除了 {name} 的禁言", "Let {name} post again"],
    doUnmute: ["解除禁言", "Let them post"],
    unmuted: ["已解除禁言。", "They may post again."],
  },
} as const;

export const t = createTranslator(words, kit);
