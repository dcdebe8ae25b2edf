/** The programme of a history: a few households whose purses everybody wants at once, terminals of each class, tight limits. */
import { readFileSync } from 'node:fs'
import { cardToken, luhnCheckDigit, maskPan } from '../../src/card.ts'
import { loadConfig, type Config } from '../../src/config.ts'
import { demoTerminals } from '../../src/programme/demo.ts'
import { demoPin, demoPinBlock, demoPinReferences } from '../../src/programme/demoVerification.ts'
import { programmeOf } from '../../src/programmeParameters.ts'
import type { MessageLink } from '../../src/settings.ts'
import type { FakeTables, PurseRow, TerminalRow } from './fakeTables.ts'

/** The rules of a history that its model knows too. */
export const RULES = {
  spending: { amount: 60_000, count: 14 },
  withdrawal: { amount: 60_000, count: 4 },
  noteSize: 5000,
  pinTries: 3,
  /** A household and day. */
  standIn: { days: 1, amount: 5000 },
  loafPrice: 20,
  loavesEach: 5,
  pointsEach: 10,
  rationOf: (members: number): number => Math.min(members, 4) * 5000 + Math.max(0, members - 4) * 2500,
} as const

/** What waits and gives up in seconds in a real switch does so in a few here: more happens in a history. */
const TIMES = { deadlineMs: 4000, statementMs: 2000, sweepEveryMs: 1500, reservationAgeMs: 8000 }

const STAND_IN = {
  slotsMax: 12,
  fileBytesMax: 4096,
  filesMax: 4,
  batchMax: 4,
  reopenMs: 400,
  drainEveryMs: 150,
  drainBatchMax: 4,
}

export const LINKS: Readonly<Record<'transmission' | 'local', MessageLink>> = {
  transmission: {
    name: 'atm',
    keyTime: 'transmission',
    pin: { management: 'zone', format: 0, tdesKey: 'zpk.pos', aesKey: 'zpk-aes.pos' },
  },
  // Its terminals give a repeat a new DE 7; DE 12 and 13 stay.
  local: {
    name: 'local',
    keyTime: 'local',
    pin: { management: 'zone', format: 0, tdesKey: 'zpk.pos', aesKey: 'zpk-aes.pos' },
  },
}

export function simulatedConfig(): Config {
  const loaded = loadConfig({ DATABASE_URL: 'postgres://simulated/', REDIS_URL: 'redis://simulated/' })
  const file = new URL('../../config/programme.json', import.meta.url)
  const programme = JSON.parse(readFileSync(file, 'utf8')) as { versions: ProgrammeVersion[] }
  const [version] = programme.versions
  if (version === undefined) throw new RangeError('config/programme.json has no version')
  version.dailyLimits = { spending: RULES.spending, withdrawal: RULES.withdrawal }
  version.noteSize = RULES.noteSize
  // Only withdrawals ask for a PIN: verifying one costs as much as all the rest of a message.
  for (const service of Object.values(version.services)) service.pin = false
  const rules = programmeOf(programme)
  if (typeof rules === 'string') throw new RangeError(rules)
  return {
    ...loaded,
    programme: rules,
    authorization: { ...loaded.authorization, deadlineMs: TIMES.deadlineMs },
    ledger: { ...loaded.ledger, statementMs: TIMES.statementMs, batchMax: 8, connections: 2 },
    redis: { ...loaded.redis, callMs: 500, batchMax: 16 },
    sweeper: { ...loaded.sweeper, everyMs: TIMES.sweepEveryMs, reservationAgeMs: TIMES.reservationAgeMs },
    security: { ...loaded.security, pinUnderWayMs: 10_000 },
    // Two or three records fill a file.
    standIn: { ...loaded.standIn, ...STAND_IN },
  }
}

interface ProgrammeVersion {
  dailyLimits: unknown
  noteSize: number
  services: Record<string, { pin: boolean }>
}

/** Two terminals of the links whose repeats keep DE 7, and of the others. */
const TERMINALS = [
  'POS00001',
  'POS00002',
  'POS00006',
  'GRO00001',
  'BAK00001',
  'BAK00002',
  'ATM00001',
  'ATM00002',
  'PST00001',
  'TRF00001',
]
const LOCAL_TERMINALS: readonly string[] = ['POS00002', 'POS00006']

export interface SimulatedTerminal extends TerminalRow {
  readonly link: 'transmission' | 'local'
}

export const simulatedTerminals: readonly SimulatedTerminal[] = demoTerminals()
  .filter(({ terminalId }) => TERMINALS.includes(terminalId))
  .map((terminal) => ({
    ...terminal,
    offline: ['grocer', 'bakery'].includes(terminal.class),
    link: LOCAL_TERMINALS.includes(terminal.terminalId) ? 'local' : 'transmission',
  }))

export interface SimulatedCard {
  readonly household: number
  readonly pan: string
  readonly token: string
  readonly role: 'head' | 'member'
  /** Purses by name; a member's card has cash only. */
  readonly purses: Readonly<Record<'cash', number> & Partial<Record<'ration' | 'bread' | 'points', number>>>
  readonly pinBlocks: { readonly right: string; readonly wrong: string }
  readonly pinReference: string | null
}

