/** Reads cards and purses for the hot state: each card with the gates of its purses as they are at the same instant. */
import type { CardRole, CardSnapshot, IssuerScript, CardState, CardToken, Cover } from '../card.ts'
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
  readonly marks: number
  readonly items: number[] | null
}

/** A card has a row for each of its purses; one without purses has one row without. */
interface CardRow extends Omit<PurseRow, 'id'> {
  readonly id: string | null
  readonly kind: number
  readonly cycle: string | null
  readonly members: number
  readonly token: string
  readonly masked: string
  readonly state: string
  readonly expiry: string
  readonly card_version: string
  readonly role: string
  readonly governorate: number
  readonly fingerprint_mismatches: number
  readonly retired_at: Date | null
  readonly psn: string
  readonly pin_reference: string | null
  readonly pin_tries: number
  readonly atc_max: number
  readonly atc_seen: string
  readonly issuer_script: string | null
  readonly cover_class: string | null
  readonly cover_from: string
  readonly cover_until: string
  readonly old_card: string | null
}

/** A card and its purses, as they were at one instant. */
export interface CardAndPurses {
  readonly card: CardSnapshot
  readonly purses: readonly CommittedPurse[]
}

const PURSE_COLUMNS =
  'p.id, p.version, p.balance, p.gate, p.day::text, p.spent_amount, p.spent_count, p.withdrawn_amount, p.withdrawn_count, p.marks, p.items'

/** An old card draws on the household's purses, a member's card on the person's, the head's on both. Only the head's card retires another. */
const CARD_ROWS = `
  SELECT c.token, c.masked, c.state, c.expiry, c.version AS card_version, c.role, h.governorate, c.fingerprint_mismatches, c.retired_at,
    c.psn, c.pin_reference, c.pin_tries, c.atc_max, c.atc_seen, c.issuer_script,
    r.cover_class, r.cover_from::text, r.cover_until::text, o.token AS old_card,
    p.kind, p.cycle::text, p.members, ${PURSE_COLUMNS}
  FROM card c
    JOIN household h ON h.shard = c.shard AND h.id = c.household_id
    LEFT JOIN person r ON r.shard = c.shard AND r.id = c.person_id
    LEFT JOIN card o ON c.role = 'head' AND o.shard = c.shard AND o.household_id = c.household_id AND o.role = 'old'
      AND o.state IN ('ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'SUSPENDED_BIOMETRIC')
    LEFT JOIN purse p ON p.shard = c.shard AND p.household_id = c.household_id
      AND (p.person_id = c.person_id OR p.person_id IS NULL AND c.role <> 'member')`

const READ_CARDS: Statement = {
  name: 'read_cards',
  text: `${CARD_ROWS} WHERE c.shard = $1 AND c.token = ANY ($2::text[]) ORDER BY c.token, p.kind`,
}

/** Household by household, because their rows lie together. */
const READ_HOUSEHOLD_PAGE: Statement = {
  name: 'read_household_page',
  text: 'SELECT id FROM household WHERE shard = $1 AND id > $2 ORDER BY id LIMIT $3',
}

const READ_HOUSEHOLD_CARDS: Statement = {
  name: 'read_household_cards',
  text: `${CARD_ROWS} WHERE c.shard = $1 AND c.household_id = ANY ($2::bigint[]) ORDER BY c.token, p.kind`,
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
): Promise<Map<string, CardAndPurses>> {
  return cardsOf((await connection.run<CardRow>(READ_CARDS, [shard, tokens])).rows)
}

export interface CardPage {
  readonly cards: readonly CardAndPurses[]
  /** The last household of the page, where the next begins; undefined where there was none. */
  readonly last: number | undefined
}

/** @returns all cards of the next households behind `after`, in the order of households */
export async function readCardPage(
  connection: LedgerConnection,
  shard: number,
  after: number,
  households: number,
): Promise<CardPage> {
  const page = await connection.run<{ id: string }>(READ_HOUSEHOLD_PAGE, [shard, after, households])
  const ids = page.rows.map((row) => row.id)
  const last = ids.at(-1)
  if (last === undefined) return { cards: [], last: undefined }
  const { rows } = await connection.run<CardRow>(READ_HOUSEHOLD_CARDS, [shard, ids])
  return { cards: [...cardsOf(rows).values()], last: Number(last) }
}

function cardsOf(rows: readonly CardRow[]): Map<string, CardAndPurses> {
  const byToken = new Map<string, CardRow[]>()
  for (const row of rows) {
    const known = byToken.get(row.token)
    if (known === undefined) byToken.set(row.token, [row])
    else known.push(row)
  }
  const cards = new Map<string, CardAndPurses>()
  for (const [token, ofCard] of byToken) {
    const [first] = ofCard
    if (first !== undefined)
      cards.set(token, { card: cardOf(first, ofCard.filter(hasPurse)), purses: ofCard.filter(hasPurse).map(committedPurse) })
  }
  return cards
}

function hasPurse(row: CardRow): row is CardRow & PurseRow {
  return row.id !== null
}

function cardOf(row: CardRow, withPurse: readonly (CardRow & PurseRow)[]): CardSnapshot {
  return {
    token: row.token as CardToken,
    masked: row.masked,
    state: row.state as CardState,
    expiry: row.expiry,
    version: Number(row.card_version),
    role: row.role as CardRole,
    governorate: row.governorate,
    purses: withPurse.map(({ kind, id, gate, cycle, members }) => ({ kind, id: Number(id), gate: Number(gate), cycle, members })),
    cover: coverOf(row),
    mismatches: row.fingerprint_mismatches,
    psn: row.psn,
    pinReference: row.pin_reference,
    pinTries: row.pin_tries,
    atcMax: row.atc_max,
    atcSeen: row.atc_seen,
    issuerScript: row.issuer_script as IssuerScript | null,
    oldCard: row.old_card as CardToken | null,
    retiredAtMs: row.retired_at === null ? null : row.retired_at.getTime(),
  }
}

function coverOf({ cover_class, cover_from, cover_until }: CardRow): Cover | null {
  return cover_class === null ? null : { class: cover_class, from: cover_from, until: cover_until }
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
    marks: row.marks,
    ...(row.items === null ? {} : { items: row.items }),
  }
}
