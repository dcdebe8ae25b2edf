/** Reads cards and purses for the hot state: each with the gate that holds at the same instant. */
import type { CardSnapshot, CardState, CardToken } from '../card.ts'
import type { CommittedPurse } from '../decision/hotState.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface PurseRow {
  readonly id: string
  readonly version: string
  readonly balance: string
  readonly gate: string
  readonly day: string
  readonly spent_amount: string
  readonly spent_count: number
  readonly withdrawn_amount: string
  readonly withdrawn_count: number
}

interface CardRow {
  readonly token: string
  readonly masked: string
  readonly state: string
  readonly expiry: string
  readonly card_version: string
  readonly cash_purse: string
  readonly gate: string
}

const READ_CARDS: Statement = {
  name: 'read_cards',
  text: `
    SELECT c.token, c.masked, c.state, c.expiry, c.version AS card_version, c.cash_purse, p.gate
    FROM card c JOIN purse p ON p.shard = c.shard AND p.id = c.cash_purse
    WHERE c.shard = $1 AND c.token = ANY ($2::text[])`,
}

const READ_PURSES: Statement = {
  name: 'read_purses',
  text: `
    SELECT id, version, balance, gate, day::text, spent_amount, spent_count, withdrawn_amount, withdrawn_count
    FROM purse WHERE shard = $1 AND id = ANY ($2::bigint[])`,
}

/** @returns cards by token; an unknown token is absent */
export async function readCards(
  connection: LedgerConnection,
  shard: number,
  tokens: readonly string[],
): Promise<Map<string, CardSnapshot>> {
  const { rows } = await connection.run<CardRow>(READ_CARDS, [shard, tokens])
  return new Map(
    rows.map((row) => [
      row.token,
      {
        token: row.token as CardToken,
        masked: row.masked,
        state: row.state as CardState,
        expiry: row.expiry,
        version: Number(row.card_version),
        cashPurse: Number(row.cash_purse),
        gate: Number(row.gate),
      },
    ]),
  )
}

/** @returns purses by id; an unknown id is absent */
export async function readPurses(
  connection: LedgerConnection,
  shard: number,
  ids: readonly number[],
): Promise<Map<number, CommittedPurse>> {
  const { rows } = await connection.run<PurseRow>(READ_PURSES, [shard, ids])
  return new Map(
    rows.map((row) => [
      Number(row.id),
      {
        purseId: Number(row.id),
        version: Number(row.version),
        balance: Number(row.balance),
        gate: Number(row.gate),
        day: row.day,
        spentAmount: Number(row.spent_amount),
        spentCount: row.spent_count,
        withdrawnAmount: Number(row.withdrawn_amount),
        withdrawnCount: row.withdrawn_count,
      },
    ]),
  )
}
