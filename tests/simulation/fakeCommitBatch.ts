/**
 * `commit_batch` (src/ledger/migrations/0023_values_by_position.sql) in plain TypeScript, step by step in its order: judge, insert the keys, move the
 * purses, update the cards, append transfers and holds. tests/simulation/contract.test.ts holds the two equal.
 */
import type { AuthorizationRow, CardRow, FakeTables } from './fakeTables.ts'
import { rowName } from './fakeTables.ts'
import { readArray } from './sqlArrays.ts'

/** Guards that a planted bug leaves out. */
export interface DroppedGuards {
  readonly balance?: boolean
  readonly gate?: boolean
  readonly linked?: boolean
  /** Wrong PINs are judged, but counted only some time after the answer; what is called counts them. */
  readonly countLater?: (count: () => void) => void
}

type Column = (string | null)[] | undefined

/** The parameters by name, in the order of the function. */
const COLUMNS = [
  'key keyDate mti kind body card terminal merchant rrn requested approved response reason approval',
  'purse gate posts delta heldDelta balanceMax day limit countAmount count amountMax countMax',
  'originalKey originalDate linked suspense holdExpires holdUsed quantity cycle setMarks clearMarks items itemsMax',
  'second secondGate secondDelta cardUpdate updateCard raise tries triesResponse triesReason',
  'atc pin pinMax pinReference pinChecked scriptSent stoodIn',
  'tItem tDebitCode tDebitOwner tCreditCode tCreditOwner tUnit tAmount',
]
  .join(' ')
  .split(' ')

/** One item's parameters. */
class Item {
  readonly at: number
  readonly #columns: ReadonlyMap<string, Column>
  outcome = 0
  // What the purse would be after it.
  balance: number | null = null
  held: number | null = null
  version: number | null = null
  day: string | null
  spentAmount = 0
  spentCount = 0
  withdrawnAmount = 0
  withdrawnCount = 0
  marks: number | null = null
  cycle: string | null = null
  items: number[] | null = null
  secondBalance: number | null = null
  secondVersion: number | null = null
  tries: number | null = null
  response: string
  reason: string | null
  quantity: number | null

  constructor(columns: ReadonlyMap<string, Column>, at: number) {
    this.#columns = columns
    this.at = at
    this.day = this.text('day')
    this.response = this.text('response') ?? ''
    this.reason = this.text('reason')
    this.quantity = this.number('quantity')
  }

  text(name: string): string | null {
    return this.#columns.get(name)?.[this.at] ?? null
  }

  number(name: string): number | null {
    const text = this.text(name)
    return text === null ? null : Number(text)
  }

  /** Of a column that every item has. */
  needed(name: string): string {
    return this.text(name) ?? ''
  }

  get posts(): boolean {
    return this.text('posts') === 'true'
  }

  get raises(): number[] {
    return (this.text('raise') ?? '').split(',').filter(Boolean).map(Number)
  }
}

