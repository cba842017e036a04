// Words of polls. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";

export const words = {
  poll: {
    label: ["表决", "Poll"],
    by: ["{name} 发起表决，{time}", "Poll by {name}, {time}"],
    announced: ["{name} 发起表决：{question}", "{name} asks: {question}"],
    choose: ["请选择一项", "Choose one"],
    option: ["{option}，{n} 票，占 {percent}%", "{option}, {n} votes, {percent}%"],
    votes: ["{n} 票", "{n} votes"],
    total: ["共 {n} 人投票", "{n} people voted"],
    sending: ["正在提交您的选择…", "Sending your choice…"],
    changeable: ["结束前可以改选", "You can change your choice until it ends"],
    ended: ["已结束", "Ended"],
    end: ["结束表决", "End the poll"],
    endSure: ["已有 {n} 人投票。结束后不能再投票或改选，结果保留在这里。", "{n} people voted. Nobody can vote or change their choice afterwards; the result stays here."],
    create: ["发起表决", "Start a poll"],
    question: ["表决事项", "Question"],
    questionHint: ["一句话说清要表决什么，最多 {n} 字。", "Say in one sentence what is put to the vote; at most {n} characters."],
    options: ["选项", "Options"],
    optionsHint: ["2 至 10 项，每人选一项，谁选了什么是公开的。", "2 to 10; everybody chooses one, and who chose what is open."],
    optionNo: ["选项 {n}", "Option {n}"],
    add: ["添加选项", "Add an option"],
    remove: ["删除选项 {n}", "Remove option {n}"],
    empty: ["请填写这一项。", "Fill this in."],
    tooLong: ["最多 {n} 字，现在是 {now} 字。", "At most {n} characters; there are {now}."],
    alike: ["与选项 {n} 相同，请改一改。", "The same as option {n}: please change it."],
    forbidden: ["含有不能使用的特殊字符。", "There is a special character that cannot be used."],
    posting: ["正在发出…连上网络后会自动发出，可以先关闭这一页。", "Sending… It goes out by itself once there is a line; you can close this."],
  },
} as const;

export const t = createTranslator(words, kit);
