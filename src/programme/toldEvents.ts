/** Events as others are told them: what of the outbox, in which words. Nothing here holds a card number, a national ID, a mobile or a balance. */
import { formatAmount } from '../money.ts'
import {
  readAuthorizationEvents,
  readProgrammeEvents,
  type AuthorizationEventRow,
  type EventRange,
  type ProgrammeEventRow,
} from '../ledger/programme/eventFeed.ts'
import type { SqlTransaction } from '../ledger/programme/desk.ts'
import { KIND } from '../transaction/transaction.ts'

export interface ToldEvent {
  /** Ascends; for one card in the order of what happened. Has gaps. */
  readonly id: number
  /** `card.reported_lost`, `authorization.approved`. */
  readonly kind: string
  /** RFC 3339, UTC. */
  readonly at: string
  readonly cardId: string | null
  readonly personId: number | null
  readonly householdId: number | null
  readonly data: Readonly<Record<string, unknown>>
}

/** What somebody wants to be told; absent: everything. */
export interface Interest {
  /** Kinds, or what they begin with up to a dot: `card`, `card.reported_lost`, `authorization`. */
  readonly kinds?: readonly string[] | undefined
  readonly cardId?: string | undefined
}

export interface EventPage {
  /** By id. */
  readonly events: readonly ToldEvent[]
  /** There is nothing else of interest up to this number. */
  readonly until: number
}

export const EVENT_KIND = '[a-z][a-z0-9_]{0,31}(\\.[a-z][a-z0-9_]{0,31}){0,2}'

export function isOfInterest({ kinds, cardId }: Interest, event: ToldEvent): boolean {
  if (cardId !== undefined && event.cardId !== cardId) return false
  return kinds === undefined || kinds.some((kind) => event.kind === kind || event.kind.startsWith(`${kind}.`))
}

/** Decisions are the many: who wants none of them is spared the reading. */
export function wantsAuthorizations({ kinds }: Interest): boolean {
  return kinds === undefined || kinds.some((kind) => kind.split('.')[0] === 'authorization')
}

/** Without an index by card, what there is of one is looked for among so many numbers a reading. */
const SCANNED_MAX = 20_000

/** The events of interest in a range, whose end is final (advanceFrontier). @param range `limit` is of what is looked at */
export async function readEvents(
  tx: SqlTransaction,
  range: EventRange,
  interest: Interest,
  withAuthorizations = wantsAuthorizations(interest),
): Promise<EventPage> {
  const { cardId } = interest
  const bounded = {
    ...range,
    cardId,
    until: cardId === undefined ? range.until : Math.min(range.until, range.after + SCANNED_MAX),
  }
  const programme = await readProgrammeEvents(tx, bounded)
  const authorizations = withAuthorizations ? await readAuthorizationEvents(tx, bounded) : []
  // Of a table that had more than was asked for only what was read is known.
  const until = Math.min(...[programme, authorizations].map((rows) => lastOf(rows, bounded)))
  const events = [...programme.map(programmeEvent), ...authorizations.map(authorizationEvent)]
    .filter((event) => event.id <= until && isOfInterest(interest, event))
    .sort((one, other) => one.id - other.id)
  return { events, until }
}

function lastOf(rows: readonly { readonly number: number }[], { limit, until }: EventRange): number {
  return rows.length < limit ? until : (rows.at(-1)?.number ?? until)
}

function programmeEvent({ number, at, kind, cardId, personId, householdId, data }: ProgrammeEventRow): ToldEvent {
  return { id: number, kind, at: at.toISOString(), cardId, personId, householdId, data }
}

const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]))
/** ISO 8583-1:1987 DE 39: approved, and approved in part. */
const APPROVED = ['00', '10']
/** The only unit that is counted whole; all others are valued in pounds. */
const WHOLE_UNIT = 'LOAF'

function authorizationEvent(row: AuthorizationEventRow): ToldEvent {
  const { number, at, cardId, personId, householdId, quantity, unit, posted } = row
  const moved = quantity !== null && unit !== null && posted
  const told = {
    transaction: KIND_NAMES.get(row.kind) ?? String(row.kind),
    amount: formatAmount(isApproved(row) ? row.approved : row.requested),
    requested: formatAmount(row.requested),
    quantity: moved ? (unit === WHOLE_UNIT ? String(quantity) : formatAmount(quantity)) : undefined,
    unit: moved ? unit : undefined,
    purse: row.purse,
    code: row.responseCode,
    reason: row.reason,
    approvalCode: row.approvalCode,
    terminalId: row.terminalId,
    merchantId: row.merchantId,
    rrn: row.rrn,
  }
  return {
    id: number,
    kind: `authorization.${outcomeOf(row)}`,
    at: at.toISOString(),
    cardId,
    personId,
    householdId,
    data: Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null && value !== undefined)),
  }
}

function isApproved({ responseCode }: AuthorizationEventRow): boolean {
  return APPROVED.includes(responseCode)
}

function outcomeOf(row: AuthorizationEventRow): 'approved' | 'declined' | 'reversed' | 'released' {
  if (!isApproved(row)) return 'declined'
  if (row.kind === KIND.reversal) return 'reversed'
  return row.kind === KIND.release ? 'released' : 'approved'
}
