/** Transactions and what is known of them, for tests of the pure core: a plain purchase that is approved, unless a test says otherwise. */
import type { CardToken } from '../../src/card.ts'
import { loadConfig } from '../../src/config.ts'
import type { DecisionContext } from '../../src/decision/context.ts'
import type { Approval, Decision } from '../../src/decision/decision.ts'
import type { OriginalSnapshot } from '../../src/decision/original.ts'
import { minorUnits } from '../../src/money.ts'
import type { ClosedDoor } from '../../src/decision/velocity.ts'
import { NOTHING_VERIFIED, type Verified } from '../../src/decision/verified.ts'
import type { ProgrammeParameters } from '../../src/programmeParameters.ts'
import type { PurseSnapshot } from '../../src/purse/purse.ts'
import type {
  Dispense,
  FingerprintResult,
  FollowUp,
  Purchase,
  Reversal,
  SimpleTransaction,
  Transaction,
} from '../../src/transaction/transaction.ts'
import { KIND } from '../../src/transaction/transaction.ts'

const configuration = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })
export const parameters: ProgrammeParameters = configuration.programme.versions[0]!

export const PURSE_ID = 71
export const RATION_ID = 92
export const BREAD_ID = 93
export const POINTS_ID = 94
export const MERCHANT_ID = 5
export const TERMINAL_ID = 9
/** PVV of the card. */
export const PIN_REFERENCE = '1234'
export const DAY = '2026-11-22'

const common = {
  key: '00000818001|POS00001|1122093000|000001|2',
  keyDate: DAY,
  body: '1',
  cardToken: 'token' as CardToken,
  expiry: undefined,
  terminalId: 'POS00001',
  acceptorId: undefined,
  amount: minorUnits(1000),
  currency: '818',
  rrn: '632609000001',
  hasPin: false,
  credentials: undefined,
  profile: undefined,
  purse: 'cash',
}
const reference = { by: 'key', key: '00000818001|POS00001|1122092900|000000|2', keyDate: DAY } as const

export type Overrides = Partial<Omit<typeof common, 'amount' | 'expiry'>> & { amount?: number; expiry?: string; mti?: number }

export type Particulars = Overrides & {
  readonly partialAccepted?: boolean
  readonly finalAmount?: number
  readonly fingerprint?: FingerprintResult
  readonly serviceClass?: string
  readonly dispense?: Partial<Pick<Dispense, 'units' | 'days' | 'basket' | 'localDay' | 'localTime'>>
}

export function transactionOf(kind: Transaction['kind'], overrides: Particulars = {}): Transaction {
  const { amount, partialAccepted = false, finalAmount, dispense, fingerprint, serviceClass, ...rest } = overrides
  const all = { ...common, ...rest, ...(amount === undefined ? {} : { amount: minorUnits(amount) }) }
  switch (kind) {
    case 'purchase':
    case 'authorization':
      return { ...all, kind, mti: kind === 'purchase' ? 200 : 100, partialAccepted } satisfies Purchase
    case 'completion':
    case 'refund':
      return { ...all, kind, mti: kind === 'completion' ? 220 : 200, original: reference } satisfies FollowUp
    case 'reversal':
      return {
        ...all,
        kind,
        mti: 400,
        original: reference,
        finalAmount: finalAmount === undefined ? undefined : minorUnits(finalAmount),
      } satisfies Reversal
    case 'dispense': {
      const particulars = { units: undefined, days: 1, basket: [], localDay: DAY, localTime: '093000', ...dispense }
      return { ...all, kind, mti: rest.mti ?? 200, partialAccepted, fingerprint, ...particulars } satisfies Dispense
    }
    case 'eligibility':
      return { ...all, kind, mti: 100, purse: 'health', fingerprint }
    case 'copay':
      return { ...all, kind, mti: 200, purse: 'health', fingerprint, serviceClass }
    case 'pinChange':
      return { ...all, kind, mti: 600 }
    default:
      return { ...all, kind, mti: 200 } satisfies SimpleTransaction
  }
}

const CLASS_OF: Readonly<Partial<Record<Transaction['kind'], [string, string]>>> = {
  withdrawal: ['atm', '6011'],
  deposit: ['post-office', '6010'],
  credit: ['transfer', '6012'],
  payment: ['government', '9399'],
  eligibility: ['clinic', '8011'],
  copay: ['clinic', '8062'],
}

export interface Situation {
  readonly card?: Partial<DecisionContext['card']>
  readonly terminalClass?: string
  readonly category?: string
  /** What the cash purse really holds, where a guard has failed; and the others, by id. */
  readonly purse?: Partial<PurseSnapshot>
  readonly purses?: Readonly<Record<number, Partial<PurseSnapshot>>>
  readonly wallet?: boolean
  readonly governorate?: number
  /** `service governorate` of those that are switched on; absent: all. */
  readonly active?: readonly string[]
  readonly original?: Partial<OriginalSnapshot>
  readonly forced?: boolean
  readonly verified?: Verified
  readonly closed?: ClosedDoor
  readonly parameters?: Partial<ProgrammeParameters>
  readonly day?: string
}

