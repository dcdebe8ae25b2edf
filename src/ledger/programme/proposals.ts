/** Proposals: one person makes them, another decides. */
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export type ProposalState = 'open' | 'approved' | 'refused' | 'withdrawn'

export interface Proposal {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly body: Readonly<Record<string, unknown>>
  readonly maker: string
  readonly madeAtMs: number
  readonly state: ProposalState
  readonly checker: string | null
  readonly checkedAtMs: number | null
  readonly note: string | null
  readonly result: Readonly<Record<string, unknown>> | null
}

type ProposalRow = Omit<Proposal, 'madeAtMs' | 'checkedAtMs'> & { readonly madeAt: Date; readonly checkedAt: Date | null }

const COLUMNS = 'id, kind, subject, body, maker, made_at AS "madeAt", state, checker, checked_at AS "checkedAt", note, result'

// The subject of a single kind is locked, so that of two at once one finds the other's.
const LOCK_SUBJECT: Statement = {
  name: 'lock_proposal_subject',
  text: `SELECT pg_advisory_xact_lock(hashtextextended($1 || '|' || $2, 8583))`,
}
const INSERT: Statement = {
  name: 'insert_proposal',
  text: `
    INSERT INTO proposal (id, kind, subject, body, maker, made_at)
    SELECT $1, $2, $3, $4::jsonb, $5, $6
    WHERE NOT ($7::boolean AND EXISTS (SELECT 1 FROM proposal WHERE kind = $2 AND subject = $3 AND state = 'open'))
    RETURNING ${COLUMNS}`,
}
const LOCK: Statement = { name: 'lock_proposal', text: `SELECT ${COLUMNS} FROM proposal WHERE id = $1 FOR UPDATE` }
const READ: Statement = { name: 'read_proposal', text: `SELECT ${COLUMNS} FROM proposal WHERE id = $1` }
const CLOSE: Statement = {
  name: 'close_proposal',
  text: `
    UPDATE proposal SET state = $2, checker = $3, checked_at = $4, note = $5, result = $6::jsonb WHERE id = $1
    RETURNING ${COLUMNS}`,
}
const LIST: Statement = {
  name: 'list_proposals',
  text: `
    SELECT ${COLUMNS} FROM proposal
    WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR subject = $3)
      AND ($4::timestamptz IS NULL OR (made_at, id) < ($4, $5))
    ORDER BY made_at DESC, id DESC LIMIT $6`,
}

export interface NewProposalRow {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly body: Readonly<Record<string, unknown>>
  readonly maker: string
  readonly single: boolean
}

/** @returns undefined where one of a single kind is open for the same subject */
export async function insertProposal(tx: SqlTransaction, proposal: NewProposalRow): Promise<Proposal | undefined> {
  const { id, kind, subject, body, maker, single } = proposal
  if (single) await tx.row(LOCK_SUBJECT, [kind, subject])
  const at = new Date(tx.nowMs).toISOString()
  return proposalOf(await tx.row<ProposalRow>(INSERT, [id, kind, subject, JSON.stringify(body), maker, at, single]))
}

export async function lockProposal(tx: SqlTransaction, id: string): Promise<Proposal | undefined> {
  return proposalOf(await tx.row<ProposalRow>(LOCK, [id]))
}

export async function readProposal(tx: SqlTransaction, id: string): Promise<Proposal | undefined> {
  return proposalOf(await tx.row<ProposalRow>(READ, [id]))
}

export interface ProposalClosing {
  readonly id: string
  readonly state: Exclude<ProposalState, 'open'>
  readonly checker: string
  readonly note: string | null
  readonly result: Readonly<Record<string, unknown>> | null
}

/** Of a proposal that is locked and open. */
export async function closeProposal(
  tx: SqlTransaction,
  { id, state, checker, note, result }: ProposalClosing,
): Promise<Proposal> {
  const values = [id, state, checker, new Date(tx.nowMs).toISOString(), note, result === null ? null : JSON.stringify(result)]
  const proposal = proposalOf(await tx.row<ProposalRow>(CLOSE, values))
  assert(proposal !== undefined, 'a locked proposal is there')
  return proposal
}

export interface ProposalFilter {
  readonly state?: string | undefined
  readonly kind?: string | undefined
  readonly subject?: string | undefined
  /** The last one of the page before. */
  readonly after?: { readonly madeAtMs: number; readonly id: string } | undefined
  readonly limit: number
}

/** The latest first. */
export async function listProposals(tx: SqlTransaction, filter: ProposalFilter): Promise<Proposal[]> {
  const { state = null, kind = null, subject = null, after, limit } = filter
  const at = after === undefined ? null : new Date(after.madeAtMs).toISOString()
  const rows = await tx.rows<ProposalRow>(LIST, [state, kind, subject, at, after?.id ?? null, limit])
  return rows.flatMap((row) => proposalOf(row) ?? [])
}

function proposalOf(row: ProposalRow | undefined): Proposal | undefined {
  if (row === undefined) return undefined
  const { madeAt, checkedAt, ...same } = row
  return { ...same, madeAtMs: madeAt.getTime(), checkedAtMs: checkedAt?.getTime() ?? null }
}
