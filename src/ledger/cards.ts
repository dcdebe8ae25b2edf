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

interface CardRow extends PurseRow {
  readonly token: string
  readonly masked: string
  readonly state: string
  readonly expiry: string
  readonly card_version: string
}

/** A card and its cash purse, as they were at one instant. */
export interface CardAndPurse {
  readonly card: CardSnapshot
  readonly purse: CommittedPurse
}

const PURSE_COLUMNS =
  'p.id, p.version, p.balance, p.gate, p.day::text, p.spent_amount, p.spent_count, p.withdrawn_amount, p.withdrawn_count'

const READ_CARDS: Statement = {
  name: 'read_cards',
  text: `
    SELECT c.token, c.masked, c.state, c.expiry, c.version AS card_version, ${PURSE_COLUMNS}
    FROM card c JOIN purse p ON p.shard = c.shard AND p.id = c.cash_purse
    WHERE c.shard = $1 AND c.token = ANY ($2::text[])`,
}

const READ_CARD_PAGE: Statement = {
  name: 'read_card_page',
  text: `
    SELECT c.token, c.masked, c.state, c.expiry, c.version AS card_version, ${PURSE_COLUMNS}
    FROM card c JOIN purse p ON p.shard = c.shard AND p.id = c.cash_purse
    WHERE c.shard = $1 AND c.token > $2 ORDER BY c.token LIMIT $3`,
}

const READ_PURSES: Statement = {
  name: 'read_purses',
  text: `SELECT ${PURSE_COLUMNS} FROM purse p WHERE p.shard = $1 AND p.id = ANY ($2::bigint[])`,
}

/** @returns cards by token; an unknown token is absent */
export async function readCards(
  connection: LedgerConnection,
  shard: number,
  tokens: readonly string[],
): Promise<Map<string, CardAndPurse>> {
  return cardsOf((await connection.run<CardRow>(READ_CARDS, [shard, tokens])).rows)
}

/** @returns the next cards behind a token, in the order of tokens */
export async function readCardPage(
  connection: LedgerConnection,
  shard: number,
  after: string,
  countMax: number,
): Promise<Map<string, CardAndPurse>> {
  return cardsOf((await connection.run<CardRow>(READ_CARD_PAGE, [shard, after, countMax])).rows)
}

function cardsOf(rows: readonly CardRow[]): Map<string, CardAndPurse> {
  return new Map(
    rows.map((row) => [
      row.token,
      {
        card: {
          token: row.token as CardToken,
          masked: row.masked,
          state: row.state as CardState,
          expiry: row.expiry,
          version: Number(row.card_version),
          cashPurse: Number(row.id),
          gate: Number(row.gate),
        },
        purse: committedPurse(row),
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
  return new Map(rows.map((row) => [Number(row.id), committedPurse(row)]))
}

function committedPurse(row: PurseRow): CommittedPurse {
  return {
    purseId: Number(row.id),
    version: Number(row.version),
    balance: Number(row.balance),
    gate: Number(row.gate),
    day: row.day,
    spentAmount: Number(row.spent_amount),
    spentCount: row.spent_count,
    withdrawnAmount: Number(row.withdrawn_amount),
    withdrawnCount: row.withdrawn_count,
  }
}