/** A place where this kind of transaction is accepted, and an active card. */
export function contextOf(kind: Transaction['kind'], situation: Situation = {}): DecisionContext {
  const [terminalClass, category] = CLASS_OF[kind] ?? ['pos', '5399']
  const day = situation.day ?? DAY
  const cycle = `${day.slice(0, 8)}01`
  const known = {
    ...(situation.purse === undefined ? {} : { [PURSE_ID]: situation.purse }),
    ...situation.purses,
  }
  return {
    terminal: {
      id: TERMINAL_ID,
      terminalId: 'POS00001',
      class: situation.terminalClass ?? terminalClass,
      state: 'ACTIVE',
      wallet: situation.wallet ?? false,
      offline: true,
      certificate: null,
      link: null,
      macKey: null,
      merchant: {
        id: MERCHANT_ID,
        acceptorId: '000000000000001',
        category: situation.category ?? category,
        state: 'ACTIVE',
        governorate: situation.governorate ?? 3,
      },
    },
    card: {
      token: common.cardToken,
      masked: '981801******0001',
      state: 'ACTIVE',
      expiry: '2912',
      version: 1,
      role: 'head',
      governorate: 3,
      purses: [
        { kind: 1, id: PURSE_ID, gate: 3, cycle: null, members: 0 },
        { kind: 2, id: RATION_ID, gate: 4, cycle, members: 5 },
        { kind: 3, id: BREAD_ID, gate: 5, cycle, members: 4 },
        { kind: 4, id: POINTS_ID, gate: 6, cycle: null, members: 0 },
      ],
      cover: { class: 'STANDARD', from: '2026-01-01', until: '2030-12-31' },
      mismatches: 0,
      psn: '00',
      pinReference: PIN_REFERENCE,
      pinTries: 0,
      atcMax: 0,
      atcSeen: '0',
      issuerScript: null,
      oldCard: null,
      retiredAtMs: null,
      ...situation.card,
    },
    parameters: { ...parameters, ...situation.parameters },
    day,
    nowMs: Date.parse(`${day}T09:30:00Z`),
    originalParameters: { ...parameters, ...situation.parameters },
    regions: { isActive: (service, governorate) => situation.active?.includes(`${service} ${governorate}`) ?? true },
    purses:
      Object.keys(known).length === 0
        ? undefined
        : new Map(Object.entries(known).map(([id, purse]) => [Number(id), purseSnapshot(purse)])),
    original: situation.original === undefined ? undefined : originalSnapshot(situation.original),
    forced: situation.forced ?? false,
    verified: situation.verified ?? { ...NOTHING_VERIFIED, pin: 'valid', reference: PIN_REFERENCE },
    closed: situation.closed,
  }
}

export function purseSnapshot(known: Partial<PurseSnapshot>): PurseSnapshot {
  return {
    available: 0,
    day: DAY,
    spentAmount: 0,
    spentCount: 0,
    withdrawnAmount: 0,
    withdrawnCount: 0,
    marks: 0,
    items: [],
    ...known,
  }
}

/** An approved purchase of 10.00 on this card at this shop. */
export function originalSnapshot(known: Partial<OriginalSnapshot> = {}): OriginalSnapshot {
  return {
    key: reference.key,
    keyDate: DAY,
    kind: KIND.purchase,
    responseCode: '00',
    cardToken: common.cardToken,
    merchantId: MERCHANT_ID,
    terminalId: 'POS00001',
    purseId: PURSE_ID,
    purseKind: 1,
    quantity: null,
    cycle: null,
    marks: 0,
    items: null,
    secondPurseId: null,
    approved: 1000,
    approvalCode: 'ABC123',
    fromSuspense: 0,
    day: DAY,
    linked: 0,
    givenBack: 0,
    givenBackToSuspense: 0,
    givenBackQuantity: 0,
    completed: false,
    holdRemaining: 0,
    refunded: null,
    ...known,
  }
}

/** The reason of a decline, or `approved`, `partial` or `remember`. */
export function saying(decision: Decision): string {
  if (decision.kind === 'decline') return decision.reason
  if (decision.kind === 'remember' || decision.kind === 'open' || decision.kind === 'verify') return decision.kind
  return decision.partial ? 'partial' : 'approved'
}

/** `2000/71 -> 2220/5: 1000`. */
export function transfersOf(decision: Decision): string[] {
  if (decision.kind !== 'approve') return []
  return decision.posting.transfers.map(
    ({ debitCode, debitOwner, creditCode, creditOwner, amount }) =>
      `${debitCode}/${debitOwner} -> ${creditCode}/${creditOwner}: ${amount}`,
  )
}

/** What the transfers of an approval do to a purse: they are the books, the movement only says so in one number. */
export function effectOn(approval: Approval, purseId: number): { available: number; held: number } {
  const effect = { available: 0, held: 0 }
  for (const { debitCode, debitOwner, creditCode, creditOwner, amount } of approval.posting.transfers) {
    if (debitOwner === purseId && debitCode === 2000) effect.available -= amount
    if (creditOwner === purseId && creditCode === 2000) effect.available += amount
    if (debitOwner === purseId && debitCode === 2001) effect.held -= amount
    if (creditOwner === purseId && creditCode === 2001) effect.held += amount
  }
  return effect
}
