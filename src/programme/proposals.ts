/**
 * What one person proposes and another agrees to. A kind says who may agree and what is done then: in the same SQL transaction as the decision, so that
 * what is refused meanwhile leaves the proposal open.
 */
import { randomUUID } from 'node:crypto'
import { done, refused, type Actor, type Desk, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { closeProposal, insertProposal, lockProposal, type Proposal } from '../ledger/programme/proposals.ts'

export interface ProposalKind {
  readonly kind: string
  /** What a role must allow for whoever decides (src/admin/access/roles.ts). */
  readonly permission:
    | 'card:reverify'
    | 'entitlement:adjust'
    | 'key:load'
    | 'payout:approve'
    | 'merchant-account:approve'
    | 'bank:match'
    | 'suspense:resolve'
    | 'dispute:decide'
  /** Another proposal of this kind for the same subject has to be decided first. */
  readonly single?: boolean
  /** @returns what the proposal keeps as its result */
  readonly execute: (
    tx: SqlTransaction,
    body: Readonly<Record<string, unknown>>,
    checker: Actor,
  ) => Promise<Outcome<Readonly<Record<string, unknown>>>>
  /** What takes long and follows from an approval, after its SQL transaction: it is safe to repeat, and done by a job where it was cut short. */
  readonly afterwards?: (desk: Desk, body: Readonly<Record<string, unknown>>) => Promise<void>
  /** Gives back what a proposal has set aside, where it is refused or withdrawn. */
  readonly release?: (tx: SqlTransaction, body: Readonly<Record<string, unknown>>) => Promise<void>
}

export interface NewProposal {
  /** `card <token>`, `household 12`. */
  readonly subject: string
  /** No card number, national ID or mobile. */
  readonly body: Readonly<Record<string, unknown>>
}

export async function propose(
  tx: SqlTransaction,
  { kind, single = false }: ProposalKind,
  maker: Actor,
  { subject, body }: NewProposal,
): Promise<Outcome<Proposal>> {
  const proposal = await insertProposal(tx, { id: randomUUID(), kind, subject, body, maker: maker.name, single })
  if (proposal === undefined)
    return refused('conflict', 'already-proposed', 'This has been proposed already and waits for a decision.')
  await tx.emit({ kind: 'proposal.made', data: { proposalId: proposal.id, kind, subject } })
  return done(proposal)
}

export type Decision = 'approve' | 'refuse' | 'withdraw'

export interface ProposalDecision {
  readonly id: string
  readonly decision: Decision
  readonly note: string | null
}

const STATES = { approve: 'approved', refuse: 'refused', withdraw: 'withdrawn' } as const

export const NO_SUCH_PROPOSAL = refused('not-found', 'no-such-proposal', 'There is no such proposal.')

/** Decided once, and never by its maker, who may only withdraw it. @param mayDecide whether the caller's roles allow what its kind asks for */
export async function decideProposal(
  tx: SqlTransaction,
  kinds: readonly ProposalKind[],
  checker: Actor,
  mayDecide: (permission: ProposalKind['permission']) => boolean,
  { id, decision, note }: ProposalDecision,
): Promise<Outcome<Proposal>> {
  const proposal = await lockProposal(tx, id)
  const kind = kinds.find((one) => one.kind === proposal?.kind)
  if (proposal === undefined || kind === undefined) return NO_SUCH_PROPOSAL
  if (decision === 'withdraw' && proposal.maker !== checker.name)
    return refused(
      'forbidden',
      'not-your-proposal',
      'Only its maker may withdraw a proposal; others approve or refuse it.',
      '/decision',
    )
  if (decision !== 'withdraw') {
    if (!mayDecide(kind.permission))
      return refused('forbidden', 'not-yours-to-decide', `This proposal is decided by who has ${kind.permission}.`)
    if (proposal.maker === checker.name)
      return refused(
        'forbidden',
        'own-proposal',
        'A proposal is decided by somebody else than its maker, who may withdraw it.',
        '/decision',
      )
  }
  if (proposal.state !== 'open')
    return refused('conflict', 'already-decided', `The proposal was ${proposal.state} meanwhile; a proposal is decided once.`)
  const executed = decision === 'approve' ? await kind.execute(tx, proposal.body, checker) : done(null)
  if (!executed.ok) return executed
  if (decision !== 'approve') await kind.release?.(tx, proposal.body)
  const state = STATES[decision]
  const closed = await closeProposal(tx, { id, state, checker: checker.name, note, result: executed.value })
  await tx.emit({ kind: `proposal.${state}`, data: { proposalId: id, kind: kind.kind, subject: proposal.subject } })
  return done(closed)
}
