// An audience as the form holds it. The form shows one organisation; what it does not show, it keeps.
import type { Audience, Role } from "@yitang/sdk";

export interface AudienceDraft {
  organisation: number;
  withBelow: boolean;
  roles: Role[];
  people: number[];
  more: { organisation: number; withBelow: boolean }[];
}

export function toDraft(audience: Audience | undefined, organisation: number): AudienceDraft {
  if (!audience) return { organisation, withBelow: true, roles: [], people: [], more: [] };
  const [first, ...more] = audience.organisations.map((scope) => ({ organisation: scope.organisation, withBelow: scope.withBelow }));
  return {
    organisation: first?.organisation ?? organisation,
    withBelow: first?.withBelow ?? true,
    roles: [...audience.roles],
    people: [...audience.people],
    more,
  };
}

export function fromDraft(draft: AudienceDraft) {
  const { organisation, withBelow, roles, people, more } = draft;
  return { organisations: [{ organisation, withBelow }, ...more], roles, people };
}

export function sameAudience(a: AudienceDraft, b: AudienceDraft): boolean {
  return JSON.stringify(fromDraft(a)) === JSON.stringify(fromDraft(b));
}
