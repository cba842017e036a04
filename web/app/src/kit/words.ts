// Words that every page uses. Chinese, then English.
import { type Locale, createTranslator } from "./i18n";

export const LOCALES: { id: Locale; name: string }[] = [
  { id: "zh-CN", name: "中文" },
  { id: "en", name: "English" },
];

export const words = {
  common: {
    product: ["议堂", "Yitang"],
    save: ["保存", "Save"],
    close: ["关闭", "Close"],
    back: ["返回", "Back"],
    retry: ["重试", "Try again"],
    loading: ["正在载入…", "Loading…"],
    unreachable: ["暂时连不上服务，请检查网络后重试。", "The service cannot be reached. Check the network, then try again."],
    failed: ["出了点问题，请重试。", "Something went wrong. Please try again."],
    toHome: ["回到我的协商", "To my consultations"],
    skip: ["跳到正文", "Skip to content"],
    cancel: ["取消", "Cancel"],
    copied: ["已复制。", "Copied."],
    notCopied: ["这个浏览器不能复制，请长按文字自行复制。", "This browser cannot copy: please press and hold the text."],
    copy: ["复制", "Copy"],
    saved: ["已保存。", "Saved."],
  },
  password: {
    show: ["显示密码", "Show the password"],
  },
  state: {
    draft: ["草稿", "Draft"],
    scheduled: ["未开始", "Not open yet"],
    open: ["进行中", "Open"],
    paused: ["已暂停", "Paused"],
    closed: ["已结束", "Closed"],
  },
  file: {
    choose: ["选择文件", "Choose a file"],
    none: ["尚未选择文件", "No file chosen"],
  },
  time: {
    today: ["今天", "Today"],
    yesterday: ["昨天", "Yesterday"],
    tomorrow: ["明天", "Tomorrow"],
  },
} as const;

export const t = createTranslator(words);
