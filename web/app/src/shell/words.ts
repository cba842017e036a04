// Words of the frame around the pages. Chinese, then English.
import { createTranslator } from "../kit/i18n";
import { words as kit } from "../kit/words";

export const words = {
  nowhere: {
    title: ["没有这个页面", "There is no such page"],
    hint: ["链接可能不完整，或者内容已不再提供。", "The link may be incomplete, or what it led to is no longer offered."],
  },
  nav: {
    main: ["主导航", "Main"],
    home: ["协商", "Consultations"],
    directory: ["通讯录", "Directory"],
    account: ["我的", "Me"],
  },
  entrance: {
    letter: ["文", "A"],
    sizes: ["文字大小", "Size of text"],
  },
  connection: {
    online: ["已连接", "Connected"],
    connecting: ["正在连接…", "Connecting…"],
    waiting: ["连接已断开，{n} 秒后重新连接。您的发言已保存，不会丢失。", "The line was lost; reconnecting in {n} s. Your comments are kept."],
    reconnecting: ["正在重新连接，您的发言已保存。", "Reconnecting; your comments are kept."],
    now: ["立即重连", "Reconnect now"],
    refused: ["服务拒绝了这台设备的连接。", "The service refuses connections from this device."],
    reload: ["刷新页面", "Reload"],
    ended: ["您已退出登录。", "You have been signed out."],
  },
  people: {
    find: ["输入姓名查找", "Find by name"],
    none: ["没有找到。", "Nobody found."],
    found: ["找到 {n} 人，用上下键选择。", "{n} found. Choose with the arrow keys."],
    added: ["已添加 {name}。", "{name} added."],
    remove: ["移除 {name}", "Remove {name}"],
    removed: ["已移除 {name}。", "{name} removed."],
    allOrganisations: ["全部单位", "All organisations"],
  },
  role: {
    member: ["委员", "Member"],
    staff: ["工作人员", "Staff"],
    administrator: ["管理员", "Administrator"],
    operator: ["运维人员", "Operator"],
  },
  size: {
    normal: ["标准", "Standard"],
    large: ["大", "Large"],
    huge: ["特大", "Very large"],
  },
  welcome: {
    title: ["第一次来？三句话就够", "Your first visit, in three lines"],
    enter: ["点进正在进行的协商", "Open the consultation that is on now"],
    enterHint: ["议程、发言和在场的人都在一页里，新发言会自己出现。", "Agenda, comments and who is here stand on one page; new comments appear by themselves."],
    say: ["在下方写意见，点“发送”", "Write below, then press Send"],
    sayHint: ["您的发言会立刻出现在每个人的屏幕上。", "Your comment is on everybody’s screen at once."],
    kept: ["断网、关机都不会丢", "Nothing is lost without a network"],
    keptHint: ["没发出的发言和没写完的草稿都保存在本机，联网后自动发出。", "What is unsent or half written stays on this device and goes out when the line is back."],
    size: ["文字大小（以后可在“我的”里改）", "Size of text (change it later under Account)"],
    done: ["知道了", "Got it"],
  },
} as const;

export const t = createTranslator(words, kit);
