/** Finds the decisions that completions, refunds, reversals and disputes refer to, with all that has been linked to them since. */
import type { OriginalSnapshot } from '../decision/original.ts'
import { KIND } from '../transaction/transaction.ts'
import type { LedgerConnection, Statement } from './connection.ts'
import type { SqlTransaction } from './programme/desk.ts'

interface OriginalRow {
  readonly asked: string
  readonly key: string
  readonly key_date: string
  readonly kind: number
  readonly response_code: string
  readonly card_token: string | null
  readonly merchant_id: string | null
  readonly terminal_id: string | null
  readonly purse_id: string | null
  readonly purse_kind: number | null
  readonly quantity: string | null
  readonly cycle: string | null
  readonly marks: number | null
  readonly items: string | null
  readonly second_purse_id: string | null
  readonly approved: string
  readonly approval_code: string | null
  readonly from_suspense: string | null
  readonly day: string
  readonly linked: string
  readonly given_back: string
  readonly given_back_to_suspense: string
  readonly given_back_quantity: string
  readonly completed: boolean
  readonly hold_remaining: string | null
  readonly provisional: string
  readonly kept: string
}

/**
 * What is linked to an original `a`, and reversals of that (`linked` counts both: `commit_batch` asks whether there are more by now). Numbers: see KIND. 8 refund, 10 reversal, 12 and 17 refund of a payment and of a co-pay, 24 a dispute that
 * was granted give back, less what of a refund was reversed itself; 3 completes, once and for all. 23 is lent by suspense until a dispute is decided, 25 taken back of that: as
 * with what suspense had lent for the original, the outlet's money goes there first.
 */
const LINKED = `
  LEFT JOIN LATERAL (
    SELECT count(*) + coalesce(sum(r.count), 0) AS linked,
      coalesce(sum(l.approved - r.approved) FILTER (WHERE l.kind IN (8, 10, 12, 17, 24)), 0) AS given_back,
      coalesce(sum(greatest(coalesce(l.from_suspense, 0) - r.from_suspense, 0)) FILTER (WHERE l.kind IN (8, 10, 12, 17, 24)), 0) AS given_back_to_suspense,
      coalesce(sum(l.quantity - r.quantity) FILTER (WHERE l.kind IN (8, 10, 12, 17, 24)), 0) AS given_back_quantity,
      coalesce(sum(greatest(r.from_suspense - coalesce(l.from_suspense, 0), 0)), 0) AS kept,
      coalesce(sum(CASE l.kind WHEN 23 THEN l.approved WHEN 25 THEN -l.approved END), 0) AS provisional,
      coalesce(bool_or(l.kind = 3), false) AS completed
    FROM "authorization" l
    CROSS JOIN LATERAL (
      SELECT count(*) AS count, coalesce(sum(v.approved), 0) AS approved, coalesce(sum(v.from_suspense), 0) AS from_suspense, coalesce(sum(v.quantity), 0) AS quantity
      FROM "authorization" v
      WHERE l.kind IN (8, 12, 17) AND v.kind = 10 AND v.shard = l.shard AND v.purse_id = l.purse_id AND v.original_key = l.key
        AND v.original_date = l.key_date
    ) r
    WHERE l.shard = a.shard AND l.purse_id = a.purse_id AND l.original_key = a.key AND l.original_date = a.key_date
  ) l ON true
  LEFT JOIN hold h ON h.shard = a.shard AND h.key_date = a.key_date AND h.key = a.key
  LEFT JOIN purse p ON p.shard = a.shard AND p.id = a.purse_id`

const COLUMNS = `
  a.key, a.key_date::text, a.kind, a.response_code, a.card_token, a.merchant_id, a.terminal_id, a.purse_id, a.approved,
  a.approval_code, a.from_suspense, p.kind AS purse_kind, a.quantity, a.cycle::text, a.marks, a.items, a.second_purse_id, (a.decided_at AT TIME ZONE 'Africa/Cairo')::date::text AS day,
  l.linked, l.given_back, l.given_back_to_suspense, l.given_back_quantity, l.provisional, l.kept, l.completed, h.remaining AS hold_remaining`

