// A poll as it is shown: its options with their votes, and what one has chosen oneself. Pure.
import { type Entry, MarkKind, type Marks, checkText, countCharacters, countMarks } from "@yitang/sdk";

export const QUESTION_MOST = 200;
export const OPTION_MOST = 80;
export const OPTIONS_LEAST = 2;
export const OPTIONS_MOST = 10;

/** What this person has chosen, as far as it is known. */
export interface Choice {
  /** Absent: nothing yet. */
  option?: number;
  /** It is known up to this seq. */
  asOf: number;
  /** seq of the vote; 0: not known, but counted among the marks. */
  seq: number;
  /** What was chosen before it, and stands in the marks until it is counted. */
  before?: number;
}

/** What is known of a choice after something later was learnt of it; the same where it is older. */
export function learnChoice(known: Choice | undefined, learnt: Pick<Choice, "option" | "asOf" | "seq">): Choice {
  if (known && known.asOf >= learnt.asOf) return known;
  return known?.option === undefined || known.option === learnt.option ? learnt : { ...learnt, before: known.option };
}

export interface OptionShown {
  text: string;
  votes: number;
  percent: number;
  isMine: boolean;
}
export interface PollShown {
  question: string;
  options: OptionShown[];
  total: number;
  isClosed: boolean;
}

export function isClosed(marks: Marks | undefined): boolean {
  return countMarks(marks, MarkKind.CLOSED, "1") > 0;
}

/** `pending`: what is on its way; it is shown as if it had arrived. */
export function describePoll({ kind, marks }: Entry, choice: Choice | undefined, pending: number | undefined): PollShown | undefined {
  if (kind.case !== "poll") return undefined;
  const mine = pending ?? choice?.option;
  const isCounted = choice === undefined || choice.seq <= (marks?.asOf ?? 0);
  const counted = isCounted ? choice?.option : choice.before;
  const votesOf = (option: number) => {
    const votes = countMarks(marks, MarkKind.VOTE, String(option));
    return mine === counted ? votes : Math.max(0, votes + Number(option === mine) - Number(option === counted));
  };
  const votes = kind.options.map((_, option) => votesOf(option));
  const total = votes.reduce((sum, count) => sum + count, 0);
  const options = kind.options.map((text, option) => ({
    text,
    votes: votes[option] ?? 0,
    percent: total === 0 ? 0 : Math.round(((votes[option] ?? 0) * 100) / total),
    isMine: option === mine,
  }));
  return { question: kind.question, options, total, isClosed: isClosed(marks) };
}

/** What is wrong with a text of the form; undefined: nothing. */
export type Fault = { fault: "empty" | "forbidden" } | { fault: "tooLong"; now: number } | { fault: "alike"; to: number };

function judgeLine(text: string, most: number): Fault | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return { fault: "empty" };
  const now = countCharacters(trimmed);
  if (now > most) return { fault: "tooLong", now };
  return checkText(trimmed) === undefined ? undefined : { fault: "forbidden" };
}

export function judgeQuestion(question: string): Fault | undefined {
  return judgeLine(question, QUESTION_MOST);
}

/** Of each option, in their order. `alike`: to which earlier one, by its number from 0. */
export function judgeOptions(options: string[]): (Fault | undefined)[] {
  const trimmed = options.map((option) => option.trim());
  return options.map((option, index) => {
    const to = trimmed.indexOf(trimmed[index] ?? "");
    return judgeLine(option, OPTION_MOST) ?? (to < index ? { fault: "alike", to } : undefined);
  });
}
