// The list of subjects, in the order of the navigation: one line each. Nothing else outside their folders names one.
import accounts from "../subjects/accounts";
import consultations from "../subjects/consultations";
import directory from "../subjects/directory";
import displays from "../subjects/displays";
import moderation from "../subjects/moderation";
import polls from "../subjects/polls";
import type { Subject } from "./subject";

export const subjects: Subject[] = [consultations, directory, accounts, displays, moderation, polls];
