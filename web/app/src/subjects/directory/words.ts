// Words of the directory. Chinese, then English.
import { createTranslator } from "../../kit/i18n";
import { words as kit } from "../../kit/words";
import { words as shell } from "../../shell/words";

export const words = {
  directory: {
    title: ["通讯录", "Directory"],
    organisation: ["单位", "Organisation"],
    nameHint: ["输入姓名", "Type a name"],
    none: ["没有找到。", "Nobody was found."],
    addPerson: ["新增人员", "Add a person"],
    addOrganisation: ["新增单位", "Add an organisation"],
    importPeople: ["导入人员", "Import people"],
    importOrganisations: ["导入单位", "Import organisations"],
    name: ["姓名", "Name"],
    login: ["账号", "Account"],
    roles: ["身份", "Roles"],
    code: ["单位代码", "Code"],
    orgName: ["单位名称", "Name of the organisation"],
    parent: ["上级单位", "Above it"],
    noParent: ["（无，最高一级）", "(none: the top)"],
    disabled: ["已停用", "Disabled"],
    disable: ["停用账号", "Disable the account"],
    edit: ["修改", "Edit"],
    link: ["登录链接", "Sign-in link"],
    linkTitle: ["一次性登录链接", "One-use sign-in link"],
    linkFor: ["请交给 {name} 本人。只能使用一次，只显示这一次，{time} 前有效。", "Give this to {name} in person. It works once, is shown only now, and is good until {time}."],
    file: ["选择 .csv 文件", "Choose a .csv file"],
    peopleFormat: ["首行：login,name,organisation_code,roles。多个身份用 + 连接，如 member+staff。", "First line: login,name,organisation_code,roles. Join roles with +, as member+staff."],
    organisationsFormat: ["首行：code,name,level,parent_code。", "First line: code,name,level,parent_code."],
    tryIt: ["先检查", "Check it first"],
    doIt: ["导入", "Import"],
    report: ["新增 {added}，修改 {changed}，不变 {unchanged}", "{added} new, {changed} changed, {unchanged} unchanged"],
    line: ["第 {n} 行：{message}", "Line {n}: {message}"],
    checked: ["检查通过，可以导入。", "It can be imported."],
    imported: ["导入完成。", "Imported."],
    nothing: ["有错误，没有导入任何内容。", "There are errors; nothing was imported."],
  },
} as const;

export const t = createTranslator(words, kit, shell);
