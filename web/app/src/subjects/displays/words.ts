// Words of the screens in a hall. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";
import { words as room } from "../../room/words";

export const words = {
  hall: {
    here: ["在场", "here"],
    spoke: ["人发言", "have spoken"],
    comments: ["条发言", "comments"],
    from: ["在场人数 · 按单位", "Here, by organisation"],
    empty: ["等待第一条发言", "Waiting for the first comment"],
    ended: ["此大屏链接已失效，请向工作人员索取新的链接。", "This screen’s link is no longer valid: please ask staff for a new one."],
    missing: ["链接不完整，请用工作人员提供的完整链接打开。", "The link is not complete: please open it as staff gave it."],
    waiting: ["正在连接…", "Connecting…"],
    reconnecting: ["正在重新连接，显示的是 {time} 的内容", "Reconnecting; this is as of {time}"],
    notShown: ["这场协商目前不在大屏展示。", "This consultation is not shown on screens at present."],
  },
  display: {
    title: ["大屏链接", "Screens in the hall"],
    lead: ["在会场大屏的浏览器里打开，只显示这场协商，只读，可随时停用。", "Opened in the browser of a screen, it shows this consultation only, for reading; you can end it at any time."],
    name: ["屏幕名称", "Name of the screen"],
    nameHint: ["如：一号会议厅主屏", "For example: main screen, hall 1"],
    until: ["有效期至", "Valid until"],
    make: ["生成链接", "Make a link"],
    once: ["链接只显示这一次，请立即复制到大屏上打开。", "The link is shown this once: open it on the screen now."],
    none: ["还没有大屏链接。", "No links yet."],
    seen: ["最近显示 {time}", "Last shown {time}"],
    never: ["尚未使用", "Not used yet"],
    ends: ["有效至 {time}", "Until {time}"],
    ended: ["已停用", "Ended"],
    expired: ["已过期", "Expired"],
    end: ["停用", "End"],
    endSure: ["停用后，用这个链接的屏幕会在一秒内变黑。", "Screens that use this link go dark within a second."],
    open: ["打开大屏", "Open the screen"],
  },
} as const;

export const t = createTranslator(words, kit, room);