/** Where an advice was posted by force (src/passage.ts) that posting is meant, not what its key was taken by before: it comes last. */
const BY_KEY: Statement = {
  name: 'originals_by_key',
  text: `
    SELECT asked.ord AS asked, ${COLUMNS}
    FROM unnest($2::date[], $3::text[]) WITH ORDINALITY AS asked(key_date, key, ord)
    JOIN "authorization" a ON a.shard = $1 AND a.key_date = asked.key_date AND a.key IN (asked.key, asked.key || '|F') ${LINKED}
    ORDER BY a.key`,
}

/** By DE 37 and DE 38 within one purse. The latest first: a completion carries the numbers of its authorization on. */
const BY_REFERENCE: Statement = {
  name: 'originals_by_reference',
  text: `
    SELECT asked.ord AS asked, ${COLUMNS}
    FROM unnest($2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS asked(purse_id, rrn, approval_code, ord)
    JOIN "authorization" a ON a.shard = $1 AND a.purse_id = asked.purse_id AND a.rrn = asked.rrn AND a.approval_code = asked.approval_code
    ${LINKED}
    ORDER BY asked.ord, a.decided_at DESC, a.purse_version DESC NULLS LAST`,
}

/**
 * What a refund `r` has refunded. `settled`: a reversal of that, or a dispute that was granted, came after the refund and counted it as given back. A case that was decided leaves
 * no posting where no money moved: `commit_batch` counts it too.
 */
const REFUNDED: Statement = {
  name: 'refunded_originals',
  text: `
    SELECT asked.ord AS asked, a.from_suspense, l.linked + d.decided AS linked, l.given_back, l.given_back_to_suspense, l.provisional, d.open AS case_open,
      EXISTS (
        SELECT FROM "authorization" v
        WHERE v.shard = a.shard AND v.purse_id = a.purse_id AND v.original_key = a.key AND v.original_date = a.key_date
          AND v.kind IN (10, 24) AND v.event_number > r.event_number
      ) AS settled
    FROM unnest($2::date[], $3::text[]) WITH ORDINALITY AS asked(key_date, key, ord)
    JOIN "authorization" r ON r.shard = $1 AND r.key_date = asked.key_date AND r.key = asked.key
    JOIN "authorization" a ON a.shard = r.shard AND a.key_date = r.original_date AND a.key = r.original_key
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE c.decided_at IS NOT NULL) AS decided, count(*) FILTER (WHERE c.decided_at IS NULL) > 0 AS open
      FROM dispute c
      WHERE c.shard = a.shard AND c.card_token = a.card_token AND c.original_date = a.key_date AND c.original_key = a.key
    ) d ${LINKED}`,
}

const REFUNDS: readonly number[] = [KIND.refund, KIND.paymentRefund, KIND.copayRefund]

interface RefundedRow {
  readonly asked: string
  readonly from_suspense: string | null
  readonly linked: string
  readonly given_back: string
  readonly given_back_to_suspense: string
  readonly provisional: string
  readonly case_open: boolean
  readonly settled: boolean
}

export interface KeyQuestion {
  readonly key: string
  readonly keyDate: string
}

export interface ReferenceQuestion {
  readonly purseId: number
  readonly rrn: string
  readonly approvalCode: string
  /** Kinds that may be meant. */
  readonly kinds: readonly number[]
}

/** @returns an answer a question, undefined where there is none */
export async function originalsByKey(
  connection: LedgerConnection,
  shard: number,
  questions: readonly KeyQuestion[],
): Promise<(OriginalSnapshot | undefined)[]> {
  const { rows } = await connection.run<OriginalRow>(BY_KEY, [
    shard,
    questions.map((one) => one.keyDate),
    questions.map((one) => one.key),
  ])
  const found = new Map(rows.map((row) => [Number(row.asked), snapshot(row)]))
  const refunds = [...found.entries()].filter(([, { kind }]) => REFUNDS.includes(kind))
  if (refunds.length > 0) {
    const refunded = await refundedBy(
      connection,
      shard,
      refunds.map(([, refund]) => refund),
    )
    for (const [index, [asked]] of refunds.entries()) {
      const refund = refunded[index]
      if (refund !== undefined) found.set(asked, refund)
    }
  }
  return questions.map((_, index) => found.get(index + 1))
}

