/** Proposals as the API shows them. */
import Type, { type Static } from 'typebox'
import type { Proposal } from '../../ledger/programme/proposals.ts'

const closed = { additionalProperties: false }

export const PROPOSAL_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
export const ProposalIdSchema = Type.String({
  pattern: PROPOSAL_ID.source,
  description: 'the id of a proposal',
  examples: ['0f3a1c52-6c1e-4b9e-9a50-2f1d7a0e6b11'],
})

export const ProposalSchema = Type.Object(
  {
    proposalId: ProposalIdSchema,
    kind: Type.String(),
    subject: Type.String({ description: 'what it is about: card <cardId>, household <householdId>' }),
    body: Type.Object({}, { additionalProperties: true, description: 'what is proposed' }),
    maker: Type.String(),
    madeAt: Type.String({ description: 'RFC 3339, UTC' }),
    state: Type.Enum(['open', 'approved', 'refused', 'withdrawn']),
    checker: Type.Union([Type.String(), Type.Null()]),
    checkedAt: Type.Union([Type.String(), Type.Null()]),
    note: Type.Union([Type.String(), Type.Null()]),
    result: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()], { description: 'what came of it' }),
  },
  {
    ...closed,
    examples: [
      {
        proposalId: '0f3a1c52-6c1e-4b9e-9a50-2f1d7a0e6b11',
        kind: 'adjustment',
        subject: 'household 100000001',
        body: { householdId: 100000001, purse: 'ration', amount: '12.50', units: 1250, reason: 'A newborn was entered too late' },
        maker: 'officer-1',
        madeAt: '2026-11-22T08:00:00.000Z',
        state: 'open',
        checker: null,
        checkedAt: null,
        note: null,
        result: null,
      },
    ],
  },
)

/** A proposal as the API shows it. */
export function shownProposal(proposal: Proposal): Static<typeof ProposalSchema> {
  const { id, madeAtMs, checkedAtMs, ...same } = proposal
  return {
    ...same,
    proposalId: id,
    madeAt: new Date(madeAtMs).toISOString(),
    checkedAt: checkedAtMs === null ? null : new Date(checkedAtMs).toISOString(),
  }
}
