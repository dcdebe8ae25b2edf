/** Reads stored answers by key. */
import type { StoredAnswer } from './commitItem.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface AnswerRow {
  readonly key: string
  readonly key_date: string
  readonly mti: number
  readonly kind: number
  readonly body: string | null
  readonly response_code: string
  readonly reason: string | null
  readonly approval_code: string | null
  readonly approved: string
  readonly requested: string
  readonly rrn: string | null
  readonly available_after: string | null
  readonly held_after: string | null
  readonly quantity: string | null
  readonly second: boolean
}

const READ_ANSWERS: Statement = {
  name: 'read_answers',
  text: `
    SELECT a.key, a.key_date::text, a.mti, a.kind, a.body, a.response_code, a.reason, a.approval_code, a.approved, a.requested, a.rrn,
      a.available_after, a.held_after, a.quantity, a.second_version IS NOT NULL AS second
    FROM unnest($2::date[], $3::text[]) AS asked(key_date, key)
    JOIN "authorization" a ON a.shard = $1 AND a.key_date = asked.key_date AND a.key = asked.key`,
}

/** The name under which an answer is found again: a key's text may occur on two dates. */
export function answerName(asked: { readonly key: string; readonly keyDate: string }): string {
  return `${asked.keyDate} ${asked.key}`
}

/** @returns answers by `answerName`; a key without a row is absent */
export async function readAnswers(
  connection: LedgerConnection,
  shard: number,
  asked: readonly { readonly key: string; readonly keyDate: string }[],
): Promise<Map<string, StoredAnswer>> {
  const { rows } = await connection.run<AnswerRow>(READ_ANSWERS, [
    shard,
    asked.map((one) => one.keyDate),
    asked.map((one) => one.key),
  ])
  return new Map(
    rows.map((row) => [
      answerName({ key: row.key, keyDate: row.key_date }),
      {
        key: row.key,
        keyDate: row.key_date,
        mti: row.mti,
        kind: row.kind,
        body: row.body,
        responseCode: row.response_code,
        reason: row.reason,
        approvalCode: row.approval_code,
        approved: Number(row.approved),
        requested: Number(row.requested),
        rrn: row.rrn,
        available: row.available_after === null ? null : Number(row.available_after),
        held: row.held_after === null ? null : Number(row.held_after),
        quantity: row.quantity === null ? null : Number(row.quantity),
        second: row.second,
      },
    ]),
  )
}
