// Words of signing in and of one's own account. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";
import { words as shell } from "../../shell/words";

export const words = {
  signIn: {
    welcome: ["请您来协商", "Come and deliberate"],
    lead: ["登录后即可进入正在进行的协商，发表意见，并与各地委员实时交流。", "Sign in to enter a running consultation, say what you think, and hear members from everywhere as they speak."],
    login: ["账号", "Account"],
    password: ["密码", "Password"],
    submit: ["登录", "Sign in"],
    busy: ["正在登录…", "Signing in…"],
    forgot: ["忘记密码或首次使用？请联系本单位工作人员索取登录链接。", "Forgotten the password, or here for the first time? Ask the staff of your organisation for a sign-in link."],
    demo: ["这是演示系统：可用演示账号登录，数据均为虚构。", "This is a demonstration: sign in with a demo account. All data is invented."],
    ended: ["您已退出登录，请重新登录。未发出的发言仍保存在本机。", "You have been signed out; please sign in again. Comments not yet sent are kept on this device."],
    read: ["看：各地委员的发言即时可见", "Read: members’ comments, live"],
    write: ["说：写下意见，所有人即刻看到", "Speak: everybody sees it at once"],
    safe: ["稳：断网不丢，联网自动补发", "Safe: nothing is lost when the line breaks"],
  },
  link: {
    title: ["设置密码并登录", "Set a password and sign in"],
    lead: ["此链接只能使用一次。请设置一个密码，以后用它登录。", "This link works once. Choose a password to sign in with from now on."],
    password: ["新密码", "New password"],
    hint: ["至少 10 个字符。可以用一句您记得住的话。", "At least 10 characters. A sentence you remember is fine."],
    again: ["再输入一次", "Once more"],
    differ: ["两次输入不一致。", "The two are not the same."],
    submit: ["设置并登录", "Set it and sign in"],
    missing: ["链接不完整，请从收到的消息中重新打开。", "The link is incomplete. Open it again from the message it came in."],
  },
  account: {
    title: ["我的", "Me"],
    sessions: ["登录的设备", "Signed-in devices"],
    current: ["本机", "this one"],
    seen: ["最近使用 {time}", "last used {time}"],
    created: ["登录于 {time}", "signed in {time}"],
    end: ["退出", "Sign out"],
    endOthers: ["退出其他所有设备", "Sign out all others"],
    ended: ["已退出 {n} 台设备。", "{n} devices signed out."],
    password: ["修改密码", "Change the password"],
    oldPassword: ["现在的密码", "Password now"],
    oldHint: ["从未设置过密码的，可留空。", "Leave empty if you never set one."],
    newPassword: ["新密码", "New password"],
    change: ["修改密码", "Change the password"],
    changed: ["密码已修改。", "The password was changed."],
    appearance: ["显示", "Appearance"],
    size: ["文字大小", "Size of text"],
    theme: ["明暗", "Light or dark"],
    themeSystem: ["跟随系统", "As the system"],
    themeLight: ["浅色", "Light"],
    themeDark: ["深色", "Dark"],
    language: ["语言", "Language"],
    signOut: ["退出登录", "Sign out"],
    signOutUnsent: ["还有 {n} 条发言没有发出。退出后它们仍保存在本机，下次登录后继续发送。", "{n} comments have not been sent. They stay on this device and go out when you sign in again."],
    signOutSure: ["确定退出登录吗？", "Sign out?"],
    themeContrast: ["高对比度", "High contrast"],
  },
} as const;

export const t = createTranslator(words, kit, shell);