const LIVE: readonly string[] = ['ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'SUSPENDED_BIOMETRIC']

/** @returns the one row of its result */
export function commitBatch(tables: FakeTables, values: readonly unknown[], dropped: DroppedGuards): Record<string, string> {
  const decidedAt = String(values[1])
  const columns = new Map(COLUMNS.map((name, index) => [name, readArray(values[index + 2])]))
  const items = (columns.get('key') ?? []).map((_, at) => new Item(columns, at))
  for (const item of items) judgePurse(tables, item, dropped)
  if (dropped.linked !== true) for (const item of items) judgeOriginal(tables, item)
  for (const item of items) judgeItems(tables, item)
  for (const item of items) judgeSecond(tables, item)
  judgeCards(tables, items, columns)
  for (const item of items) if (item.outcome === 0 && !insert(tables, item, decidedAt)) item.outcome = 1
  const winners = items.filter(({ outcome }) => outcome === 0)
  for (const item of winners) move(tables, item)
  if (columns.get('atc') !== undefined || columns.get('pin') !== undefined)
    for (const item of winners) verified(tables, item, dropped)
  if (columns.get('cardUpdate') !== undefined) updateCards(tables, winners, decidedAt)
  transfer(tables, items, columns)
  for (const item of winners) hold(tables, item)
  const list = (value: (item: Item) => string | number | null): string => items.map((item) => String(value(item) ?? '')).join(',')
  return {
    outcome: list((item) => item.outcome),
    balance: list((item) => item.balance),
    held: list((item) => item.held),
    version: list((item) => item.version),
    day: list((item) => item.day),
    spent_amount: list((item) => item.spentAmount),
    spent_count: list((item) => item.spentCount),
    withdrawn_amount: list((item) => item.withdrawnAmount),
    withdrawn_count: list((item) => item.withdrawnCount),
    marks: list((item) => item.marks),
    tries: (columns.get('pin') ?? columns.get('cardUpdate')) ? list((item) => item.tries) : '',
    second_version: columns.get('second') === undefined ? '' : list((item) => item.secondVersion),
  }
}

function judgePurse(tables: FakeTables, item: Item, dropped: DroppedGuards): void {
  const id = item.number('purse')
  if (id === null) return
  const purse = tables.purses.get(id)
  if (purse === undefined) {
    item.outcome = 2
    return
  }
  const [delta, group, countDay] = [item.number('delta') ?? 0, item.number('limit'), item.text('day')]
  const newDay = countDay !== null && countDay > purse.day
  const counts = (of: number, before: number, added: number | null): number => {
    const add = group === of && added !== null && (added >= 0 || countDay === purse.day) ? added : 0
    return (newDay ? 0 : before) + add
  }
  const [amount, count] = [item.number('countAmount'), item.number('count')]
  const spentAmount = counts(1, purse.spentAmount, amount)
  const spentCount = counts(1, purse.spentCount, count)
  const withdrawnAmount = counts(2, purse.withdrawnAmount, amount)
  const withdrawnCount = counts(2, purse.withdrawnCount, count)
  item.balance = purse.balance + delta
  item.held = purse.held + (item.number('heldDelta') ?? 0)
  item.version = item.posts ? purse.version + 1 : purse.version
  item.day = newDay ? countDay : purse.day
  item.spentAmount = Math.max(0, spentAmount)
  item.spentCount = Math.max(0, spentCount)
  item.withdrawnAmount = Math.max(0, withdrawnAmount)
  item.withdrawnCount = Math.max(0, withdrawnCount)
  item.marks = (purse.marks | (item.number('setMarks') ?? 0)) & ~(item.number('clearMarks') ?? 0)
  item.cycle = purse.cycle
  const above = (value: number, max: string): boolean => value > (item.number(max) ?? Infinity)
  const differs = (is: string | number | null, expected: string | null): boolean =>
    is !== null && expected !== null && String(is) !== expected
  const gate = dropped.gate !== true && differs(purse.gate, item.text('gate'))
  if (gate || differs(purse.cycle, item.text('cycle'))) item.outcome = 3
  else if (dropped.balance !== true && (item.balance < 0 || item.held < 0)) item.outcome = 5
  else if (delta > 0 && above(item.balance, 'balanceMax')) item.outcome = 6
  else if (group !== null && above(group === 1 ? spentAmount : withdrawnAmount, 'amountMax')) item.outcome = 7
  else if (group !== null && above(group === 1 ? spentCount : withdrawnCount, 'countMax')) item.outcome = 8
  else if ((purse.marks & (item.number('setMarks') ?? 0)) !== 0) item.outcome = 9
}

/** Was what it follows touched meanwhile? */
function judgeOriginal(tables: FakeTables, item: Item): void {
  const [key, linked] = [item.text('originalKey'), item.number('linked')]
  if (key === null || linked === null || item.outcome === 2 || item.outcome === 3) return
  if (tables.guardedBy(item.number('purse'), item.needed('originalDate'), key) !== linked) item.outcome = 4
}

function judgeItems(tables: FakeTables, item: Item): void {
  const purse = tables.purses.get(item.number('purse') ?? 0)
  const list = item.text('items')
  if (list === null || purse === undefined) return
  const [added, max, drawn] = [numbers(list), numbers(item.text('itemsMax') ?? ''), purse.items ?? []]
  const length = Math.max(added.length, max.length, drawn.length)
  item.items = []
  for (let at = 0; at < length; at++) {
    const [more, before, ceiling] = [added[at] ?? 0, drawn[at] ?? 0, max[at] ?? Infinity]
    item.items.push(Math.max(0, before + more))
    if (item.outcome === 0 && more > 0 && before + more > ceiling) item.outcome = 10
  }
}

function judgeSecond(tables: FakeTables, item: Item): void {
  const id = item.number('second')
  if (id === null) return
  const purse = tables.purses.get(id)
  const [delta, gate] = [item.number('secondDelta') ?? 0, item.number('secondGate')]
  const fits = purse !== undefined && (gate === null || gate === purse.gate) && purse.balance + delta >= 0
  if (purse !== undefined) {
    item.secondBalance = purse.balance + delta
    item.secondVersion = delta === 0 ? null : purse.version + 1
  }
  if (item.outcome === 0 && !fits) item.outcome = 11
}

function judgeCards(tables: FakeTables, items: readonly Item[], columns: ReadonlyMap<string, Column>): void {
  for (const item of items) {
    const card = tables.cards.get(item.text('card') ?? '')
    if (card === undefined) continue
    const atc = item.number('atc')
    if (atc !== null && item.outcome === 0 && wasUsed(card, atc)) item.outcome = 12
    if (item.text('scriptSent') === 'true' && item.outcome === 0 && card.issuerScript === null) item.outcome = 3
    const pin = item.number('pin')
    if (pin === null) continue
    const fits = card.state !== 'PIN_BLOCKED' && item.text('pinChecked') === card.pinReference
    if (item.outcome === 0 && !fits) item.outcome = 3
    if (pin === 1) item.tries = item.quantity = card.pinTries + 1
  }
  if (columns.get('cardUpdate') === undefined) return
  for (const item of items) {
    const card = tables.cards.get(item.text('updateCard') ?? '')
    if (card === undefined || item.number('cardUpdate') !== 2) continue
    if (item.outcome === 0 && card.state !== 'ACTIVE' && card.state !== 'PIN_BLOCKED') item.outcome = 3
    item.tries = item.quantity = card.fingerprintMismatches + 1
    if (item.tries < (item.number('tries') ?? Infinity)) continue
    item.response = item.text('triesResponse') ?? ''
    item.reason = item.text('triesReason')
  }
}

function wasUsed(card: CardRow, atc: number): boolean {
  const behind = card.atcMax - atc
  return behind >= 0 && (behind > 62 || ((card.atcSeen >> BigInt(behind)) & 1n) === 1n)
}

/** @returns false where the key was there */
function insert(tables: FakeTables, item: Item, decidedAt: string): boolean {
  const row: AuthorizationRow = {
    key: item.needed('key'),
    keyDate: item.needed('keyDate'),
    mti: Number(item.needed('mti')),
    kind: Number(item.needed('kind')),
    body: item.text('body'),
    cardToken: item.text('card'),
    terminalId: item.text('terminal'),
    merchantId: item.number('merchant'),
    rrn: item.text('rrn'),
    requested: Number(item.needed('requested')),
    approved: Number(item.needed('approved')),
    responseCode: item.response,
    reason: item.reason,
    approvalCode: item.text('approval'),
    purseId: item.number('purse'),
    purseVersion: item.posts ? item.version : null,
    availableAfter: item.balance,
    heldAfter: item.held,
    fromSuspense: item.number('suspense'),
    decidedAt,
    originalKey: item.text('originalKey'),
    originalDate: item.text('originalDate'),
    quantity: item.quantity,
    cycle: item.cycle,
    marks: item.number('setMarks') ?? item.number('clearMarks'),
    items: item.text('items'),
    secondPurseId: item.number('second'),
    secondVersion: item.secondVersion,
    secondAvailableAfter: item.secondBalance,
    stoodInAt: item.text('stoodIn'),
  }
  return tables.addDecision(row)
}

function move(tables: FakeTables, item: Item): void {
  const purse = tables.purses.get(item.number('purse') ?? 0)
  if (purse !== undefined && item.posts) {
    purse.balance = item.balance ?? 0
    purse.held = item.held ?? 0
    purse.version = item.version ?? 0
    purse.day = item.day ?? purse.day
    purse.spentAmount = item.spentAmount
    purse.spentCount = item.spentCount
    purse.withdrawnAmount = item.withdrawnAmount
    purse.withdrawnCount = item.withdrawnCount
    purse.marks = item.marks ?? 0
    purse.items = item.items ?? purse.items
  }
  const second = tables.purses.get(item.number('second') ?? 0)
  if (second === undefined || item.secondVersion === null) return
  second.balance = item.secondBalance ?? 0
  second.version = item.secondVersion
}

const WRONG = 1
const RIGHT = 2

function verified(tables: FakeTables, item: Item, { countLater }: DroppedGuards): void {
  const card = tables.cards.get(item.text('card') ?? '')
  const [atc, pin] = [item.number('atc'), item.number('pin')]
  if (card === undefined || (atc === null && (pin === null || pin > RIGHT))) return
  if (atc !== null) {
    const ahead = atc - card.atcMax
    if (ahead <= 0) card.atcSeen = BigInt.asIntN(64, card.atcSeen | (1n << BigInt(-ahead)))
    else card.atcSeen = ahead > 62 ? 1n : BigInt.asIntN(64, (card.atcSeen << BigInt(ahead)) | 1n)
    card.atcMax = Math.max(card.atcMax, atc)
  }
  const sent = item.text('scriptSent') === 'true'
  const count = (): void => {
    const blocks = pin === WRONG && card.pinTries + 1 >= (item.number('pinMax') ?? Infinity) && card.state === 'ACTIVE'
    card.pinTries = pin === WRONG ? card.pinTries + 1 : pin === RIGHT ? 0 : card.pinTries
    if (blocks) card.state = 'PIN_BLOCKED'
    if (sent) card.issuerScript = null
    else if (blocks) card.issuerScript = 'PIN_BLOCK'
    if ((pin !== null && pin <= RIGHT) || sent) card.version++
    if (pin === WRONG || item.text('pinReference') !== null) raise(tables, item.raises)
  }
  card.pinReference = item.text('pinReference') ?? card.pinReference
  if (pin === WRONG && countLater !== undefined) countLater(count)
  else count()
}

/** 1 retire the card, 2 count a wrong fingerprint, 3 a right one. */
function updateCards(tables: FakeTables, winners: readonly Item[], decidedAt: string): void {
  const raised = new Set<number>()
  for (const item of winners) {
    const change = item.number('cardUpdate')
    const own = tables.cards.get(item.text('card') ?? '')
    if (own !== undefined && change === 1 && item.number('tries') === 1) {
      own.version++
      own.fingerprintMismatches = 0
    }
    const card = tables.cards.get(item.text('updateCard') ?? '')
    if (card === undefined || change === null) continue
    const live = LIVE.includes(card.state)
    if (!(change === 2 || (change === 1 && live) || (change === 3 && card.fingerprintMismatches > 0))) continue
    card.version++
    if (change === 2) {
      card.fingerprintMismatches = item.tries ?? 0
      if ((item.tries ?? 0) >= (item.number('tries') ?? Infinity)) card.state = 'SUSPENDED_BIOMETRIC'
    } else if (change === 3) {
      card.fingerprintMismatches = 0
    } else {
      card.state = 'RETIRED'
      card.retiredAt = decidedAt
    }
    for (const id of item.raises) raised.add(id)
  }
  raise(tables, [...raised])
}

function raise(tables: FakeTables, purseIds: readonly number[]): void {
  for (const id of new Set(purseIds)) {
    const purse = tables.purses.get(id)
    if (purse !== undefined) purse.gate++
  }
}

function transfer(tables: FakeTables, items: readonly Item[], columns: ReadonlyMap<string, Column>): void {
  const number = (name: string, at: number): number => Number(columns.get(name)?.[at])
  for (const [at, text] of (columns.get('tItem') ?? []).entries()) {
    const position = Number(text)
    const item = items[Math.abs(position) - 1]
    if (item?.outcome !== 0) continue
    tables.transfers.push({
      purseId: item.number(position > 0 ? 'purse' : 'second') ?? 0,
      purseVersion: (position > 0 ? item.version : item.secondVersion) ?? 0,
      debitCode: number('tDebitCode', at),
      debitOwner: number('tDebitOwner', at),
      creditCode: number('tCreditCode', at),
      creditOwner: number('tCreditOwner', at),
      unit: number('tUnit', at),
      amount: number('tAmount', at),
      keyDate: item.needed('keyDate'),
      ordinal: at + 1,
    })
  }
}

function hold(tables: FakeTables, item: Item): void {
  const [expires, used] = [item.text('holdExpires'), item.number('holdUsed')]
  const [key, keyDate] = [item.needed('key'), item.needed('keyDate')]
  if (expires !== null) {
    const amount = Number(item.needed('approved'))
    const purseId = item.number('purse') ?? 0
    tables.holds.set(rowName(keyDate, key), { key, keyDate, purseId, amount, remaining: amount, expiresAt: expires })
  }
  const original = tables.holds.get(rowName(item.needed('originalDate'), item.needed('originalKey')))
  if (used !== null && used > 0 && original !== undefined) original.remaining -= used
}

function numbers(list: string): number[] {
  return list.split(',').filter(Boolean).map(Number)
}