/** Each refund with what became of that which it has refunded. */
async function refundedBy(
  connection: LedgerConnection,
  shard: number,
  refunds: readonly OriginalSnapshot[],
): Promise<OriginalSnapshot[]> {
  const { rows } = await connection.run<RefundedRow>(REFUNDED, [
    shard,
    refunds.map((one) => one.keyDate),
    refunds.map((one) => one.key),
  ])
  const found = new Map(rows.map((row) => [Number(row.asked), row]))
  return refunds.map((refund, index) => {
    const row = found.get(index + 1)
    if (row === undefined) return refund
    const provisional = Number(row.provisional)
    return {
      ...refund,
      refunded: {
        linked: Number(row.linked),
        provisional,
        fromSuspense: Number(row.from_suspense ?? 0) + provisional,
        givenBack: Number(row.given_back),
        givenBackToSuspense: Number(row.given_back_to_suspense),
        caseOpen: row.case_open,
        settled: row.settled,
      },
    }
  })
}

/** An original as a dispute sees it. */
export interface DisputedOriginal {
  readonly original: OriginalSnapshot
  /** Part of its `fromSuspense` that provisional credits of disputes have lent and that was not taken back. */
  readonly provisional: number
  /** What holders kept of refunds that were reversed, and suspense paid instead: in the purse's own unit. */
  readonly kept: number
}

/** The same for one decision inside a SQL transaction of the desk: whoever has locked its purses sees all that was linked to it. */
export async function originalAtDesk(tx: SqlTransaction, { key, keyDate }: KeyQuestion): Promise<DisputedOriginal | undefined> {
  const rows = await tx.rows<OriginalRow & Record<string, unknown>>(BY_KEY, [tx.shard, [keyDate], [key]])
  const row = rows.find((one) => one.key === key)
  if (row === undefined) return undefined
  return { original: snapshot(row), provisional: Number(row.provisional), kept: Number(row.kept) }
}

/** @returns an answer a question, undefined where there is none */
export async function originalsByReference(
  connection: LedgerConnection,
  shard: number,
  questions: readonly ReferenceQuestion[],
): Promise<(OriginalSnapshot | undefined)[]> {
  const { rows } = await connection.run<OriginalRow>(BY_REFERENCE, [
    shard,
    questions.map((one) => one.purseId),
    questions.map((one) => one.rrn),
    questions.map((one) => one.approvalCode),
  ])
  return questions.map((question, index) => {
    const row = rows.find((candidate) => Number(candidate.asked) === index + 1 && question.kinds.includes(candidate.kind))
    return row === undefined ? undefined : snapshot(row)
  })
}

function snapshot(row: OriginalRow): OriginalSnapshot {
  return {
    key: row.key,
    keyDate: row.key_date,
    kind: row.kind,
    responseCode: row.response_code,
    cardToken: row.card_token,
    merchantId: row.merchant_id === null ? null : Number(row.merchant_id),
    terminalId: row.terminal_id,
    purseId: row.purse_id === null ? null : Number(row.purse_id),
    purseKind: row.purse_kind,
    quantity: row.quantity === null ? null : Number(row.quantity),
    cycle: row.cycle,
    marks: row.marks ?? 0,
    items: row.items === null ? null : row.items.split(',').map(Number),
    secondPurseId: row.second_purse_id === null ? null : Number(row.second_purse_id),
    approved: Number(row.approved),
    approvalCode: row.approval_code,
    fromSuspense: Number(row.from_suspense ?? 0) + Number(row.provisional),
    day: row.day,
    linked: Number(row.linked),
    givenBack: Number(row.given_back),
    givenBackToSuspense: Number(row.given_back_to_suspense),
    givenBackQuantity: Number(row.given_back_quantity),
    completed: row.completed,
    holdRemaining: Number(row.hold_remaining ?? 0),
    refunded: null,
  }
}