const cards = new Map<number, readonly SimulatedCard[]>()

/** The head's card and the second member's. The same in every history. */
export function cardsOf(config: Config, household: number): readonly SimulatedCard[] {
  const known = cards.get(household)
  if (known !== undefined) return known
  const reference = demoPinReferences(config.security)
  const card = (role: 'head' | 'member', member: number): SimulatedCard => {
    const payload = (role === 'head' ? '981802' : '981803') + String(household).padStart(9, '0')
    const pan = payload + luhnCheckDigit(payload)
    const wrongPin = String((Number(demoPin(pan)) + 1) % 10_000).padStart(4, '0')
    const own = { cash: household * 100 + member }
    const shared = { ration: household * 100 + 92, bread: household * 100 + 93, points: household * 100 + 94 }
    return {
      household,
      pan,
      token: cardToken(pan, config.lookupKey),
      role,
      purses: role === 'head' ? { ...own, ...shared } : own,
      pinBlocks: { right: hex(demoPinBlock(pan)), wrong: hex(demoPinBlock(pan, wrongPin)) },
      pinReference: reference(pan),
    }
  }
  const both = [card('head', 1), card('member', 2)]
  cards.set(household, both)
  return both
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase()
}

export interface HouseholdPlan {
  readonly household: number
  readonly members: number
  readonly cash: number
  readonly loaves: number
  readonly ration: number
  readonly points: number
}

export const GOOD_UNTIL = '2912'
const GOVERNORATE = 3
const KINDS = { cash: [1, 1, 2000], ration: [2, 2, 2100], bread: [3, 4, 2110], points: [4, 3, 2120] } as const

/** Writes a household as the seed writes one: what its purses open with are postings. */
export function openHousehold(tables: FakeTables, config: Config, plan: HouseholdPlan, month: string, now: string): void {
  const { household, members, cash } = plan
  tables.households.set(household, { id: household, governorate: GOVERNORATE, rationMembers: members, breadMembers: members })
  for (const card of cardsOf(config, household)) {
    const person = card.purses.cash
    tables.persons.set(person, { id: person, householdId: household, coverClass: null, coverFrom: null, coverUntil: null })
    tables.cards.set(card.token, {
      ...{ token: card.token, masked: maskPan(card.pan), householdId: household, role: card.role, personId: person },
      ...{ state: 'ACTIVE', expiry: GOOD_UNTIL, version: 1, fingerprintMismatches: 0, retiredAt: null, psn: '00' },
      ...{ pinReference: card.pinReference, pinTries: 0, atcMax: 0, atcSeen: 0n, issuerScript: null },
    })
    openPurse(tables, { id: person, kind: 'cash', household, person, balance: cash, cycle: null, members: 0 }, now)
  }
  const ids = cardsOf(config, household)[0]?.purses
  for (const [kind, balance] of [
    ['ration', plan.ration],
    ['bread', plan.loaves],
    ['points', plan.points],
  ] as const) {
    const cycle = kind === 'points' ? null : month
    const purse = { id: ids?.[kind] ?? 0, kind, household, person: null, balance, cycle, members: cycle === null ? 0 : members }
    openPurse(tables, purse, now)
  }
}

interface NewPurse {
  readonly id: number
  readonly kind: keyof typeof KINDS
  readonly household: number
  readonly person: number | null
  readonly balance: number
  readonly cycle: string | null
  readonly members: number
}

function openPurse(tables: FakeTables, purse: NewPurse, now: string): void {
  const { id, household, person, balance, cycle, members } = purse
  const [kind, unit, account] = KINDS[purse.kind]
  const row: PurseRow = {
    ...{ id, kind, unit, householdId: household, personId: person, balance, held: 0, version: balance > 0 ? 1 : 0, gate: 1 },
    ...{ day: '2000-01-01', spentAmount: 0, spentCount: 0, withdrawnAmount: 0, withdrawnCount: 0 },
    ...{ cycle, members, marks: 0, items: null },
  }
  tables.addPurse(row)
  const keyDate = cycle ?? now.slice(0, 10)
  const nothing = { body: null, cardToken: null, terminalId: null, merchantId: null, rrn: null, reason: null, approvalCode: null }
  tables.addDecision({
    ...nothing,
    ...{ key: `opening|${cycle?.slice(0, 7) ?? 'balance'}|${id}`, keyDate, mti: 0, kind: cycle === null ? 6 : 16 },
    ...{ requested: balance, approved: balance, responseCode: '00', purseId: id, purseVersion: balance > 0 ? 1 : null },
    ...{ availableAfter: balance, heldAfter: 0, fromSuspense: null, decidedAt: now, originalKey: null, originalDate: null },
    ...{ quantity: null, cycle, marks: null, items: null, secondPurseId: null, secondVersion: null, secondAvailableAfter: null },
    stoodInAt: null,
  })
  if (balance === 0) return
  tables.transfers.push({
    ...{ purseId: id, purseVersion: 1, debitCode: purse.kind === 'cash' ? 1000 : 9000, debitOwner: 0, creditCode: account },
    ...{ creditOwner: id, unit, amount: balance, keyDate, ordinal: 1 },
  })
}
